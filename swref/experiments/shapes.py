"""Planar shapes and their certified matchings.  [Figures 1 and 7]"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from .._validation import as_array, as_clouds, check_count, check_positive
from ..clouds import TransportResult, transport

SHIFT = (4.2, 0.0)  # the paper's displacement of the target
PAIRS = {  # name: (source, target, number of points, largest radius)
    "annulus to two disks": ("annulus", "two disks", 700, 1.55),
    "bunny to clover": ("bunny", "clover", 600, 1.55),
    "cross to heart": ("cross", "heart", 600, 1.45),
    "cat to annulus": ("cat", "annulus", 600, 1.55),
}
FIRST = list(PAIRS)[:1]  # the paper's Figures 1 and 2 show this one, Figures 7 and 8 the others


def _ellipse(z, center, radii, angle=0.0):
    """Which points lie in the ellipse with these half-axes, turned by ``angle`` degrees."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    local = (z - center) @ np.array([[c, -s], [s, c]])
    return ((local / radii) ** 2).sum(1) <= 1


def _polygon(z, vertices):
    """Which points lie in the closed polygon (crossing number of a ray to the right)."""
    a, b = np.asarray(vertices, float), np.roll(vertices, -1, axis=0)
    rise = np.where(a[:, 1] == b[:, 1], 1.0, b[:, 1] - a[:, 1])  # a level edge is never crossed
    crossed = (a[:, 1] > z[:, 1:]) != (b[:, 1] > z[:, 1:])
    right = z[:, :1] < a[:, 0] + (z[:, 1:] - a[:, 1]) * (b[:, 0] - a[:, 0]) / rise
    return (crossed & right).sum(1) % 2 == 1


def _annulus(z):
    return _ellipse(z, (0, 0), (1, 1)) & ~_ellipse(z, (0, 0), (0.65, 0.65))


def _two_disks(z):
    return _ellipse(z, (-0.2, 0.57), (0.4, 0.4)) | _ellipse(z, (0.2, -0.57), (0.4, 0.4))


def _cross(z):
    return (np.abs(z).min(1) <= 0.27) & (np.abs(z).max(1) <= 0.95)


def _heart(z):
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    height = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return _polygon(z, np.column_stack([16 * np.sin(t) ** 3, height + 2.5]) / 16.5)


def _clover(z):
    """Four heart-shaped leaves, points together, and a bent stalk."""
    inside = _polygon(z, [(-0.05, 0.2), (0.05, 0.2), (0.1, -0.3), (0.4, -0.85), (0.26, -0.93), (-0.04, -0.3)])
    for angle in np.radians([45, 135, 225, 315]):
        out = np.array([np.cos(angle), np.sin(angle)])
        leaf = (z - (0, 0.2)) @ np.array([[out[1], out[0]], [-out[0], out[1]]]) - (0, 0.38)
        inside |= _heart(leaf / (0.37, 0.44))
    return inside


def _bunny(z):
    """A sitting rabbit seen from the side: body, haunch, head, two ears, forepaw, tail."""
    return (
        _ellipse(z, (-0.15, -0.42), (0.58, 0.42), 12)
        | _ellipse(z, (-0.35, -0.5), (0.42, 0.4))
        | _ellipse(z, (0.42, 0.12), (0.31, 0.25), -12)
        | _ellipse(z, (0.3, 0.62), (0.1, 0.42), 8)
        | _ellipse(z, (0.08, 0.56), (0.1, 0.42), 28)
        | _ellipse(z, (0.33, -0.55), (0.12, 0.35), -6)
        | _ellipse(z, (0.3, -0.85), (0.28, 0.08))
        | _ellipse(z, (-0.3, -0.85), (0.38, 0.09))
        | _ellipse(z, (-0.82, -0.42), (0.16, 0.16))
    )


def _cat(z):
    """A sitting cat seen from behind: body, head, two pointed ears, raised tail."""
    ring = _ellipse(z, (0.2, -0.47), (0.48, 0.43)) & ~_ellipse(z, (0.2, -0.47), (0.34, 0.29))
    return (
        _ellipse(z, (-0.2, -0.48), (0.42, 0.46))
        | _ellipse(z, (-0.2, -0.15), (0.28, 0.45))
        | _ellipse(z, (-0.2, 0.42), (0.36, 0.28))
        | _polygon(z, [(-0.56, 0.42), (-0.5, 0.95), (-0.2, 0.65)])
        | _polygon(z, [(0.16, 0.42), (0.1, 0.95), (-0.2, 0.65)])
        | (ring & (z[:, 1] < -0.47))
        | _ellipse(z, (0.61, -0.3), (0.07, 0.24))
        | _ellipse(z, (0.67, -0.05), (0.07, 0.16), -30)
    )


SHAPES = {
    "annulus": _annulus,
    "two disks": _two_disks,
    "bunny": _bunny,
    "clover": _clover,
    "cross": _cross,
    "heart": _heart,
    "cat": _cat,
}


