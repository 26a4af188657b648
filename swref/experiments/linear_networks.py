"""Linear two-layer networks as modes: paths between the leaves of their invariants, and rank loss.  [Figure 6]"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..gauges import get_gauge
from ..gaussian_flows import ModalFlowResult, modal_flow, modal_invariant

EXPONENTS = (1, 2, 4, np.inf)
ONE_TARGET = 1.0
ONE_STARTS = ((-1.5, 1.8), (-0.5, 2.0))  # (r, s)
TWO_SPREADS = (0.1, 10.0)  # s of the two modes at the start; r = 0
TWO_TARGETS = ((-1.25, -0.65), (-0.35, 1.15), (0.75, -1.10), (1.30, 0.55))
HORIZON = 18.0


def cases() -> list[tuple]:
    """The 24 flows of the figure: (beta, r0, s0, p), eight of one mode and sixteen of two."""
    one = [((ONE_TARGET,), (r,), (s,), p) for r, s in ONE_STARTS for p in EXPONENTS]
    return one + [(beta, (0.0, 0.0), TWO_SPREADS, p) for beta in TWO_TARGETS for p in EXPONENTS]


def run(beta: ArrayLike, r0: ArrayLike, s0: ArrayLike, p: float, points: int = 400, **options: Any) -> ModalFlowResult:
    """The ``modal_flow`` of one case (beta, r0, s0, p) up to HORIZON, at ``points`` times that crowd near zero.

    There the fast mode moves. ``options`` are those of ``modal_flow``.
    """
    times = HORIZON * np.linspace(0, 1, points) ** 3
    return modal_flow(beta, r0, s0, get_gauge("schatten", p=p), t_end=HORIZON, times=times, **options)


def leaf(level: float, p: float, points: int = 201) -> tuple[np.ndarray, np.ndarray]:
    """(r, s), each (points,): the curve on which the invariant of exponent p has the value of r = 0, s = ``level``.

    A hyperbola at p = 1, which never meets s = |r|; at p > 1 an arc that ends there, at |r| = level 2^(p/(p-1)).
    """
    if p == 1:
        r = level * np.sinh(np.linspace(-3, 3, points))
        return r, np.sqrt(level**2 + r**2)
    eta = 0.5 if np.isinf(p) else (p - 1) / (2 * p - 1)
    share = np.linspace(0, 1, points)
    a, b = (level * (2 * x) ** (1 / eta) for x in (share, share[::-1]))
    return (a - b) / 2, (a + b) / 2


def threshold(s0: float, p: float) -> float:
    """The largest |r| that a mode reaches from r = 0 before it loses rank: s0 2^(p/(p-1)), infinite at p = 1."""
    return np.inf if p == 1 else 2 * s0 if np.isinf(p) else s0 * 2 ** (p / (p - 1))


def account(tols: Sequence[float]) -> np.ndarray:
    """One row per case and tolerance, (24, len(tols), 3): drift of the invariants before rank loss, relative; the
    largest |residual| / E(0); the first rank loss, inf if there is none."""
    rows = []
    for beta, r0, s0, p in cases():
        for tol in tols:
            result = run(beta, r0, s0, p, tol=tol)
            level = modal_invariant(result.r, result.s, get_gauge("schatten", p=p))
            kept = result.times[:, None] < result.rank_loss_times
            drift = np.abs(np.where(kept, level / level[0] - 1, 0)).max()
            share = np.abs(result.residual).max() / result.energy[0]
            rows.append((drift, share, result.rank_loss_times.min()))
    return np.array(rows).reshape(len(cases()), len(tols), 3)
