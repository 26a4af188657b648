"""What a direction learns from a part of the data: E[J(g + noise)] - J(g) for batches of a size.  [later revision]"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..energies import TwoLayerNet
from ..gauges import Gauge
from ..lmo import lmo


class Bias(NamedTuple):
    """For each batch size, a row (mean, standard error); J is the direction of all data, M the mean over batches."""

    along: np.ndarray  # (k, 2): <M, J> / <J, J>, 1 if unbiased
    off: np.ndarray  # (k, 2): |M - J|^2 / |J|^2, Frobenius norms, 0 if unbiased; estimates of zero can be negative


def bias(
    forces: np.ndarray, gauge: str | Gauge, sizes: Iterable[int], draws: int = 400, seed: int = 0, unit: bool = False
) -> Bias:
    """The ``Bias`` of the LMO at the mean of a batch, for forces (N, n, d), one matrix for each of N data.

    ``gauge``: a name or a ``swref.Gauge``. ``sizes``: numbers of data of a batch, drawn without replacement, ``draws``
    times each, by ``seed``. ``unit``: of J / N* instead of J. Both estimates are unbiased; the error of
    ``off`` is by jackknife.
    """
    rng, whole = np.random.default_rng(seed), _direction(forces.mean(0), gauge, unit)
    rows = []
    for size in sizes:
        batches = (rng.choice(len(forces), size, replace=False) for _ in range(draws))
        found = np.array([_direction(forces[i].mean(0), gauge, unit) for i in batches])
        along = np.tensordot(found, whole, 2) / np.vdot(whole, whole)
        off = _squared_mean((found - whole).reshape(draws, -1) / np.linalg.norm(whole))
        rows.append(((along.mean(), along.std(ddof=1) / np.sqrt(draws)), off))
    return Bias(*np.array(rows).swapaxes(0, 1))


def network(n: int = 40, size: int = 256, noise: float = 0.5, seed: int = 0) -> np.ndarray:
    """Forces (N, n, 3) of the N = ``size`` data, |z_1| and ``noise``, on ``n`` ReLU neurons; ``seed`` draws both."""
    rng = np.random.default_rng(seed)
    inputs, x = rng.standard_normal((size, 2)), rng.standard_normal((n, 3))
    targets = np.abs(inputs[:, 0]) + noise * rng.standard_normal(size)
    return np.array([TwoLayerNet(z[None], y[None]).force(x) for z, y in zip(inputs, targets, strict=True)])


def _direction(G, gauge, unit):
    J = lmo(G, gauge)
    return J / np.sqrt(-np.vdot(G, J)) if unit else J


def _squared_mean(r):
    """(|E r|^2, its standard error) from rows r (draws, k): the mean of <r_i, r_j> over pairs, and its jackknife."""
    n, total, squares = len(r), r.sum(0), (r * r).sum(1)
    estimate = (total @ total - squares.sum()) / (n * (n - 1))
    rest = total - r
    without = ((rest * rest).sum(1) - (squares.sum() - squares)) / ((n - 1) * (n - 2))
    return estimate, np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
