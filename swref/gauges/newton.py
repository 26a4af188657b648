"""Newton's method for a smooth convex function plus a log barrier on the simplex, for the master and ``dual``."""

import numpy as np
from scipy.linalg import get_lapack_funcs

dpotrf, dpotrs = get_lapack_funcs(("potrf", "potrs"))
MOST_STEPS = 50
RIDGES = 20  # the ridge grows tenfold from 1e-15 of the diagonal; beyond 1e5 of it rounding is not what is wrong


def barrier_newton(f, x, mu, decrement=1e-2) -> tuple:
    """argmin f(x) - mu sum_i log x_i over the open simplex, x > 0 and sum_i x_i = 1.

    ``f(x)`` returns (value, derivatives); ``derivatives()`` returns (gradient (k,), Hessian (k, k)); the value is
    inf outside the domain of f. ``x`` (k,) is a start in it. Stops when the squared Newton decrement is at most
    ``decrement * mu``, that is, well inside the region of quadratic convergence, or when rounding stops progress.
    Returns (x, derivatives at x).

    The method is primal-dual: the slopes s_i = mu / x_i of the barrier are variables of their own. With s_i tied to
    x_i, a Newton step could at most double an entry, and one that has to grow from 1e-6 would take twenty steps. After
    the first step that proves too long they are tied all the same, which is slower but reaches rounding.
    Steps are computed in the affine-scaled variable dx / x. There the barrier is diag(x s), so the system stays
    positive definite however small some x_i are and however parallel the columns of the Hessian.
    """
    value, derivatives = f(x)
    if derivatives is None:
        raise np.linalg.LinAlgError("the start is outside the domain")
    products, tied = np.full(len(x), mu), False  # x_i s_i
    for _ in range(MOST_STEPS):
        gradient, hessian = derivatives()
        # A constant gradient is invisible; without it the optimal slope is zero, not a large constant.
        slope = x * (gradient - (x @ gradient - mu * len(x))) - mu
        factor = _factor(x[:, None] * hessian * x, products)
        step, normal = -_solve(factor, slope), _solve(factor, x)
        step -= normal * ((x @ step) / (x @ normal))
        decrease = -(slope @ step)
        if not decrease > decrement * mu:
            break
        length = longest = min(1.0, 0.95 / max(-step.min(), 1e-300))
        merit, shortest = value - mu * np.log(x).sum(), 1e-8 * length
        while length > shortest:
            trial = x + length * x * step
            trial /= trial.sum()
            value, derivatives = f(trial)
            if value - mu * np.log(trial).sum() <= merit - 1e-4 * length * decrease + 1e-15 * abs(merit):
                break
            length /= 2
        else:
            value, derivatives = f(x)
            break
        slopes = (mu - products * step) / x
        tied = tied or length < longest
        products = np.full(len(x), mu) if tied else np.clip(trial * slopes, 0.1 * mu, 2 * mu)
        x = trial
    return x, derivatives


def _factor(system, diagonal):
    """Cholesky factor of system + diag(diagonal); more of the identity only when rounding made it indefinite."""
    size = len(system)
    on_diagonal = system.ravel()[:: size + 1]
    on_diagonal += diagonal
    ridge = 0.0
    for _ in range(RIDGES):
        factor, failed = dpotrf(system, lower=1, clean=0)
        if not failed:
            return factor
        step = max(1e-15 * np.abs(on_diagonal).max(), 9 * ridge)
        on_diagonal += step
        ridge += step
    raise np.linalg.LinAlgError("the Hessian is not finite, or not that of a convex function")


def _solve(factor, right):
    return dpotrs(factor, right, lower=1)[0]


def soft_max(u, mu) -> tuple[float, np.ndarray, np.ndarray]:
    """max_theta <theta, u> + mu sum_i log theta_i over the simplex: (value, theta, curvature), for u (n,).

    At the maximum theta_i = mu / (t - u_i) for the one t > max u that makes them sum to one. theta is the gradient,
    within n mu of attaining max u. The second derivative is ``curvature_gram`` along the axis of ones.
    """
    gap, ones = u.max() - u, np.ones(len(u))
    shift, theta = mu, mu / (mu + gap)
    for _ in range(100):  # Newton on the concave 1/sum(theta) = 1, from the left: increases monotonically
        total = theta @ ones
        if total - 1 <= 1e-14 * len(u):
            break
        shift += (total - 1) * total * mu / (theta @ theta)
        theta = mu / (shift + gap)
    theta /= theta @ ones
    return theta @ u + mu * (np.log(theta) @ ones), theta, theta * theta / mu


def curvature_gram(G, w, axis) -> np.ndarray:
    """G (W - W a a^T W / (a^T W a)) G^T for G (k, n), W = diag(w), a = axis (n,): every Hessian of the package.

    Written as a product X X^T, so that it stays positive semidefinite when w spans many orders of magnitude.
    """
    wa = w * axis
    total = wa @ axis
    if total > 0:
        G = G - (G @ (wa / total))[:, None] * axis
    X = G * np.sqrt(w)
    return X @ X.T
