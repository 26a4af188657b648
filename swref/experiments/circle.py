"""Densities on the circle, moved twice: by a plan between the cell centres, and by a fluid that also grows and dies.

The second is the dynamic problem of App. I, d nu/dt + div(nu tau) = 2 b nu with the action gamma(int u u^T dnu),
u = b w + tau, solved on a grid by the method of ``swref.dynamic_transport``, which shares nothing with the first. Its
dual is max <rho1, phi(1)> - <rho0, phi(0)> over d phi/dt + p^T Q^-1 p / 4 <= 0, p = 2 phi w + phi' w', with w' the unit
tangent. A density is a number per cell and per radian; the mass is the sum times 2 pi / n.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from ..gauges import Gauge, get_gauge
from ..grids.bounds import interior
from ..grids.kernels import admm_cells
from ..grids.spacetime import SpaceTime
from ..sphere import SphericalResult, spherical_transport

PAIRS = {"near": (1.3, 0.8), "far": (0.7, 2.6)}  # mass and angle of the target
RELAXATION, CHECK_EVERY = 1.9, 50


def angles(n: int) -> np.ndarray:
    """The cell centres 2 pi k / n."""
    return 2 * np.pi * np.arange(n) / n


def directions(n: int) -> np.ndarray:
    """The unit vectors at the cell centres, (n, 2)."""
    return np.column_stack([np.cos(angles(n)), np.sin(angles(n))])


def bump(n: int, mass: float = 1.0, angle: float = 0.0, concentration: float = 8.0, floor: float = 0.05) -> np.ndarray:
    """A von Mises density (n,) about ``angle``, with this ``concentration``.

    The share ``floor`` of its mass is spread evenly.
    """
    rho = np.exp(concentration * (np.cos(angles(n) - angle) - 1))
    return mass * ((1 - floor) * rho / rho.mean() + floor) / (2 * np.pi)


def pair(name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two densities (n,): mass one at angle 0, and the bump that ``PAIRS`` has under ``name``."""
    mass, angle = PAIRS[name]
    return bump(n), bump(n, mass, angle)


def planned(rho0: np.ndarray, rho1: np.ndarray, gauge: str | Gauge, tol: float = 1e-6) -> SphericalResult:
    """``spherical_transport`` (gauge, tol) between the densities rho0 and rho1 as atoms at the cell centres."""
    n = len(rho0)
    masses = [rho * 2 * np.pi / n for rho in (rho0, rho1)]
    return spherical_transport(*masses, gauge=gauge, directions0=directions(n), directions1=directions(n), tol=tol)


@dataclass(frozen=True)
class CircleFlow:
    """lower <= value of the discrete problem <= upper = action of (density, momentum), and a bound without the grid.

    density (n_time, n), momentum (n_time, n, 2) = density times u, metrics (n_time, 2, 2), on the time intervals.
    ``atoms_lower`` bounds the static squared distance between atoms at the cell centres.
    """

    lower: float  # of the discrete squared distance
    upper: float  # of the discrete squared distance: the action of (density, momentum)
    atoms_lower: float  # of the static squared distance between atoms at the cell centres
    density: np.ndarray  # (n_time, n)
    momentum: np.ndarray  # (n_time, n, 2): density times u
    metrics: np.ndarray  # (n_time, 2, 2)
    iterations: int  # of ADMM


