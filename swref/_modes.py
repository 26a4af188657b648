"""The modal equations of a linear network as an initial value problem with events.  [Prop. 5.3]"""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import boxcox, inv_boxcox


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
                self.field, (t, t_end), y, "LSODA", events=[event for event, _ in events], rtol=tol, atol=tol,
                dense_output=True,
            )  # fmt: skip
            t, y = part.t[-1], part.y[:, -1]
            here = times[len(rows) :][times[len(rows) :] <= t]
            rows += [self._row(time, part.sol(time)) for time in here]
            if part.status < 0:
                raise RuntimeError(f"modal_flow: {part.message} at t = {t:.6g}, in units of the data")
            if t >= t_end:
                return np.array(rows)
            for found, (_, happen) in zip(part.t_events, events, strict=True):
                if len(found):
                    happen(t)

    def _row(self, t, y):
        energy = (self.error(y) ** 2).sum() / 2
        return np.concatenate([self.variances(y).ravel(), [energy, self.field(t, y)[-1], y[-1]]])

    def _events(self):
        """[(function of (t, y) whose zero stops the integrator, what to note then)]."""
        if self.eta == 0:
            return []
        moving = np.isinf(self.arrived) & self.alive.any(0)
        events = []
        for j in np.flatnonzero(moving):
            for i in np.flatnonzero(self.alive[:, j]):
                entry = i * len(moving) + j
                events.append((_stop(lambda t, y, k=entry: 1 + self.eta * y[k]), self._loses(i, j)))
            if moving.sum() > 1:  # the last one closes in exponentially and never arrives
                events.append((_stop(lambda t, y, j=j: self.error(y)[j]), self._arrives(j)))
        return events

    def _loses(self, i, j):
        def happen(t):
            self.alive[i, j] = False
            self.lost[j] = min(self.lost[j], t)

        return happen

    def _arrives(self, j):
        def happen(t):
            self.arrived[j] = t

        return happen


def _stop(function):
    function.terminal = True
    return function
