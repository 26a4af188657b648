"""The flow of an energy of mean and covariance, as the flow of particles that have them.  [Cor. F.1, Prop. H.9]"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline

from .._session import steady
from .._validation import EPS, as_array, as_psd, as_tolerance, check_methods, psd_eigh
from ..flows import FlowResult, flow
from ..flows.result import Account
from ..gauges import Gauge
from ..lmo import dual_norm
from .energies import GaussianEnergy, GaussianKL, LinearNetwork, inverse
from .modes import POINTS

CUTOFF = 1e-4  # of the forces of arriving directions: below it the errors at p = inf are those of the steps


@dataclass(frozen=True, repr=False, eq=False)
class GaussianFlowResult(Account):
    """N(m_t, S_t) at ``times`` (k,), and its account of energy there, as in ``FlowResult``.

    ``residual`` = E(0) - E(t) - int_0^t dissipation. ``run`` is the flow of the rows, step by step.
    """

    mean: np.ndarray  # (k, d): m
    covariance: np.ndarray  # (k, d, d): S
    run: FlowResult  # the flow of the rows, step by step

    @property
    def status(self) -> str:
        """How the run ended, as in ``FlowResult``."""
        return self.run.status

    def _rows(self):
        return {**self.run._rows(), "particles": f"a Gaussian in dimension {self.mean.shape[1]}"}

    def _picture(self):
        return self.run._picture()


class _Rows:
    """An energy of (m, S) as an energy of the rows (r + 1)^(1/2) [A^T; m^T], for ``swref.flow``."""

    def __init__(self, energy):
        self.energy = energy

    def value(self, x, weights):
        return self.energy.value(*_moments(x))

    def force(self, x, weights):
        b, G = self.energy.gradient(*_moments(x))
        shapes = np.shape(b), np.shape(G)
        if shapes != ((x.shape[1],), (x.shape[1], x.shape[1])):
            raise ValueError(f"energy: gradient must return dF/dm (d,) and dF/dS (d, d), got shapes {shapes}")
        g = np.empty_like(x)
        g[:-1] = x[:-1] @ (G + np.transpose(G))  # an infinite gradient: ``flow`` shortens the step
        g[-1] = np.sqrt(len(x)) * np.asarray(b)
        return g


def _moments(x):
    """(m (..., d), S (..., d, d)) of rows x (..., r + 1, d)."""
    n, A = x.shape[-2], x[..., :-1, :]
    return x[..., -1, :] / np.sqrt(n), np.swapaxes(A, -1, -2) @ A / n


@steady
def gaussian_flow(
    energy: GaussianEnergy, m0: ArrayLike, S0: ArrayLike, gauge: str | Gauge, *, t_end: float,
    times: ArrayLike | None = None, tol: float = 1e-6, cutoff: float | None = None, max_steps: int = 100_000,
    strict: bool = True, progress: bool = False,
) -> GaussianFlowResult:  # fmt: skip
    """dm/dt = -P b, dS/dt = -(P H S + S H P): the flow of an energy F(m, S) from N(m0, S0) to ``t_end``.  [Cor. F.1]

    H = 2 dF/dS, b = dF/dm, and P the multiplier of the measure LMO for the moment H S H + b b^T of the force, as in
    ``Gauge.measure_multiplier``. ``energy``: ``GaussianKL``, ``LinearNetwork``, ``Quadratic``, or any object with the
    two methods at the top of this module. m0 (d,); S0 (d, d), singular ones included: eigenvalues up to d eps lambda_1
    count as zero, and directions without variance stay so, a choice where p > 1 (the flow of App. F is not unique
    there). ``gauge``: a name or a ``swref.Gauge``.

    ``times`` (k,) increasing in [0, t_end]; None: 101 equal steps. Between the integrator's steps moments come from
    cubics of the rows, and the integral in ``residual`` from a cubic too. ``tol``, ``max_steps``, ``strict``,
    ``progress`` and errors are those of ``swref.flow``, and so is ``cutoff``, here 1e-4 or tol if that is more: a
    smaller one makes p = inf stiffer, not visibly better. Errors of m and S are proportional to tol.
    """
    m0 = as_array("m0", m0, 1)
    S0 = as_psd("S0", S0, len(m0))
    check_methods("energy", energy, "value(m, S)", "gradient(m, S)")
    scale, lam, U = psd_eigh("S0", S0)
    keep = lam > len(lam) * EPS * lam[0]
    factor = (U * np.sqrt(lam))[:, keep] * np.sqrt(scale)
    rows = np.sqrt(factor.shape[1] + 1) * np.vstack([factor.T, m0])
    lifted = _Rows(energy)
    cutoff = max(as_tolerance("tol", tol), CUTOFF) if cutoff is None else cutoff
    options = {"tol": tol, "cutoff": cutoff, "max_steps": max_steps, "strict": strict, "progress": progress}
    run = flow(lifted, rows, gauge, t_end=t_end, n_snapshots=POINTS, snapshot_times=times, **options)

    mean, covariance = _moments(run.positions)
    values = np.array([lifted.value(x, run.weights) for x in run.positions])
    slopes = np.array([dual_norm(lifted.force(x, run.weights), gauge) for x in run.positions])
    dissipated = run.energy[0] - run.energy - run.residual
    integral = np.zeros(len(values))
    if len(run.times) > 1:  # not stationary from the start
        spline = CubicHermiteSpline(run.times, dissipated, run.dissipation)
        integral = spline(np.minimum(run.snapshot_times, run.times[-1]))
    return GaussianFlowResult(
        times=run.snapshot_times, mean=mean, covariance=covariance, energy=values, dissipation=slopes**2,
        residual=run.energy[0] - values - integral, run=run,
    )  # fmt: skip


def kl_flow(
    m0: ArrayLike, S0: ArrayLike, target_mean: ArrayLike, target_cov: ArrayLike, gauge: str | Gauge, *,
    t_end: float, **options: Any,
) -> GaussianFlowResult:  # fmt: skip
    """The flow of KL(. | N(target_mean, target_cov)) from N(m0, S0); at p = 1 the Ornstein-Uhlenbeck flow.  [Prop. H.9]

    m0, target_mean (d,); S0, target_cov (d, d), positive definite. Returns a ``GaussianFlowResult``; ``gauge``,
    ``t_end`` and ``options`` are those of ``gaussian_flow``.
    """
    energy = GaussianKL(target_mean, target_cov)
    m0 = as_array("m0", m0, 1, energy.mean.shape)
    inverse("S0", as_psd("S0", S0, len(m0)))
    return gaussian_flow(energy, m0, S0, gauge, t_end=t_end, **options)


def linear_network_flow(
    S0: ArrayLike, C_rho: ArrayLike, B_rho: ArrayLike, gauge: str | Gauge, *, t_end: float, **options: Any
) -> GaussianFlowResult:
    """The flow of ``LinearNetwork(C_rho, B_rho)`` from N(0, S0), which stays centred.  [Prop. F.2]

    S0 (k + l, k + l), C_rho (l, l), B_rho (k, l); singular S0 and C_rho included. Returns a ``GaussianFlowResult``;
    ``gauge``, ``t_end`` and ``options`` are those of ``gaussian_flow``.
    """
    energy = LinearNetwork(C_rho, B_rho)
    d = sum(energy.B.shape)
    return gaussian_flow(energy, np.zeros(d), as_psd("S0", S0, d), gauge, t_end=t_end, **options)
