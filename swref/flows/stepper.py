"""One step of a stabilised explicit Runge-Kutta method for y' = f(y), and the spectral radius that it needs.

The Runge-Kutta-Chebyshev method of second order (Sommeijer, Shampine and Verwer 1997): s stages are stable for
h rho <= 0.65 s^2, where rho is the spectral radius of the Jacobian and its spectrum is near the negative half-axis, as
that of a gradient flow is. Ten stages so replace the sixty steps of a standard explicit method.
"""

from functools import cache

import numpy as np
from numpy.polynomial.chebyshev import chebder, chebval

MOST_STAGES = 200
DAMPING, STAGES_SQUARED = 2 / 13, 1.54  # of the polynomials; s^2 per h rho, 1/0.65: then they are stable
MARGIN, SETTLED = 1.2, 0.05  # on an estimate of the spectral radius, and its relative change that ends the iteration


def stages_for(h_rho):
    """The fewest stages, at least 2, that are stable for h rho."""
    return max(2, int(np.ceil(np.sqrt(1 + STAGES_SQUARED * h_rho))))


MOST_H_RHO = (MOST_STAGES**2 - 1) / STAGES_SQUARED


@cache
def _coefficients(s):
    """(first, [(mu_j, nu_j, mu~_j, gamma~_j)]), j = 2..s, of the three-term recurrence."""
    w0 = 1 + DAMPING / s**2
    T, dT, ddT = (chebval(w0, chebder(np.eye(s + 1), order)) for order in range(3))  # T_0 .. T_s at w0
    w1, b = dT[s] / ddT[s], ddT[2:] / dT[2:] ** 2
    b = np.append([b[0], b[0]], b)
    a, ratio = 1 - b * T, b[2:] / b[1:-1]
    rows = np.column_stack([2 * w0 * ratio, -b[2:] / b[:-2], 2 * w1 * ratio, -a[1:-1] * 2 * w1 * ratio])
    return float(b[1] * w1), rows.tolist()


def step(field, y, f, h, s):
    """y(t + h) to second order from y = y(t) and f = field(y), with s >= 2 stages: s - 1 calls of ``field``."""
    first, rows = _coefficients(s)
    before, now = y, y + first * h * f
    for mu, nu, mu_tilde, gamma_tilde in rows:
        before, now = now, (1 - mu - nu) * y + mu * now + nu * before + h * (mu_tilde * field(now) + gamma_tilde * f)
    return now


def local_error(y, f, y_new, f_new, h):
    """The embedded estimate of the error of one step, of third order in h."""
    return 0.8 * (y - y_new) + 0.4 * h * (f + f_new)


def spectral_radius(field, y, f, direction, length, calls):
    """(rho, direction): power iterations on differences of ``field`` around y; rho carries a ``MARGIN``.

    ``direction`` starts the iteration and is returned improved; ``length`` is the size of the differences. Stops when
    rho has ``SETTLED``, or after ``calls`` evaluations.
    """
    rho = 0.0
    for _ in range(calls):
        change = field(y + direction * (length / np.linalg.norm(direction))) - f
        before, rho = rho, np.linalg.norm(change) / length
        if rho == 0:
            break
        direction = change
        if abs(rho - before) <= SETTLED * rho:
            break
    return MARGIN * rho, direction
