"""Muon as it is run: Newton-Schulz instead of the polar factor, and momentum.  [App. B]"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import RK45
from scipy.special import roots_legendre

from ._errors import NotConverged
from ._results import Report
from ._session import one_thread_for, silent
from ._validation import EPS, as_array, as_tolerance, as_weights, check_count, check_methods, check_positive, psd_eigh
from .energies import Energy
from .flows.particles import NonFinite, Particles
from .gauges import Gauge, gauge_for

__all__ = ["COEFFICIENTS", "MomentumResult", "momentum_flow", "newton_schulz", "potential", "response"]

Coefficients = str | ArrayLike | None  # the name of a published set, or rows (a, b, c)

# Polar Express divides singular values by 1.01 in all steps but the last of its list, so that rounding in bfloat16
# cannot carry one beyond the interval for which the next polynomial was made.
_SAFETY = 1.01
_POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
)

#: Published coefficients (a, b, c) of a z + b z^3 + c z^5, one row per step; the last row repeats.
COEFFICIENTS = {
    "cubic": ((1.5, -0.5, 0.0),),
    "quintic": ((3.4445, -4.7750, 2.0315),),  # of Muon: Jordan et al. 2024, torch.optim.Muon
    "dion": (  # a preset of optax
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
    "polar-express": (  # Amsel et al. 2025
        *((a / _SAFETY, b / _SAFETY**3, c / _SAFETY**5) for a, b, c in _POLAR_EXPRESS),
        (1.875, -1.25, 0.375),
    ),
}


@silent
def newton_schulz(
    G: ArrayLike, steps: int, coefficients: Coefficients = None, *, scale: float | None = None
) -> np.ndarray:
    """Z_k with Z_0 = G / alpha and Z_{j+1} = Z_j (a I + b Z_j^T Z_j + c (Z_j^T Z_j)^2), for G (n, d); returns (n, d).

    Singular vectors stay, singular values go through ``response``. The cubic, (a, b, c) = (3/2, -1/2, 0), tends to the
    polar factor U W^T of G = U sigma W^T if all sigma_i < sqrt(3) alpha. Sign: that of G; minus it is Muon's direction.

    ``steps``: k >= 0. ``coefficients``: a name in ``COEFFICIENTS`` (None: "cubic"), one triple, or triples (m, 3), the
    last of which repeats. ``scale``: alpha > 0; None is the Frobenius norm of G, as in practice. Then the result does
    not depend on the scale of G, and G = 0 stays 0; at a fixed alpha it does.  [App. B]

    Raises ValueError for malformed arguments; with large singular values at a fixed alpha the result may be infinite.
    """
    Z, rows = as_array("G", G, 2), _steps(steps, coefficients)
    if scale is None:
        Z = Z / (np.abs(Z).max() or 1.0)
        scale = float(np.linalg.norm(Z) or 1.0)
    Z = Z / check_positive("scale", scale)
    Z = Z if Z.shape[0] >= Z.shape[1] else Z.T  # the Gram matrix on the smaller side
    with one_thread_for(Z):
        for a, b, c in rows:
            A = Z.T @ Z
            Z = a * Z + Z @ (b * A + c * A @ A)
    return Z if Z.shape == np.shape(G) else Z.T


@silent
def response(sigma: ArrayLike, steps: int, coefficients: Coefficients = None, *, scale: float = 1.0) -> np.ndarray:
    """h_k(sigma / alpha), what ``newton_schulz`` makes of singular values sigma >= 0, an array of any shape.

    h_0(z) = z and h_{j+1} = a h_j + b h_j^3 + c h_j^5. ``steps``, ``coefficients``, ``scale`` = alpha: as there.
    """
    z = as_array("sigma", sigma, (0, 1, 2)) / check_positive("scale", scale)
    for a, b, c in _steps(steps, coefficients):
        z = z * (a + b * z**2 + c * z**4)
    return z


@silent
def potential(S: ArrayLike, steps: int, coefficients: Coefficients = None, *, scale: float) -> float:
    """Psi(S) = 2 sum_i int_0^{sigma_i} h_k(s / alpha) ds, a float, sigma_i^2 the eigenvalues of S (d, d).  [App. B]

    The gradient of Psi(G^T G)/2 in G is the k-step map at the fixed ``scale`` alpha, so minus that map is steepest
    descent for no gauge but for the conjugate of this function. One cubic step: 3/(2 alpha) tr S - tr S^2/(4 alpha^3).
    Psi is monotone where h_k >= 0, and Psi(G^T G) is convex in G where h_k does not decrease. It is not homogeneous.
    Exact but for rounding: Gauss-Legendre on a polynomial. ``steps``, ``coefficients``: as for ``newton_schulz``.

    Raises ValueError for malformed arguments, and for a degree 5^k beyond 10,000.
    """
    size, lam, _ = psd_eigh("S", S)
    rows = _steps(steps, coefficients)
    degree = int(np.prod([5 if c else 3 for _, _, c in rows], dtype=float))
    if degree > MOST_DEGREE:
        raise ValueError(f"steps: degree {degree}, more than {MOST_DEGREE}, loses its digits; got {steps}")
    nodes, weights = _legendre(degree // 2 + 1)  # of [-1, 1]
    sigma = np.sqrt(size * lam)
    return float(sigma @ response(np.outer(sigma, (nodes + 1) / 2), steps, coefficients, scale=scale) @ weights)


MOST_DEGREE = 10_000
_legendre = cache(roots_legendre)  # exact with n nodes for polynomials of degree below 2n


def _steps(steps, coefficients):
    """The triples (a, b, c) of each step."""
    steps = check_count("steps", steps, least=0)
    if isinstance(coefficients, str) or coefficients is None:
        try:
            rows = np.array(COEFFICIENTS[coefficients or "cubic"])
        except KeyError:
            raise ValueError(f"coefficients: expected one of {[*COEFFICIENTS]}, got {coefficients!r}") from None
    else:
        rows = np.atleast_2d(as_array("coefficients", coefficients, (1, 2)))
        if rows.shape[1] != 3:
            raise ValueError(f"coefficients: expected triples (a, b, c), got shape {rows.shape}")
    return [tuple(map(float, rows[min(k, len(rows) - 1)])) for k in range(steps)]


# -- momentum ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class MomentumResult(Report):
    """A curve in phase space at ``times`` (s,), with its account of energy; the arrays (s,) belong to these times.

    ``residual`` = (F + K)(0) - (F + K)(t) - int_0^t dissipation, absolute and cumulative, F the energy, K the kinetic
    one. It holds the error of the integrator and what the cutoff did.
    """

    times: np.ndarray  # (s,): intrinsic time
    positions: np.ndarray  # (s, n, d)
    momenta: np.ndarray  # (s, n, d): averaged forces, with the sign of the gradient
    energy: np.ndarray  # (s,): F
    kinetic: np.ndarray  # (s,): K = tau N*(a)^2 / 2
    dissipation: np.ndarray  # (s,): N*(a)^2
    residual: np.ndarray  # (s,): (F + K)(0) - (F + K)(t) - int_0^t dissipation
    weights: np.ndarray  # (n,): of the particles
    tau: float  # time over which the momentum averages
    status: Literal["finished", "max_steps", "stalled", "non-finite"]  # why the run ended, a key of STATUS
    gauge: str  # its repr
    steps: int  # accepted ones
    evaluations: int  # of the force

    def _rows(self):
        return {
            "gauge": self.gauge,
            "particles": f"{self.positions.shape[1]} in dimension {self.positions.shape[2]}",
            "time": f"{self.times[-1]:.6g}, tau {self.tau:.6g}",
            "energy": f"{self.energy[0]:.8g} -> {self.energy[-1]:.8g}",
            "kinetic energy": f"{self.kinetic[0]:.8g} -> {self.kinetic[-1]:.8g}",
            "residual": f"{self.residual[-1]:.2e}",
            "status": f"{self.status} after {self.steps} steps, {self.evaluations} forces",
        }


@silent
def momentum_flow(
    energy: Energy, x0: ArrayLike, gauge: str | Gauge, *, tau: float, t_end: float, momentum: ArrayLike | None = None,
    weights: ArrayLike | None = None, tol: float = 1e-6, cutoff: float = 1e-3, n_snapshots: int = 101,
    max_steps: int = 100_000, strict: bool = True,
) -> MomentumResult:  # fmt: skip
    """dx/dt = J(a), tau da/dt = g(x) - a, from x0 (n, d) to ``t_end``: the flow of averaged forces.  [App. B]

    J is the measure LMO, g the force of ``energy``; ``energy``, ``weights``, ``gauge``: as for ``swref.flow``.
    ``momentum`` (n, d) is a at the start (None: zero, particles at rest). A step h of an optimizer with
    B <- mu B + (1 - mu) g is a step of this flow with tau = h / (1 - mu), to first order in h.

    d/dt (F + tau N*(a)^2 / 2) = -N*(a)^2: F alone may rise. tau -> 0 gives ``swref.flow``; the trace gauge gives heavy
    ball, tau x'' + x' + g = 0; a Schatten gauge of finite p the same with a = -I_p(x'),
    I_p(V) = |V|_{S_r}^{2-r} U sigma^{r-1} W^T, r = 2p (for equal weights, up to factors n).

    Steps: explicit Runge-Kutta of order 5, relative error ``tol`` per step; they are at most about 3 tau long, and far
    shorter where J is steep. J uses the singular values of a raised to ``cutoff`` times the largest one, as in
    ``swref.flow``: J jumps at p = inf where one of them changes sign. That costs ``residual``, which tells how much.

    Returns a ``MomentumResult`` at ``n_snapshots`` equal steps of [0, t_end]. Raises NotConverged with ``.result``, the
    snapshots reached, after ``max_steps`` steps or when steps shrink to nothing, unless ``strict=False``; always when a
    force is not finite. ValueError for malformed arguments.
    """
    tau, t_end = check_positive("tau", tau), check_positive("t_end", t_end)
    tol, cutoff = as_tolerance("tol", tol), as_tolerance("cutoff", cutoff)
    max_steps = check_count("max_steps", max_steps)
    check_methods("energy", energy, "value(x, weights)", "force(x, weights)")
    x0 = as_array("x0", x0, 2)
    a0 = np.zeros_like(x0) if momentum is None else as_array("momentum", momentum, 2, x0.shape)
    weights, gauge = as_weights("weights", weights, len(x0)), gauge_for(gauge, x0.shape[1])
    run = _PhaseSpace(Particles(energy, gauge, weights, cutoff), tau, x0, a0)
    status = run.go(np.linspace(0, t_end, check_count("n_snapshots", n_snapshots, least=2)), tol, max_steps)
    result = run.result(status)
    if status == "non-finite" or (strict and status != "finished"):
        raise NotConverged(
            f"momentum_flow: {status} after {run.steps} steps, at t = {run.t:.6g} of {t_end:.6g}; "
            "the snapshots so far are in .result",
            result,
        )
    return result


class _PhaseSpace:
    """Particles (x, a) of positive weight and the dissipation so far, as one flat array for SciPy's stepper."""

    def __init__(self, particles, tau, x0, a0):
        self.particles, self.tau, self.everyone = particles, tau, np.array([x0, a0])
        self.t, self.steps, self.snapshots = 0.0, 0, []
        x, a = self.everyone[:, particles.used]
        try:
            g = particles.force(x)
        except NonFinite as error:
            raise ValueError(f"energy: at the start {error}") from None
        self.start = np.append([x, a], 0.0)
        spread = np.abs(x - x.mean(0)).max() or np.abs(x).max() or 1.0
        self.sizes = spread, max(np.abs(g).max(), np.abs(a).max()) or 1.0

    def split(self, y):
        """(x, a), each (n, d)."""
        return y[:-1].reshape(2, len(self.particles.weights), -1)

    def field(self, t, y):
        x, a = self.split(y)
        if not np.isfinite(a).all():
            raise NonFinite("the momenta leave the range of float64")
        rate = self.particles.rate(a)[0]
        return np.concatenate([rate[:-1], (self.particles.force(x) - a).ravel() / self.tau, rate[-1:]])

    def go(self, marks, tol, max_steps):
        """Step to the last of ``marks`` and keep a snapshot at each; returns the status."""
        length, force = self.sizes
        atol = tol * np.repeat([length, force, length * force], [self.start.size // 2] * 2 + [1])
        marks = list(marks)
        self._snapshot(marks.pop(0), self.start)
        try:
            # SciPy warns of rtol below 100 eps, and takes that.
            stepper = RK45(self.field, 0.0, self.start, marks[-1], rtol=max(tol, 100 * EPS), atol=atol)
            while stepper.status == "running":
                if self.steps == max_steps:
                    return "max_steps"
                stepper.step()
                if stepper.status == "failed":
                    return "stalled"
                self.t, self.steps = stepper.t, self.steps + 1
                between = stepper.dense_output()
                while marks and marks[0] <= self.t:
                    mark = marks.pop(0)
                    self._snapshot(mark, stepper.y if mark == self.t else between(mark))
        except NonFinite:
            return "non-finite"
        return "finished"

    def _snapshot(self, t, y):
        x, a = self.everyone[:, self.particles.used] = self.split(y)
        slope2, energy = self.particles.rate(a)[0][-1], self.particles.value_and_force(x)[0]
        self.snapshots.append((t, *self.everyone.copy(), energy, slope2, y[-1]))

    def result(self, status):
        times, positions, momenta, energy, slope2, spent = map(np.array, zip(*self.snapshots, strict=True))
        kinetic = self.tau * slope2 / 2
        total = energy + kinetic
        return MomentumResult(
            times=times, positions=positions, momenta=momenta, energy=energy, kinetic=kinetic, dissipation=slope2,
            residual=total[0] - total - spent, weights=self.particles.given, tau=self.tau, status=status,
            gauge=repr(self.particles.gauge), steps=self.steps, evaluations=self.particles.evaluations,
        )  # fmt: skip
