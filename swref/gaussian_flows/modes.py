"""The modal equations of a linear network as an initial value problem with events.  [Prop. 5.3]"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.special import boxcox, inv_boxcox

from .._session import steady
from .._validation import as_array, as_times, as_tolerance, check_positive
from ..flows.result import Account
from ..gauges import Gauge, Schatten, get_gauge

POINTS = 101  # times of a result when none are asked for


def exponents(p):
    """(q, eta): the dual exponent, and the power of a variance that moves at a rate without that variance."""
    q = 1.0 if np.isinf(p) else 2 * p / (2 * p - 1)
    return q, 1 - q / 2


class Modes:
    """The modal equations for variances (2, modes), in the variables (v^eta - 1)/eta, and what has happened so far."""

    def __init__(self, p, beta, variances):
        self.beta, (self.q, self.eta) = beta, exponents(p)
        self.floor = -1 / self.eta if self.eta > 0 else -np.inf
        self.alive = variances > 0
        self.start = np.where(self.alive, boxcox(np.where(self.alive, variances, 1), self.eta), 0)
        self.lost = np.full(len(beta), np.inf)
        self.arrived = np.where((variances[0] - variances[1]) / 2 == beta, 0, np.inf)

    def variances(self, y):
        values = inv_boxcox(np.maximum(y[:-1].reshape(2, -1), self.floor), self.eta)
        return np.where(self.alive, values, 0)

    def error(self, y):
        """r - beta (modes,), zero for modes that have arrived."""
        a, b = self.variances(y)
        return np.where(np.isinf(self.arrived), (a - b) / 2 - self.beta, 0)

    def field(self, t, y):
        """d/dt of the variables and of the integral of N^2."""
        x, v = self.error(y), self.variances(y)
        size = np.abs(x)
        N = (size**self.q * (v ** (self.q / 2)).sum(0)).sum() ** (1 / self.q)
        rate = 2 * N ** (2 - self.q) * np.sign(x) * size ** (self.q - 1)
        return np.append(np.array([-rate, rate]) * self.alive, N**2)

    def run(self, t_end, times, tol):
        """(k, 2 modes + 3) at ``times``: variances, then E, N^2 and its integral."""
        t, y, rows = 0.0, np.append(self.start, 0.0), []
        while True:
            events = self._events()
            part = solve_ivp(
                self.field, (t, t_end), y, "LSODA", events=[event for event, *_ in events], rtol=tol, atol=tol,
                dense_output=True,
            )  # fmt: skip
            t, y = part.t[-1], part.y[:, -1]
            here = times[len(rows) :][times[len(rows) :] <= t]
            rows += [self._row(time, part.sol(time)) for time in here]
            if part.status < 0:
                raise RuntimeError(f"modal_flow: {part.message} at t = {t:.6g}, in units of the data")
            if t >= t_end:
                return np.array(rows)
            for found, (_, lost, mode) in zip(part.t_events, events, strict=True):
                if len(found) and lost is None:
                    self.arrived[mode] = t
                elif len(found):
                    self.alive[lost, mode], self.lost[mode] = False, t

    def _row(self, t, y):
        energy = (self.error(y) ** 2).sum() / 2
        return np.concatenate([self.variances(y).ravel(), [energy, self.field(t, y)[-1], y[-1]]])

    def _events(self):
        """[(function of (t, y) whose zero stops the integrator, which variance of the mode is lost or None, mode)]."""
        if self.eta == 0:
            return []
        moving = np.isinf(self.arrived) & self.alive.any(0)
        events = []
        for j in np.flatnonzero(moving):
            for i in np.flatnonzero(self.alive[:, j]):
                entry = i * len(moving) + j
                events.append((_stop(lambda t, y, k=entry: 1 + self.eta * y[k]), i, j))
            if moving.sum() > 1:  # the last one closes in exponentially and never arrives
                events.append((_stop(lambda t, y, j=j: self.error(y)[j]), None, j))
        return events


def _stop(function):
    function.terminal = True
    return function


@dataclass(frozen=True, repr=False, eq=False)
class ModalFlowResult(Account):
    """r and s (k, modes) at ``times`` (k,), the account of energy there, and when each mode met an event.

    ``rank_loss_times`` (modes,): when s - |r| became zero, and inf when it did not before t_end. ``arrival_times``
    (modes,): when r became beta, inf likewise.
    """

    r: np.ndarray  # (k, modes): predictions
    s: np.ndarray  # (k, modes): sizes
    rank_loss_times: np.ndarray  # (modes,): when s - |r| became 0; inf if never
    arrival_times: np.ndarray  # (modes,): when r became beta; inf if never
    gauge: str  # its repr

    def _rows(self):
        return {
            "gauge": self.gauge,
            "modes": str(self.r.shape[1]),
            **super()._rows(),
            "rank lost at": ", ".join(f"{t:.6g}" for t in self.rank_loss_times),
        }


@steady
def modal_flow(
    beta: ArrayLike, r0: ArrayLike, s0: ArrayLike, gauge: str | Gauge, *,
    t_end: float, times: ArrayLike | None = None, tol: float = 1e-12,
) -> ModalFlowResult:  # fmt: skip
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
    gauge, t_end, tol = _schatten(gauge), check_positive("t_end", t_end), as_tolerance("tol", tol)
    beta = as_array("beta", beta, 1)
    r0, s0 = as_array("r0", r0, 1, beta.shape), as_array("s0", s0, 1, beta.shape)
    if (s0 < np.abs(r0)).any():
        raise ValueError(f"s0: expected s0 >= |r0|, got s0 = {s0} and r0 = {r0}")
    times = np.linspace(0, t_end, POINTS) if times is None else as_times("times", times, t_end)

    unit = max(s0.max(), np.abs(beta).max()) or 1.0
    modes = Modes(gauge.p, beta / unit, np.array([s0 + r0, s0 - r0]) / unit)
    rows = modes.run(t_end * unit, times * unit, tol)
    variances, (energy, rate, integral) = rows[:, :-3].reshape(len(times), 2, -1) * unit, rows[:, -3:].T
    start = ((r0 - beta) ** 2).sum() / 2
    return ModalFlowResult(
        times=times, r=(variances[:, 0] - variances[:, 1]) / 2, s=(variances[:, 0] + variances[:, 1]) / 2,
        energy=energy * unit**2, dissipation=rate * unit**3, residual=start - (energy + integral) * unit**2,
        rank_loss_times=modes.lost / unit, arrival_times=modes.arrived / unit, gauge=repr(gauge),
    )  # fmt: skip


def modal_invariant(r: ArrayLike, s: ArrayLike, gauge: str | Gauge) -> np.ndarray:
    """a^eta + b^eta, eta = (p - 1)/(2p - 1), or ab = s^2 - r^2 at p = 1, a = s + r, b = s - r.  [Prop. F.4]

    Constant along ``modal_flow`` for each mode until its rank loss. For p > 1 its power 1/eta, halved, is the largest
    |r| that the mode can reach before. r, s: arrays of one shape, s >= |r|; ``gauge`` Schatten.
    """
    p, r = _schatten(gauge).p, as_array("r", r, (0, 1, 2))
    s = as_array("s", s, r.ndim, r.shape)
    a, b, eta = np.maximum(s + r, 0), np.maximum(s - r, 0), exponents(p)[1]
    return a * b if p == 1 else a**eta + b**eta


def _schatten(gauge):
    gauge = get_gauge(gauge)
    if not isinstance(gauge, Schatten):
        raise ValueError(f"gauge: the modal equations are those of Schatten gauges, got {gauge!r}")
    return gauge
