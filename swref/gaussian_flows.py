"""Flows that keep a Gaussian Gaussian, and the modes of linear networks.  [App. F, Prop. 5.3, Prop. H.9]

An energy F(m, S) of mean and covariance has the affine force g(x) = H (x - m) + b with H = 2 dF/dS and b = dF/dm. Its
flow moves a Gaussian as it moves the r + 1 rows (r + 1)^(1/2) [A^T; m^T], A A^T = S, A (d, r), as particles of equal
weight: forces and velocities have the same second moments, so N, N* and the clock agree for every gauge. So
``gaussian_flow`` is ``swref.flow``, and S may be singular; its rank never grows.

An energy is any object with two methods:

    value(m, S) -> float                          F
    gradient(m, S) -> ((d,), (d, d))              dF/dm and dF/dS, the latter as if the entries of S were independent
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from ._modes import Modes, exponents
from ._results import Report
from ._session import steady
from ._validation import EPS, as_array, as_psd, as_symmetric, as_tolerance, check_positive, psd_eigh
from .flows import FlowResult, flow
from .gauges import Schatten, get_gauge
from .lmo import dual_norm

__all__ = [
    "GaussianFlowResult", "GaussianKL", "LinearNetwork", "ModalFlowResult", "Quadratic", "gaussian_flow", "kl_flow",
    "linear_network_flow", "modal_flow", "modal_invariant",
]  # fmt: skip

CUTOFF = 1e-4  # of the forces of arriving directions: below it the errors at p = inf are those of the steps
POINTS = 101  # times of a result when none are asked for
RANGE_TOLERANCE = 1e-8  # relative: B_rho is the cross-covariance of something with covariance C_rho


@dataclass(frozen=True, repr=False, eq=False)
class GaussianFlowResult(Report):
    """N(m_t, S_t) at ``times`` (k,), and its account of energy there, as in ``FlowResult``.

    ``residual`` = E(0) - E(t) - int_0^t dissipation. ``run`` is the flow of the rows, step by step.
    """

    times: np.ndarray = field(repr=False)  # (k,)
    mean: np.ndarray = field(repr=False)  # (k, d)
    covariance: np.ndarray = field(repr=False)  # (k, d, d)
    energy: np.ndarray = field(repr=False)  # (k,)
    dissipation: np.ndarray = field(repr=False)  # (k,): N*(g)^2
    residual: np.ndarray = field(repr=False)  # (k,)
    run: FlowResult = field(repr=False)

    @property
    def status(self):
        """How the run ended, as in ``FlowResult``."""
        return self.run.status

    def _rows(self):
        return {**self.run._rows(), "particles": f"a Gaussian in dimension {self.mean.shape[1]}"}

    def _picture(self):
        return self.run._picture()


class GaussianKL:
    """KL(N(m, S) | N(c, C)) = (tr C^-1 S - d - log det C^-1 S + (m - c).C^-1 (m - c)) / 2.  [Prop. H.9]

    ``target_mean`` c (d,), ``target_cov`` C (d, d) positive definite. Infinite for singular S.
    """

    def __init__(self, target_mean, target_cov):
        self.mean = as_array("target_mean", target_mean, 1)
        cov = as_psd("target_cov", target_cov, len(self.mean))
        self.precision = _inverse("target_cov", cov)
        self.root = np.linalg.cholesky(self.precision)  # L L^T = C^-1

    def value(self, m, S):
        relative = np.linalg.eigvalsh(self.root.T @ S @ self.root) - 1
        if relative[0] <= -1:
            return np.inf
        shift = self.root.T @ (m - self.mean)
        return float((relative - np.log1p(relative)).sum() + shift @ shift) / 2

    def gradient(self, m, S):
        scale, lam, U = psd_eigh("S", S)
        inverse = (U / (lam * scale)) @ U.T if lam[-1] > 0 else np.full_like(S, np.inf)
        return self.precision @ (m - self.mean), (self.precision - inverse) / 2


class LinearNetwork:
    """E|M z - y|^2 / 2, less its minimum, for the linear two-layer network M = E[u v^T], (u, v) ~ N(m, S).  [App. F]

    ``C_rho`` (l, l) = E[z z^T], ``B_rho`` (k, l) = E[y z^T], so u in R^k and v in R^l. In formulas
    <(M - M*) C, M - M*> / 2 with M* C = B. ValueError when there is no such M*: then B is no cross-covariance of C.
    """

    def __init__(self, C_rho, B_rho):
        self.B = as_array("B_rho", B_rho, 2)
        self.C = as_psd("C_rho", C_rho, self.B.shape[1])
        self.best = self.B @ np.linalg.pinv(self.C, hermitian=True)
        if np.abs(self.best @ self.C - self.B).max() > RANGE_TOLERANCE * np.abs(self.B).max():
            raise ValueError("B_rho: its rows must be in the range of C_rho, or the energy has no minimum")

    def predictor(self, m, S):
        """M (k, l), the second moment of u and v."""
        k = len(self.B)
        return S[:k, k:] + np.outer(m[:k], m[k:])

    def value(self, m, S):
        error = self.predictor(m, S) - self.best
        return float(((error @ self.C) * error).sum()) / 2

    def gradient(self, m, S):
        E = (self.predictor(m, S) - self.best) @ self.C
        H = np.block([[np.zeros((len(E), len(E))), E], [E.T, np.zeros((E.shape[1], E.shape[1]))]])
        return H @ m, H / 2


class Quadratic:
    """E[(x - c).A (x - c)] / 2, a quadratic potential: A (d, d) symmetric, ``center`` c (d,), None: the origin."""

    def __init__(self, A, center=None):
        self.A = as_symmetric("A", A)
        self.center = np.zeros(len(self.A)) if center is None else as_array("center", center, 1, (len(self.A),))

    def value(self, m, S):
        shift = m - self.center
        return float((self.A * S).sum() + shift @ self.A @ shift) / 2

    def gradient(self, m, S):
        return self.A @ (m - self.center), self.A / 2


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
    """(m, S) of rows x (r + 1, d)."""
    return x[-1] / np.sqrt(len(x)), x[:-1].T @ x[:-1] / len(x)


@steady
def gaussian_flow(
    energy, m0, S0, gauge, *, t_end, times=None, tol=1e-6, cutoff=None, max_steps=100_000, strict=True, progress=False
):
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
    for method in ("value", "gradient"):
        if not callable(getattr(energy, method, None)):
            raise ValueError(f"energy: expected methods value(m, S) and gradient(m, S), got {energy!r}")
    scale, lam, U = psd_eigh("S0", S0)
    keep = lam > len(lam) * EPS * lam[0]
    factor = (U * np.sqrt(lam))[:, keep] * np.sqrt(scale)
    rows = np.sqrt(factor.shape[1] + 1) * np.vstack([factor.T, m0])
    energy = _Rows(energy)
    times = np.linspace(0, check_positive("t_end", t_end), POINTS) if times is None else times
    cutoff = max(tol, CUTOFF) if cutoff is None else cutoff
    options = {"tol": tol, "cutoff": cutoff, "max_steps": max_steps, "strict": strict, "progress": progress}
    run = flow(energy, rows, gauge, t_end=t_end, snapshot_times=times, **options)

    moments = [_moments(x) for x in run.positions]
    values = np.array([energy.value(x, run.weights) for x in run.positions])
    slopes = np.array([dual_norm(energy.force(x, run.weights), gauge) for x in run.positions])
    dissipated = run.energy[0] - run.energy - run.residual
    integral = np.zeros(len(values))
    if len(run.times) > 1:  # not stationary from the start
        spline = CubicHermiteSpline(run.times, dissipated, run.dissipation)
        integral = spline(np.minimum(run.snapshot_times, run.times[-1]))
    return GaussianFlowResult(
        times=run.snapshot_times,
        mean=np.array([m for m, _ in moments]).reshape(-1, len(m0)),
        covariance=np.array([S for _, S in moments]).reshape(-1, len(m0), len(m0)),
        energy=values,
        dissipation=slopes**2,
        residual=run.energy[0] - values - integral,
        run=run,
    )


def kl_flow(m0, S0, target_mean, target_cov, gauge, *, t_end, **options):
    """The flow of KL(. | N(target_mean, target_cov)) from N(m0, S0); at p = 1 the Ornstein-Uhlenbeck flow.  [Prop. H.9]

    m0, target_mean (d,); S0, target_cov (d, d), positive definite. Returns a ``GaussianFlowResult``; ``gauge``,
    ``t_end`` and ``options`` are those of ``gaussian_flow``.
    """
    energy = GaussianKL(target_mean, target_cov)
    m0 = as_array("m0", m0, 1, energy.mean.shape)
    _inverse("S0", as_psd("S0", S0, len(m0)))
    return gaussian_flow(energy, m0, S0, gauge, t_end=t_end, **options)


def linear_network_flow(S0, C_rho, B_rho, gauge, *, t_end, **options):
    """The flow of ``LinearNetwork(C_rho, B_rho)`` from N(0, S0), which stays centred.  [Prop. F.2]

    S0 (k + l, k + l), C_rho (l, l), B_rho (k, l); singular S0 and C_rho included. Returns a ``GaussianFlowResult``;
    ``gauge``, ``t_end`` and ``options`` are those of ``gaussian_flow``.
    """
    energy = LinearNetwork(C_rho, B_rho)
    d = sum(energy.B.shape)
    return gaussian_flow(energy, np.zeros(d), as_psd("S0", S0, d), gauge, t_end=t_end, **options)


@dataclass(frozen=True, repr=False, eq=False)
class ModalFlowResult(Report):
    """r and s (k, modes) at ``times`` (k,), the account of energy there, and when each mode met an event.

    ``rank_loss_times`` (modes,): when s - |r| became zero, and inf when it did not before t_end. ``arrival_times``
    (modes,): when r became beta, inf likewise.
    """

    times: np.ndarray = field(repr=False)
    r: np.ndarray = field(repr=False)
    s: np.ndarray = field(repr=False)
    energy: np.ndarray = field(repr=False)
    dissipation: np.ndarray = field(repr=False)
    residual: np.ndarray = field(repr=False)
    rank_loss_times: np.ndarray = field(repr=False)
    arrival_times: np.ndarray = field(repr=False)
    gauge: str

    def _rows(self):
        return {
            "gauge": self.gauge,
            "modes": str(self.r.shape[1]),
            "time": f"{self.times[-1]:.6g}",
            "energy": f"{self.energy[0]:.8g} -> {self.energy[-1]:.8g}",
            "residual": f"{self.residual[-1]:.2e}",
            "rank lost at": ", ".join(f"{t:.6g}" for t in self.rank_loss_times),
        }


@steady
def modal_flow(beta, r0, s0, gauge, *, t_end, times=None, tol=1e-12):
    """The modes (r_j, s_j) of a linear network with C = I, B = diag(beta), from a balanced diagonal start.  [Prop. 5.3]

    The covariance of (u_j, v_j) is [[s_j, r_j], [r_j, s_j]], with eigenvalues a_j = s_j + r_j and b_j = s_j - r_j. For
    Schatten p, q = 2p/(2p - 1), x = r - beta and psi(x) = x |x|^(q-2),

        a_j' = -2 N^(2-q) psi(x_j) a_j^(q/2),  b_j' = 2 N^(2-q) psi(x_j) b_j^(q/2),
        N^q = sum_j (x_j^2)^(q/2) (a_j^(q/2) + b_j^(q/2)),

    E = sum x_j^2 / 2 and dE/dt = -N^2. beta, r0, s0 (modes,), s0 >= |r0|; ``gauge`` Schatten (ValueError otherwise:
    ``linear_network_flow`` takes any). ``times`` (k,) in [0, ``t_end``] as in ``gaussian_flow``.

    Integrated by LSODA with relative and absolute tolerance ``tol`` in the variables (a^eta - 1)/eta, log a at p = 1,
    eta = 1 - q/2, for the larger of s0, |beta| as the unit: at the default r is good to about 1e-10. For p > 1 two
    things happen in finite time, and stop the integrator: a variance becomes zero (rank loss), or a mode arrives,
    r = beta, while others still move. Afterwards that variance stays zero, that mode stays at beta. The first is a
    choice: where the equations allow a zero variance to leave zero, it does not.
    """
    gauge, t_end, tol = get_gauge(gauge), check_positive("t_end", t_end), as_tolerance("tol", tol)
    if not isinstance(gauge, Schatten):
        raise ValueError(f"gauge: the modal equations are those of Schatten gauges, got {gauge!r}")
    beta = as_array("beta", beta, 1)
    r0, s0 = as_array("r0", r0, 1, beta.shape), as_array("s0", s0, 1, beta.shape)
    if (s0 < np.abs(r0)).any():
        raise ValueError(f"s0: expected s0 >= |r0|, got s0 = {s0} and r0 = {r0}")
    times = np.linspace(0, t_end, POINTS) if times is None else as_array("times", times, 1)
    if (np.diff(times) <= 0).any() or times[0] < 0 or times[-1] > t_end:
        raise ValueError(f"times: must increase within [0, {t_end}], got {times}")

    unit = max(s0.max(), np.abs(beta).max()) or 1.0
    modes = Modes(gauge.p, beta / unit, np.array([s0 + r0, s0 - r0]) / unit)
    rows = modes.run(t_end * unit, times * unit, tol)
    variances, (energy, rate, integral) = rows[:, :-3].reshape(len(times), 2, -1) * unit, rows[:, -3:].T
    start = ((r0 - beta) ** 2).sum() / 2
    return ModalFlowResult(
        times=times,
        r=(variances[:, 0] - variances[:, 1]) / 2,
        s=(variances[:, 0] + variances[:, 1]) / 2,
        energy=energy * unit**2,
        dissipation=rate * unit**3,
        residual=start - (energy + integral) * unit**2,
        rank_loss_times=modes.lost / unit,
        arrival_times=modes.arrived / unit,
        gauge=repr(gauge),
    )


def modal_invariant(r, s, gauge):
    """a^eta + b^eta, eta = (p - 1)/(2p - 1), or ab = s^2 - r^2 at p = 1, a = s + r, b = s - r.  [Prop. F.4]

    Constant along ``modal_flow`` for each mode until its rank loss. For p > 1 its power 1/eta, halved, is the largest
    |r| that the mode can reach before. r, s: arrays of one shape, s >= |r|; ``gauge`` Schatten.
    """
    p = get_gauge(gauge).p
    a, b = (np.maximum(np.asarray(s, float) + sign * np.asarray(r, float), 0) for sign in (1, -1))
    eta = exponents(p)[1]
    return a * b if p == 1 else a**eta + b**eta


def _inverse(name, S):
    """The inverse of a positive definite S, or a ValueError that names it."""
    scale, lam, U = psd_eigh(name, S)
    if not lam[-1] > len(lam) * EPS * lam[0]:
        raise ValueError(f"{name}: must be positive definite, got eigenvalue {lam[-1] * scale:.3g}")
    return (U / (lam * scale)) @ U.T
