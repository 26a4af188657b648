"""One step of a stabilised explicit Runge-Kutta method for y' = f(y), and the spectral radius that it needs.

The Runge-Kutta-Chebyshev method of second order (Sommeijer, Shampine and Verwer 1997): s stages are stable for
h rho <= 0.65 s^2, where rho is the spectral radius of the Jacobian and its spectrum is near the negative half-axis, as
that of a gradient flow is. Ten stages so replace the sixty steps of a standard explicit method.
"""

from functools import cache

import numpy as np

DAMPING = 2 / 13
MOST_STAGES = 200


def stages_for(h_rho):
    """The fewest stages, at least 2, that are stable for h rho."""
    return max(2, int(np.ceil(np.sqrt(1 + 1.54 * h_rho))))


MOST_H_RHO = (MOST_STAGES**2 - 1) / 1.54


@cache
def _coefficients(s):
    """(first, [(mu_j, nu_j, mu~_j, gamma~_j)]), j = 2..s, of the three-term recurrence."""
    w0 = 1 + DAMPING / s**2
    T, dT, ddT = [1.0, w0], [0.0, 1.0], [0.0, 0.0]
    for _ in range(2, s + 1):
        ddT.append(4 * dT[-1] + 2 * w0 * ddT[-1] - ddT[-2])
        dT.append(2 * T[-1] + 2 * w0 * dT[-1] - dT[-2])
        T.append(2 * w0 * T[-1] - T[-2])
    w1 = dT[s] / ddT[s]
    b = [ddT[max(j, 2)] / dT[max(j, 2)] ** 2 for j in range(s + 1)]
    a = [1 - b[j] * T[j] for j in range(s + 1)]
    rows = []
    for j in range(2, s + 1):
        mu_tilde = 2 * b[j] * w1 / b[j - 1]
        rows.append((2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], mu_tilde, -a[j - 1] * mu_tilde))
    return b[1] * w1, rows


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
    """(rho, direction): power iterations on differences of ``field`` around y; rho carries a safety factor 1.2.

    ``direction`` starts the iteration and is returned improved; ``length`` is the size of the differences. Stops when
    rho changes by less than 5 %, or after ``calls`` evaluations.
    """
    rho = 0.0
    for _ in range(calls):
        change = field(y + direction * (length / np.linalg.norm(direction))) - f
        size = np.linalg.norm(change)
        settled = abs(size / length - rho) <= 0.05 * size / length
        rho = size / length
        if size == 0:
            break
        direction = change
        if settled:
            break
    return 1.2 * rho, direction