def flowing(
    rho0: np.ndarray, rho1: np.ndarray, gauge: str | Gauge, n_time: int = 16, tol: float = 2e-3, max_iter: int = 3000
) -> CircleFlow:
    """The ``CircleFlow`` between the densities rho0 and rho1 (n,) in ``n_time`` intervals for a gauge.

    By ADMM, until upper - lower <= tol upper or ``max_iter``.
    """
    gauge, grid = get_gauge(gauge), _Circle(n_time, len(rho0))
    ends = grid.ends(rho0[:, None], rho1[:, None])
    safe = grid.positive_pair(rho0[:, None], rho1[:, None])
    admm = _Admm(grid, ends, gauge)
    lower, atoms, (upper, best) = 0.0, 0.0, _upper(grid, ends, gauge, safe, safe)
    while upper - lower > tol * upper and admm.iterations < max_iter:
        for _ in range(CHECK_EVERY):
            admm.step()
        value, trial = _upper(grid, ends, gauge, admm.pair(), safe)
        if value < upper:
            upper, best = value, trial
        Q = admm.Q[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
        lower = max(lower, _lower(grid, ends, gauge, admm.phi, Q))
        atoms = max(atoms, _atoms_lower(rho0, rho1, gauge, admm.phi[-1, :, 0], Q.mean(0)))
    rho, m = best
    momentum = np.moveaxis(m[..., 0], 0, -1)
    return CircleFlow(float(lower), float(upper), float(atoms), rho[..., 0], momentum, Q, admm.iterations)


class _Circle(SpaceTime):
    """``SpaceTime`` on n cells around the circle: B phi = 2 phi w + phi' w', central differences, periodic."""

    def __init__(self, n_time, n):
        super().__init__(n_time, (n, 1), (2 * np.pi / n, 1.0))
        self.w = directions(n).T[:, None, :, None]
        half = 0.5 * np.pi * np.arange(n_time + 1) / n_time
        slope = np.sin(2 * np.pi * np.arange(n // 2 + 1) / n) / self.h[0]
        self._space = (np.cos(half) ** 2)[:, None, None] * (4 + slope**2)[:, None]

    def _slope(self, f):
        return (np.roll(f, -1, 1) - np.roll(f, 1, 1)) / (2 * self.h[0])

    def B(self, phi):
        middle, w = 0.5 * (phi[1:] + phi[:-1]), self.w
        slope = self._slope(middle)
        return np.array([2 * middle * w[0] - slope * w[1], 2 * middle * w[1] + slope * w[0]])

    def Bt(self, m):
        w = self.w
        out = 2 * (m[0] * w[0] + m[1] * w[1]) - self._slope(m[1] * w[0] - m[0] * w[1])
        f = np.zeros(self.nodes)
        f[1:] = 0.5 * out
        f[:-1] += 0.5 * out
        return f

    def solve(self, f, time, space):
        """psi with (time A^T A + space B^T B) psi = f: cosines in time, exponentials around the circle."""
        f = f.copy()
        f[[0, -1]] *= 2  # the end nodes have half the weight
        g = fft.rfft(fft.dct(f, type=1, axis=0), axis=1) / (time * self._time + space * self._space)
        return fft.idct(fft.irfft(g, self.shape[0], axis=1), type=1, axis=0)


class _Admm:
    """The iteration of ``swref.grids``, with unit of length 1, for the operators of a ``_Circle``."""

    def __init__(self, grid, ends, gauge):
        self.grid, self.ends, self.gauge = grid, ends, gauge
        self.penalty, self.iterations = 0.3, 0
        self.N, self.U = np.zeros((2, 6, grid.n_time, grid.shape[0]))
        self.mean = np.tile(gauge.support(np.eye(2))[[0, 0, 1], [0, 1, 1]], (grid.n_time, 1))

    def step(self):
        grid, flat = self.grid, (self.grid.n_time, -1)
        b, a = (self._cells(self.N[rows] + self.U[rows]) for rows in (slice(3, 5), 5))
        self.phi = grid.solve(self.ends / self.penalty + grid.Bt(b) - grid.At(a), 1.0, 0.5)
        projected = [self.gauge.project(q[[0, 1, 1, 2]].reshape(2, 2)) for q in self.mean]
        self.Q = np.array([q[[0, 0, 1], [0, 1, 1]] for q in projected])
        bx, by = grid.B(self.phi)
        change, residual = admm_cells(
            grid.A(self.phi).reshape(flat), bx.reshape(flat), by.reshape(flat),
            self.Q, self.N, self.U, 1.0, RELAXATION, self.mean,
        )  # fmt: skip
        self.iterations += 1
        if self.iterations % 25 == 0 and self.iterations <= 600:  # follow the ratio of the relative residuals
            ratio = np.sqrt(residual / change) * np.linalg.norm(self.U) / np.linalg.norm(self.N)
            factor = 1.5 if ratio > 3 else 1 / 1.5 if ratio < 1 / 3 else 1.0
            self.penalty *= factor
            self.U /= factor

    def pair(self):
        """(rho, m) of the multiplier: rho >= 0, and the equation holds in the limit only."""
        return self._cells(self.penalty * self.U[5]), self._cells(-self.penalty * self.U[3:5])

    def _cells(self, x):
        return x.reshape(*x.shape[:-1], *self.grid.shape)


def _upper(grid, ends, gauge, pair, safe):
    """(action, (rho, m)) of the iterate projected on the equation and mixed with a positive solution."""
    rho, m = grid.weighted_project(*pair, ends)
    bad = rho <= 0
    least = (rho[bad] / (rho[bad] - safe[0][bad])).max() if bad.any() else 0.0
    trials = []
    for more in (1e-9, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 0.5):
        share = least + (1 - least) * more
        rho1, m1 = (1 - share) * rho + share * safe[0], (1 - share) * m + share * safe[1]
        if (rho1 > 0).all():
            S = np.einsum("atxy,btxy->tab", m1 / rho1, m1) * grid.h[0]
            trials.append((np.mean([gauge.value(one) for one in S]), (rho1, m1)))
    return min(trials, key=lambda trial: trial[0])


def _lower(grid, ends, gauge, phi, Q):
    """A bound of the discrete value: (1 - e) size phi - e k (t - 1/2), for Q mixed with a metric inside K.

    The second part is a strict solution of the inequality for small k, and the inequality is convex in phi.
    """
    a, b, value = grid.A(phi), grid.B(phi), grid.h[0] * grid.dt * np.vdot(ends, phi)
    mass, best = grid.h[0] * grid.dt * np.abs(ends).sum(), 0.0
    for share in (1e-4, 1e-3, 1e-2, 0.1):
        mixed = (1 - share) * Q + share * interior(gauge)
        H, least = 0.25 * np.einsum("atxy,tab,btxy->txy", b, np.linalg.inv(mixed), b), np.linalg.eigvalsh(mixed).min()
        k = least / 2
        spare = k - k * k / (4 * least)
        for size in (1, 0.999, 0.99, 0.97, 0.9):
            worst = max((size * a + size * size * H).max(), 0.0)
            e = worst / (worst + spare)
            best = max(best, (1 - e) * size * value - e * k * mass / 2)
    return best


def _atoms_lower(rho0, rho1, gauge, phi, Q):
    """A bound of the static value between atoms at the centres: the least phi(0) that Q and phi(1) allow."""
    w, best = directions(len(phi)), 0.0
    for share in (0, 1e-3, 1e-2, 0.1):
        q = w @ ((1 - share) * Q + share * interior(gauge)) @ w.T
        for size in (1, 0.999, 0.99):
            last = np.minimum(size * phi, np.diag(q) - 1e-12)
            first = (np.maximum(q, 0) ** 2 / (np.diag(q) - last)).max(1) - np.diag(q)
            best = max(best, (rho1 @ last - rho0 @ first) * 2 * np.pi / len(phi))
    return best