def sample(shape: str, n: int, seed: int = 0, radius: float = 1.0) -> np.ndarray:
    """``n`` evenly spread points (n, 2) of a shape of ``SHAPES``: mean zero, largest norm ``radius``.

    A low-discrepancy sequence fills the shape, then 20 Lloyd steps spread ``n`` of its points.
    The seed shifts the sequence; the same seed gives the same points.
    """
    if shape not in SHAPES:
        raise ValueError(f"shape: got {shape!r}, wants one of {list(SHAPES)}")
    n, radius = check_count("n", n), check_positive("radius", radius)
    rho = 1.324717957244746  # rho^3 = rho + 1: multiples of (1/rho, 1/rho^2) fill the unit square evenly
    steps = np.arange(1, 100 * n + 1)[:, None] / [rho, rho**2]
    fine = 2.2 * ((np.random.default_rng(seed).random(2) + steps) % 1) - 1.1
    fine = fine[SHAPES[shape](fine)]
    points = fine[:n]
    for _ in range(20):
        owner = KDTree(points).query(fine)[1]
        size = np.maximum(np.bincount(owner, minlength=n), 1)
        points = np.column_stack([np.bincount(owner, fine[:, k], n) for k in (0, 1)]) / size[:, None]
    points = points - points.mean(0)
    return points * (radius / np.linalg.norm(points, axis=1).max())


def pair(name: str, shift: ArrayLike = SHIFT, n: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The clouds (x, y), each (n, 2), of the pair ``name`` of ``PAIRS``: centred shapes, then y moved by ``shift``.

    ``shift=(0, 0)`` is the centred version; ``n`` defaults to the paper's number of points; ``seed`` as in ``sample``.
    """
    if name not in PAIRS:
        raise ValueError(f"name: got {name!r}, wants one of {list(PAIRS)}")
    source, target, size, radius = PAIRS[name]
    size = size if n is None else n
    shift = as_array("shift", shift, 1, (2,))
    return sample(source, size, seed, radius), sample(target, size, seed + 1, radius) + shift


@dataclass(frozen=True)
class Heuristic:
    """A matching of two clouds found without a bound: y[permutation[i]] receives x[i]."""

    permutation: np.ndarray  # (n,)
    moment: np.ndarray  # (d, d), the second moment of its displacements
    value: float  # lambda_max(moment), an upper bound of W_inf^2
    rounds: int
    settled: bool  # the matching repeated itself: then it is optimal


def rank_one_heuristic(x: ArrayLike, y: ArrayLike, rounds: int = 40) -> Heuristic:
    """A matching with small lambda_max(Sigma): sort along u, replace u by Sigma's top eigenvector, repeat.

    Starts from u = e_1; sorting both clouds along u gives a matching optimal for the cost <u, y - x>^2. Stops
    when the matching repeats, or after ``rounds``, and keeps the best one met. It sees permutations only and
    gives no lower bound. x, y: (n, d), equal weights.  [Figures 1 and 7]
    """
    x, y = as_clouds(x, y)
    if len(x) != len(y):
        raise ValueError(f"y: expected {len(x)} points like x, got shape {y.shape}")
    rounds = check_count("rounds", rounds)
    u, found, settled = np.eye(x.shape[1])[0], [], False
    while len(found) < rounds and not settled:
        permutation = np.empty(len(x), int)
        permutation[np.argsort(x @ u, kind="stable")] = np.argsort(y @ u, kind="stable")
        step = y[permutation] - x
        moment = step.T @ step / len(x)
        lam, vectors = np.linalg.eigh(moment)
        u = vectors[:, -1]
        settled = bool(found) and np.array_equal(permutation, found[-1][1])
        found.append((float(lam[-1]), permutation, moment))
    value, permutation, moment = min(found, key=lambda one: one[0])
    return Heuristic(permutation, moment, value, len(found), settled)


@dataclass(frozen=True)
class Matching:
    """One panel of the figures: two clouds, the certified optima for two gauges, and the heuristic."""

    x: np.ndarray  # (n, 2)
    y: np.ndarray  # (n, 2)
    trace: TransportResult  # p = 1
    operator: TransportResult  # p = inf
    heuristic: Heuristic

    @property
    def heuristic_ratio(self) -> tuple[float, float]:
        """Certified bounds (low, high) of the heuristic's value divided by W_inf^2."""
        return self._ratio(self.heuristic.value)

    @property
    def classical_ratio(self) -> tuple[float, float]:
        """Certified bounds (low, high) of lambda_max of the p = 1 plan divided by W_inf^2."""
        return self._ratio(float(np.linalg.eigvalsh(self.trace.moment)[-1]))

    @property
    def sliced_ratio(self) -> float:
        """max_u W_{uu^T}^2 / W_inf^2, a lower bound of it, over 720 directions u; 1 if one direction certifies W_inf.

        The matching of the heuristic can repeat only at a direction that reaches 1.
        """
        angles = np.arange(720) * np.pi / 720
        u = np.array([np.cos(angles), np.sin(angles)])
        costs = ((np.sort(self.x @ u, axis=0) - np.sort(self.y @ u, axis=0)) ** 2).mean(0)
        return float(costs.max() / self.operator.upper_bound)

    def _ratio(self, value):
        return value / self.operator.upper_bound, value / self.operator.lower_bound


def match(name: str, shift: ArrayLike = SHIFT, n: int | None = None, seed: int = 0, tol: float = 1e-6) -> Matching:
    """The pair ``name`` solved for p = 1 and p = inf with certificates to ``tol``, and by the heuristic.

    ``shift``, ``n`` and ``seed`` as in ``pair``.
    """
    x, y = pair(name, shift, n, seed)
    solved = [transport(x, y, gauge, tol=tol) for gauge in ("trace", "operator")]
    return Matching(x, y, *solved, heuristic=rank_one_heuristic(x, y))


def figure_1(**options: Any) -> dict[str, Matching]:
    """{pair: Matching} of Figure 1; options as in ``match``."""
    return {name: match(name, **options) for name in FIRST}


def figure_7(**options: Any) -> dict[str, Matching]:
    """{pair: Matching} of Figure 7; options as in ``match``."""
    return {name: match(name, **options) for name in PAIRS if name not in FIRST}
