"""Linear minimization oracles: the steepest descent directions of a gauge.  [Def. 2.1-2.3, Prop. 2.6]"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._measures import unit_scale
from ._session import one_thread_for, silent
from ._validation import as_array, as_cloud, as_weights
from .gauges import Gauge, gauge_for


@silent
def lmo(G: ArrayLike, gauge: str | Gauge) -> np.ndarray:
    """J(G) = argmin_V <G, V> + gamma(V^T V)/2 for a matrix G (n, d); returns V (n, d).

    ``gauge``: a name or a ``swref.Gauge``.

    Scale: V carries the dual norm, <G, V> = -N*(G)^2 and N(V) = N*(G); the unit direction is V / N*(G).
    Sign: V is a descent direction, -G at the trace gauge and -|G|_* U W^T at the operator gauge.
    Cutoff: singular values up to max(n, d) * eps * sigma_1 count as zero and stay zero (canonical selector); at p = inf
    the minimizer is not unique for singular G and jumps where the rank changes.
    Raises ValueError for a malformed G or gauge, GaugeError for a gauge that breaks its axioms.
    """
    G = as_array("G", G, 2)
    return _descent(G, gauge_for(gauge, G.shape[1]), np.ones(len(G)))


@silent
def measure_lmo(g: ArrayLike, gauge: str | Gauge, weights: ArrayLike | None = None) -> np.ndarray:
    """argmin_v sum_i w_i g_i.v_i + gamma(sum_i w_i v_i v_i^T)/2 for force samples g (n, d); returns v (n, d).

    v = -P g with P (d, d) a function of sum_i w_i g_i g_i^T only, so particles interact through one small matrix.
    ``weights`` (n,) sum to one; None means 1/n. ``gauge``, scale, sign, cutoff and errors as for ``lmo``; with equal
    weights ``measure_lmo(n * G) = n * lmo(G)`` entry by entry.  [Def. 2.3, Prop. 2.6]
    """
    g = as_cloud("g", g)
    return _descent(g, gauge_for(gauge, g.shape[1]), as_weights("weights", weights, len(g)))


@silent
def tangent_norm(V: ArrayLike, gauge: str | Gauge, weights: ArrayLike | None = None) -> float:
    """N(V) = gamma(sum_i w_i v_i v_i^T)^(1/2) for V (n, d), a float.

    ``gauge``, ``weights``, errors: as for ``measure_lmo``.
    """
    V = as_cloud("V", V)
    weights, gauge = as_weights("weights", weights, len(V)), gauge_for(gauge, V.shape[1])
    scale, V = unit_scale(V)
    with one_thread_for(V):
        return float(scale * gauge._norm(np.sqrt(weights)[:, None] * V))


@silent
def dual_norm(g: ArrayLike, gauge: str | Gauge, weights: ArrayLike | None = None) -> float:
    """N*(g) = sup {sum_i w_i g_i.v_i : N(v) <= 1} for g (n, d): the slope of an energy with force g.  [Thm 5.1]

    A float. ``gauge``, ``weights``, errors: as for ``measure_lmo``.
    """
    g = as_cloud("g", g)
    weights, gauge = as_weights("weights", weights, len(g)), gauge_for(gauge, g.shape[1])
    scale, g = unit_scale(g)
    pairing = -(weights[:, None] * g * _descent(g, gauge, weights)).sum()
    return float(scale * np.sqrt(max(pairing, 0.0)))


def _descent(g, gauge, weights):
    scale, unit = unit_scale(g)
    if not unit.any():
        return np.zeros_like(g)
    with one_thread_for(g):
        return -scale * gauge._multiply(unit, np.sqrt(weights)[:, None] * unit)
