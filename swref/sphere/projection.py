"""The projection of a measure of R^d on the sphere, mass by squared radius, and of its velocities.  [App. I]"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._session import silent
from .._validation import as_array, as_increasing, as_nonnegative


@silent
def project(x: ArrayLike, weights: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pi_2 of sum_i w_i delta_{x_i}: (directions x / |x| (n, d), masses w |x|^2 (n,)).  [Prop. I.1]

    x (n, d); weights (n,), nonnegative (None: 1/n each). A point at the origin has mass 0, in the direction e_1.
    """
    x = as_array("x", x, 2)
    weights = np.full(len(x), 1 / len(x)) if weights is None else as_nonnegative("weights", weights, 1, (len(x),))
    directions, radius = polar(x)
    return directions, (np.sqrt(weights) * radius) ** 2


def split(x: ArrayLike, v: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(b (n,), tau (n, d)) of velocities v (n, d) = b x + |x| tau, tau orthogonal to x, at x (n, d).  [Prop. I.2]

    If v(r w) = r v(w), then b and tau depend on the direction w only, and the projection of the flow solves
    d nu/dt + div(nu tau) = 2 b nu. Zero at the origin.
    """
    x = as_array("x", x, 2)
    v = as_array("v", v, 2, x.shape)
    directions, radius = polar(x)
    u = np.divide(v, radius[:, None], out=np.zeros_like(v), where=radius[:, None] > 0)
    b = (u * directions).sum(1)
    return b, u - b[:, None] * directions


def continuity_residual(
    times: ArrayLike, positions: ArrayLike, velocities: ArrayLike, weights: ArrayLike | None = None
) -> np.ndarray:
    """d/dt int psi dnu_t - int (2 b psi + tau . grad psi) dnu_t along particles, (k - 2, J).  [Prop. I.2]

    times (k,), increasing; positions, velocities (k, n, d) at those times; weights (n,) (None: 1/n). The J functions
    psi are 1, w_a and w_a w_b, a <= b: for d = 2 the trigonometric polynomials of degree 2. Time derivatives are
    second-order differences at the inner times: for a flow the residual is O(dt^2).
    """
    times, x = as_increasing("times", times, least=3), as_array("positions", positions, 3)
    if len(times) != len(x):
        raise ValueError(f"positions: expected {len(times)} of them, one per time, got shape {x.shape}")
    v = as_array("velocities", velocities, 3, x.shape)
    masses, rates = [], []
    for now, speed in zip(x, v, strict=True):
        w, mass = project(now, weights)
        b, tau = split(now, speed)
        psi, slope = _quadratics(w, tau)
        masses.append(mass @ psi)
        rates.append(mass @ (2 * b[:, None] * psi + slope))
    return (np.gradient(np.array(masses), times, axis=0) - np.array(rates))[1:-1]


def _quadratics(w, tau):
    """1, w_a, w_a w_b at w (n, d), and their derivatives along tau: (n, J) each."""
    a, b = np.triu_indices(w.shape[1])
    psi = np.column_stack([np.ones(len(w)), w, w[:, a] * w[:, b]])
    return psi, np.column_stack([np.zeros(len(w)), tau, tau[:, a] * w[:, b] + w[:, a] * tau[:, b]])


def polar(x):
    """(directions (n, d), radii (n,)), without over- or underflow of the squares; e_1 at the origin."""
    size = np.abs(x).max(1)
    unit = np.divide(x, size[:, None], out=np.zeros_like(x), where=size[:, None] > 0)
    unit[size == 0, 0] = 1
    length = np.linalg.norm(unit, axis=1)
    return unit / length[:, None], size * length
