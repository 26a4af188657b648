"""``spherical_transport`` against CVXPY, POT, SciPy, closed forms and the theorems of App. I."""

import pickle
from decimal import Decimal, getcontext
from fractions import Fraction

import cvxpy as cp
import numpy as np
import ot
import pytest
from scipy.linalg import expm
from scipy.optimize import minimize_scalar
from strategies import CONVEX, EPS, TwoFunctions, compositions, example, orthogonal

import swref
from swref import sphere
from swref.sphere import SphereOracle
from swref.sphere.bounds import OPEN, Plan, lower_bound, upper_bound

TRACE, OPERATOR = swref.get_gauge("trace"), swref.get_gauge("operator")
FROBENIUS, KY_FAN = swref.get_gauge("schatten", p=2), swref.get_gauge("kyfan", k=2)
EXPONENTS = (1, 1.5, 2, 3, np.inf)


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def at(*angles):
    return np.column_stack([np.cos(angles), np.sin(angles)])


def measures(n, m, d, seed=0, shift=0.5):
    """Random masses and directions; the second cloud is shifted, so that some atoms see no partner."""
    rng = np.random.default_rng(seed)
    x, y = unit(rng.standard_normal((n, d))), unit(rng.standard_normal((m, d)) + shift * np.eye(d)[0])
    return rng.uniform(0.2, 1.5, n), x, rng.uniform(0.2, 1.5, m), y


def distance(p, x, q, y, gauge, **options):
    return sphere.spherical_transport(p, q, gauge, directions0=x, directions1=y, **options)


def diracs(M, m, angle, gauge, **options):
    return distance([M], at(0.0), [m], at(angle), gauge, **options)


def second(w, masses):
    return (w * masses[:, None]).T @ w


def conic(p, x, q, y, gauge):
    """The second-order cone program over g, h, s, in CVXPY: every pair is a variable."""
    n, m, d = len(p), len(q), x.shape[1]
    g, h, s = (cp.Variable((n, m), nonneg=True) for _ in range(3))
    flat = [cp.vec(v, order="F") for v in (g + h, g - h, 2 * s)]
    rules = [cp.sum(g, 1) <= p, cp.sum(h, 0) <= q, cp.SOC(flat[0], cp.vstack(flat[1:]), axis=0)]
    cross = x.T @ s @ y
    S = cp.Variable((d, d), symmetric=True)
    rules.append(second(x, p) + second(y, q) - cross - cross.T == S)
    return cp.Problem(cp.Minimize(gauge(S)), rules).solve(solver="CLARABEL")


Q0 = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.7]])
CONIC = {
    "trace": (TRACE, cp.trace),
    "frobenius": (FROBENIUS, lambda S: cp.norm(S, "fro")),
    "operator": (OPERATOR, cp.lambda_max),
    "ky fan": (KY_FAN, lambda S: cp.lambda_sum_largest(S, 2)),
    "plugin": (TwoFunctions(OPERATOR), cp.lambda_max),
    "sum": (OPERATOR + 0.3 * TRACE, lambda S: cp.lambda_max(S) + 0.3 * cp.trace(S)),
}
CONIC_3 = {
    "linear": (swref.get_gauge("linear", Q0=Q0), lambda S: cp.trace(Q0 @ S)),
    "block max": (
        swref.get_gauge("block-max", blocks=[2, 1], scales=[1, 2]),
        lambda S: cp.maximum(cp.lambda_max(S[:2, :2]), S[2, 2] / 4),
    ),
    "block sum": (
        swref.get_gauge("block-sum", blocks=[2, 1], gauge="schatten", p=2),
        lambda S: cp.norm(S[:2, :2], "fro") + S[2, 2],
    ),
}


@pytest.mark.parametrize("name, d", [(name, d) for name in CONIC for d in (2, 3, 5)] + [(name, 3) for name in CONIC_3])
def test_the_conic_program_lies_in_the_bracket(name, d):
    gauge, atom = (CONIC | CONIC_3)[name]
    problem = measures(8, 7, d, seed=d)
    result, value = distance(*problem, gauge, tol=1e-8), conic(*problem, atom)
    assert result.status == "converged"
    assert result.relative_gap <= 1e-8
    assert abs(value / result.upper_bound - 1) <= 2e-6  # Clarabel's own accuracy, by its default


@pytest.mark.parametrize("seed", range(6))
def test_one_metric_against_an_interior_point_in_logarithms(seed):
    p, x, q, y = measures(7, 6, 3, seed)
    R = np.random.default_rng(seed).standard_normal((3, 3))
    c = np.maximum(x @ (R @ R.T) @ y.T, 0)
    a, b = cp.Variable(7), cp.Variable(6)
    rules = [a[i] + b[j] >= np.log(c[i, j]) for i, j in zip(*np.nonzero(c), strict=True)]
    dual = cp.Problem(cp.Minimize(p @ cp.exp(2 * a) + q @ cp.exp(2 * b)), rules).solve(solver="CLARABEL")
    value, moment, _ = SphereOracle(p, x, q, y).evaluate(R @ R.T)
    total = np.trace(R @ R.T @ (second(x, p) + second(y, q)))
    assert abs(value - (total - dual)) <= 1e-6 * total
    assert abs(value - np.vdot(R @ R.T, moment)) <= 1e-12 * total


def test_warm_starts_reach_the_value_of_cold_ones():
    problem, rng = measures(60, 50, 3), np.random.default_rng(1)
    oracle = SphereOracle(*problem)
    for size in (1, 1, 0.1, 1e-3, 0):
        R = np.eye(3) + size * rng.standard_normal((3, 3))
        cold, warm = SphereOracle(*problem).evaluate(R @ R.T), oracle.evaluate(R @ R.T)
        assert np.isclose(cold[0], warm[0], rtol=1e-12)
    assert oracle.pivots[0] > 50
    assert oracle.evaluate(R @ R.T)[0] == warm[0]
    assert oracle.pivots[-1] == 0


# -- closed forms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("angle", [0.3, 1.0, 1.5, 2.0, 3.0, np.pi])
def test_two_diracs_need_one_variable(p, angle):
    gauge, b = swref.get_gauge("schatten", p=p), at(angle)[0]
    for M, m in ((1, 1), (1, 0.5), (0.2, 1)):

        def price(s, M=M, m=m):
            cross = np.outer([1, 0], b)
            return gauge.value(M * np.diag([1.0, 0]) + m * np.outer(b, b) - s * (cross + cross.T))

        top = np.sqrt(M * m)
        best = minimize_scalar(price, bounds=(0, top), method="bounded", options={"xatol": 1e-12}).fun
        best = min(best, price(0), price(top))
        assert np.isclose(diracs(M, m, angle, gauge, tol=1e-8).upper_bound, best, rtol=2e-8)


@pytest.mark.parametrize("angle", [0.2, 0.9, 1.4])
def test_at_infinity_the_distance_is_that_of_a_point_to_a_segment(angle):
    for m in (0.1, np.cos(angle) ** 2, 0.9, 1.0):
        nearest = np.clip(np.cos(angle), 0, np.sqrt(m)) * at(angle)[0]
        exact = ((nearest - [1, 0]) ** 2).sum()
        assert np.isclose(diracs(1, m, angle, OPERATOR, tol=1e-8).upper_bound, exact, rtol=1e-8)


@pytest.mark.parametrize("p", [1.5, 2, 5, np.inf])
def test_equal_masses(p):
    gauge, r = swref.get_gauge("schatten", p=p), 1 / (1 - 1 / p)
    for angle in (0.1, 0.9, 1.5):
        result = diracs(2, 2, angle, gauge, tol=1e-10, strict=False)
        exact = 8 * (np.cos(angle / 2) ** (-2 * r) + np.sin(angle / 2) ** (-2 * r)) ** (-1 / r)
        tau = np.tan(angle / 2) ** (2 * r)
        assert np.isclose(result.upper_bound, exact, rtol=1e-9)
        assert np.isclose(result.s.sum() / 2, (1 - tau) / (1 + tau), atol=1e-4)  # value flat in s: root of the gap


@pytest.mark.parametrize("p", [1.5, 2, np.inf])
def test_beyond_a_right_angle_nothing_moves_and_the_distance_grows(p):
    gauge = swref.get_gauge("schatten", p=p)
    for m in (0.3, 1.0):
        results = [diracs(1, m, angle, gauge) for angle in (1.6, 2.2, 3.0)]
        assert all(result.s.sum() <= 1e-9 for result in results)
        assert (np.diff([result.lower_bound for result in results]) > 1e-3).all()
        assert diracs(1, m, 1.5, gauge).s.sum() > 1e-3
    full = diracs(
        1, 0.5, 0.7, gauge, tol=1e-10, strict=False
    )  # cos 0.7 > sqrt(0.5): the lighter atom is filled by moving
    assert np.isclose(full.s.sum(), np.sqrt(0.5), rtol=1e-6)
    assert diracs(1, 0.5, 0.9, gauge, tol=1e-8).s.sum() < 0.995 * np.sqrt(0.5)


def test_the_trace_is_wasserstein_fisher_rao_cut_off_at_a_right_angle():
    for angle in (0.0, 0.5, 1.5, np.pi / 2, 2.0, np.pi):
        exact = 1.7 - 2 * np.sqrt(0.7) * np.cos(min(angle, np.pi / 2))
        assert np.isclose(diracs(1, 0.7, angle, TRACE, tol=1e-9).upper_bound, exact, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.*L-BFGS-B:DeprecationWarning")  # inside POT
def test_the_trace_against_entropic_marginals_in_pot():
    p, x, q, y = measures(10, 9, 3, seed=2)
    x[:, 0], y[:, 0] = np.abs(x[:, 0]) + 1, np.abs(y[:, 0]) + 1  # all angles below pi / 2
    x, y = unit(x), unit(y)
    plan = ot.unbalanced.lbfgsb_unbalanced(
        p, q, -2 * np.log(x @ y.T), reg=0, reg_m=1, reg_div="kl", numItermax=20000, stopThr=1e-16
    )

    def kl(u, v):
        return (u * np.log(u / v) - u + v).sum()

    theirs = (plan * -2 * np.log(x @ y.T)).sum() + kl(plan.sum(1), p) + kl(plan.sum(0), q)
    ours = distance(p, x, q, y, TRACE, tol=1e-9)
    assert ours.lower_bound <= theirs
    assert np.isclose(ours.upper_bound, theirs, rtol=1e-5)


@pytest.mark.parametrize("gauge", [TRACE, FROBENIUS, OPERATOR, KY_FAN, *compositions(3)], ids=repr)
def test_one_empty_side(gauge):
    p, x, _, y = measures(6, 5, 3)
    exact = gauge.value(second(x, p))
    for nothing in ((np.zeros(0), np.zeros((0, 3))), (np.zeros(5), y)):
        for result in (distance(p, x, *nothing, gauge, tol=1e-8), distance(*nothing, p, x, gauge, tol=1e-8)):
            assert np.isclose(result.upper_bound, exact, rtol=1e-12)
            assert result.s.nnz == 0
            assert len(result.geodesic(0.5)[1]) == 6
    assert np.isclose(result.geodesic(0.5)[1].sum(), p.sum() / 4)


@pytest.mark.parametrize("seed", range(4))
def test_a_metric_of_rank_one_is_closed(seed):
    p, x, q, y = measures(9, 8, 3, seed)
    u = np.random.default_rng(seed).standard_normal(3)
    a, b = x @ u, y @ u
    exact = sum(
        (np.sqrt(p @ np.maximum(sign * a, 0) ** 2) - np.sqrt(q @ np.maximum(sign * b, 0) ** 2)) ** 2 for sign in (1, -1)
    )
    assert np.isclose(SphereOracle(p, x, q, y).evaluate(np.outer(u, u))[0], exact, rtol=1e-10)


# -- theorems -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_it_is_a_metric_that_scales_with_the_root_of_mass(p):
    gauge = swref.get_gauge("schatten", p=p)
    a, b, c = [(mass, w) for k in range(3) for mass, w in [measures(6 + k, 1, 3, k)[:2]]]
    ab, bc, ac = (distance(*u, *v, gauge, tol=1e-8) for u, v in ((a, b), (b, c), (a, c)))
    assert ac.distance <= (ab.distance + bc.distance) * (1 + 1e-8)
    assert np.isclose(distance(*b, *a, gauge, tol=1e-8).distance, ab.distance, rtol=1e-8)
    same = distance(*a, *a, gauge)
    assert same.upper_bound == same.lower_bound == same.relative_gap == 0
    assert same.status == "converged"
    R = orthogonal(3, 1)
    turned = distance(a[0], a[1] @ R, b[0], b[1] @ R, gauge, tol=1e-8)
    assert np.isclose(turned.distance, ab.distance, rtol=1e-8)
    for factor in (1e-3, 1e150, 1e-250):
        scaled = distance(factor * a[0], a[1], factor * b[0], b[1], gauge, tol=1e-8)
        assert np.isclose(scaled.distance, np.sqrt(factor) * ab.distance, rtol=1e-8)


@pytest.mark.parametrize(
    "gauge, low, high", [(FROBENIUS, 3**-0.5, 1), (OPERATOR, 1 / 3, 1), (KY_FAN, 2 / 3, 1)], ids=repr
)
def test_between_two_multiples_of_wasserstein_fisher_rao(gauge, low, high):
    for seed in range(5):
        problem = measures(8, 7, 3, seed)
        ratio = distance(*problem, gauge).upper_bound / distance(*problem, TRACE).upper_bound
        assert low - 1e-6 <= ratio <= high + 1e-6


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_it_is_the_least_distance_between_lifts(p):
    gauge, rng = swref.get_gauge("schatten", p=p), np.random.default_rng(p if p < 9 else 9)
    problem = measures(7, 6, 3, seed=4)
    result = distance(*problem, gauge, tol=1e-8)
    z0, z1, weights = result.lift()
    best = swref.transport(z0, z1, gauge, weights, weights, tol=1e-8)
    assert np.isclose(best.upper_bound, result.upper_bound, rtol=3e-8)
    for _ in range(3):  # the same measures, masses lifted to other radii, some mass at the origin
        lifts = []
        for mass, w in (problem[:2], problem[2:]):
            share = rng.dirichlet(np.ones(2 * len(mass)))[: len(mass)] * 0.9
            lifts += [np.vstack([w * np.sqrt(mass / share)[:, None], 0 * w[:1]]), np.append(share, 1 - share.sum())]
        other = swref.transport(lifts[0], lifts[2], gauge, lifts[1], lifts[3])
        assert other.upper_bound >= result.lower_bound
        assert other.lower_bound > result.upper_bound  # random radii are not the best ones


@pytest.mark.parametrize("p", [2, np.inf])
def test_it_is_the_largest_wasserstein_fisher_rao_over_linear_maps(p):
    gauge = swref.get_gauge("schatten", p=p)
    problem = measures(10, 9, 3, seed=5)
    result = distance(*problem, gauge, tol=1e-8)

    def mapped(Q):
        lam, U = np.linalg.eigh(Q)
        A = (U * np.sqrt(np.maximum(lam, 0))).T
        images = []
        for mass, w in (problem[:2], problem[2:]):
            directions, masses = sphere.project(w @ A.T, mass)
            images += [masses, directions]
        return distance(*images, TRACE, tol=1e-9)

    assert np.isclose(mapped(result.metric).upper_bound, result.upper_bound, rtol=3e-8)
    rng = np.random.default_rng(0)
    for _ in range(3):
        R = rng.standard_normal((3, 3))
        assert mapped(gauge.support(R @ R.T)).lower_bound <= result.upper_bound


def test_ky_fan_is_a_multiple_of_the_operator_gauge_where_its_metric_is_spread():
    problem = measures(40, 40, 5, seed=7, shift=0)
    largest = distance(*problem, OPERATOR, tol=1e-7)
    assert np.linalg.eigvalsh(largest.metric)[-1] < 0.5
    assert np.isclose(distance(*problem, KY_FAN, tol=1e-7).upper_bound, 2 * largest.upper_bound, rtol=3e-7)


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_projected_lifts_are_geodesics_of_constant_speed(p):
    gauge = swref.get_gauge("schatten", p=p)
    mass, x, other, y = measures(8, 7, 3, seed=3)
    result = distance(mass, x, other, y, gauge, tol=1e-8)
    for s, t in ((0, 0.5), (0.3, 0.8)):
        (w, m), (v, n) = result.geodesic(s), result.geodesic(t)
        part = distance(m, w, n, v, gauge, tol=1e-7)
        assert np.isclose(part.distance, (t - s) * result.distance, rtol=1e-6)
    for t, (nu, w) in ((0, (mass, x)), (1, (other, y))):
        v, m = result.geodesic(t)
        assert distance(m, v, nu, w, TRACE, strict=False).distance <= 1e-6 * result.distance
    masses = [result.geodesic(t)[1].sum() for t in (0, 0.5, 1)]
    assert np.isclose(masses[0] - 2 * masses[1] + masses[2], np.trace(result.moment) / 2)  # mass'' = 2 tr S


# -- the certificate ----------------------------------------------------------------------------------------------


REGISTERED = [example(name, 3) for name in CONVEX]


@pytest.mark.parametrize("gauge", [*REGISTERED, TwoFunctions(OPERATOR), *compositions(3)], ids=repr)
def test_each_bound_follows_from_what_proves_it(gauge):
    p, x, q, y = measures(12, 11, 3, seed=6)
    result = distance(p, x, q, y, gauge)
    (g, h), s, (f, k), Q = result.semi_couplings, result.s.toarray(), result.potentials, result.metric
    assert max((g.sum(1) / p).max(), (h.sum(0) / q).max()) <= 1 + 8 * EPS
    assert np.allclose(s**2, g.toarray() * h.toarray(), rtol=1e-14)
    cross = x.T @ s @ y
    moment = second(x, p) + second(y, q) - cross - cross.T
    assert np.allclose(result.moment, moment, atol=1e-13)
    assert np.isclose(gauge.value(moment), result.upper_bound, rtol=1e-12)
    slack0, slack1 = ((x @ Q) * x).sum(1) - f, ((y @ Q) * y).sum(1) - k
    assert min(slack0.min(), slack1.min()) >= 0
    assert (np.outer(slack0, slack1) >= np.maximum(x @ Q @ y.T, 0) ** 2).all()
    assert np.isclose(p @ f + q @ k, result.lower_bound, rtol=1e-12)
    assert result.relative_gap <= 1e-6
    assert gauge.polar(Q) <= 1 + 1e-8


def exact_diracs(M, a, m, b):
    """(trace, operator) squared distance of M delta_a and m delta_b, a . b >= 0, M |a|^2 >= m |b|^2, in 60 digits."""
    getcontext().prec = 60
    to = [Decimal(Fraction(v).numerator) / Decimal(Fraction(v).denominator) for v in (M, *a, m, *b)]
    M, a, m, b = to[0], to[1:3], to[3], to[4:]
    dot = a[0] * b[0] + a[1] * b[1]
    length0, length1 = a[0] ** 2 + a[1] ** 2, b[0] ** 2 + b[1] ** 2
    trace = M * length0 + m * length1 - 2 * (M * m).sqrt() * dot
    k = min((M.sqrt() * dot / length1), m.sqrt())  # nearest point k b of the segment
    return trace, M * length0 - 2 * k * M.sqrt() * dot + k * k * length1


@pytest.mark.parametrize("angle", [1.0, 1e-2, 1e-5, 1e-7, 1e-9, 0.0])
@pytest.mark.parametrize("ratio", [1.0, 1 - 1e-15, 1 - 1e-9, 0.7, 1e-8, 1e-300])
def test_bounds_hold_in_real_arithmetic(angle, ratio):
    rng = np.random.default_rng(int(1e9 * angle) + 1)
    for M in (1.0, 0.3, rng.uniform(0.5, 1) * 1e-40, 1e250):
        start = rng.uniform(0, 6)
        a, b = at(start)[0], at(start + angle)[0]
        for gauge, exact in zip((TRACE, OPERATOR), exact_diracs(M, a, ratio * M, b), strict=True):
            result = distance([M], [a], [ratio * M], [b], gauge, tol=1e-8, strict=False)
            blur = Decimal("1e-55") * Decimal(M)  # of 60 digits
            assert Decimal(result.lower_bound) - blur <= exact <= Decimal(result.upper_bound) + blur
            near = angle < 1e-3 and abs(ratio - 1) < 1e-3
            assert result.status == "converged" or (near and result.status == "rounding")
            # the root is known to eps sqrt(M); from below only if the metric is not nearly singular, as here at p = inf
            blur = Decimal("1e-8") * abs(exact).sqrt() + Decimal("4e-14") * Decimal(M).sqrt()
            assert Decimal(result.upper_bound).sqrt() - abs(exact).sqrt() <= blur
            if gauge is OPERATOR:
                assert exact - Decimal(result.lower_bound) <= Decimal("1e-8") * exact + Decimal("1e-14") * Decimal(M)
            else:
                assert abs(exact).sqrt() - Decimal(result.lower_bound).sqrt() <= blur


@pytest.mark.parametrize("jitter", [1.0, 1e-4, 1e-8])
@pytest.mark.parametrize("d", [2, 4])
def test_what_proves_the_bounds_is_feasible_in_rational_arithmetic(d, jitter):
    rng = np.random.default_rng(d)
    p, x = measures(8, 1, d)[:2]
    q, y = p * (1 + jitter * rng.uniform(-0.5, 1, 8)), unit(x + jitter * rng.standard_normal((8, d)))
    result = distance(p, x, q, y, TRACE, strict=False)
    f, g = ([Fraction(v) for v in side] for side in result.potentials)
    X, Y = ([[Fraction(v) for v in w] for w in side] for side in (x, y))

    def dot(u, v):
        return sum(a * b for a, b in zip(u, v, strict=True))

    assert (result.metric == np.eye(d)).all()
    for u, fi in zip(X, f, strict=True):
        for v, gj in zip(Y, g, strict=True):
            assert min(dot(u, u) - fi, dot(v, v) - gj) >= 0
            assert (dot(u, u) - fi) * (dot(v, v) - gj) >= max(dot(u, v), 0) ** 2
    proved = sum(Fraction(m) * v for m, v in zip([*p, *q], f + g, strict=True))
    assert Fraction(result.lower_bound) <= max(proved, 0)

    getcontext().prec = 60
    plans = [plan.toarray() for plan in result.semi_couplings]
    rests = [np.maximum(mass - plan.sum(1), 0) for mass, plan in zip((p, q), (plans[0], plans[1].T), strict=True)]
    rests = [np.where(rest > 1e-12, rest, 0) for rest in rests]  # whole atoms, or none at p = 1
    out, into = ([sum(map(Fraction, row)) for row in plan] for plan in (plans[0], plans[1].T))
    cost = sum(Decimal(rest) for side in rests for rest in side)
    for i, j in zip(*result.s.nonzero(), strict=True):
        ends = []
        for mass, share, total, w in ((p[i], plans[0][i, j], out[i], x[i]), (q[j], plans[1][i, j], into[j], y[j])):
            exact = Fraction(mass) * Fraction(share) / total
            root = (Decimal(exact.numerator) / Decimal(exact.denominator)).sqrt()
            ends.append([root * Decimal(v) for v in w])
        cost += sum((a - b) ** 2 for a, b in zip(*ends, strict=True))
    assert Decimal(result.upper_bound) >= cost
    assert Decimal(result.upper_bound).sqrt() <= cost.sqrt() * (1 + Decimal("1e-12")) + Decimal("1e-13")


@pytest.mark.parametrize("step", [1.0, 1e-3, 1e-7, 1e-12])
def test_potentials_that_nearly_cancel_are_feasible_in_rational_arithmetic(step):
    rng, one = np.random.default_rng(int(-np.log10(step))), np.ones(1)
    for d in np.repeat([2, 3, 5], 40):
        R = rng.standard_normal((d, d))
        Q, x = R @ R.T, unit(rng.standard_normal((1, d)))
        Q = (Q + Q.T) / 2
        y = x + step * rng.standard_normal((1, d))
        square = ((y - x) @ Q @ (y - x).T).item() - (x @ Q @ (y - x).T).item() ** 2 / (x @ Q @ x.T).item()
        for g in (square, 0.0, -square, rng.standard_normal() * step):
            _, f, (kept,) = lower_bound(Q, np.array([g]), one, x, one, y)
            rows = [[Fraction(v) for v in row] for row in Q]
            u, v = [Fraction(c) for c in x[0]], [Fraction(c) for c in y[0]]

            def product(a, b, rows=rows):
                return sum(a[k] * rows[k][l] * b[l] for k in range(len(a)) for l in range(len(b)))

            left, right = product(u, u) - Fraction(f[0]), product(v, v) - Fraction(kept)
            assert min(left, right) >= 0
            assert left * right >= max(product(u, v), 0) ** 2


def test_bounds_of_a_dishonest_plan_and_of_spoilt_potentials():
    problem, rng = measures(10, 9, 3, seed=8), np.random.default_rng(0)
    exact = distance(*problem, OPERATOR, tol=1e-9)
    oracle = SphereOracle(*problem)
    for _ in range(5):
        R = rng.standard_normal((3, 3))
        plan, g = oracle.evaluate(R @ R.T)[2]
        assert upper_bound(plan, OPERATOR, *problem)[0] >= exact.upper_bound * (1 - 1e-9)
        for spoilt in (g * rng.uniform(0.5, 1.5, len(g)), 10 * rng.standard_normal(9), np.full(9, OPEN)):
            assert lower_bound(exact.metric, spoilt, *problem)[0] <= exact.lower_bound * (1 + 1e-12)


def test_a_plan_pays_for_marginals_that_it_misses():
    w, one = at(0.0), np.ones(1)
    plan = Plan(np.zeros(1, int), np.zeros(1, int), one, one, np.zeros(1), np.zeros(1))
    assert upper_bound(plan, TRACE, one, w, one, w)[0] == 0
    for off in (1e-6, -1e-6):
        exact = (np.sqrt(1 + off) - 1) ** 2
        assert exact <= upper_bound(plan, TRACE, one, w, one + off, w)[0] <= 100 * exact


def test_nearly_identical_measures_end_by_rounding():
    p, x = measures(30, 1, 3)[:2]
    near = unit(x + 1e-9 * np.random.default_rng(0).standard_normal(x.shape))
    with pytest.raises(swref.NotConverged, match="rounding") as caught:
        distance(p, x, p, near, OPERATOR)
    result = caught.value.result
    assert result.status == "rounding"
    assert result.lower_bound <= result.upper_bound <= 4e-18 * p.sum()
    for jitter in (1e-6, 1e-4, 1e-2):  # squared distances down to 1e-12 of the mass
        near = unit(x + jitter * np.random.default_rng(0).standard_normal(x.shape))
        for gauge in (TRACE, FROBENIUS, OPERATOR):
            assert distance(p * (1 + jitter), x, p, near, gauge).status == "converged"


# -- hard inputs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_duplicates_ties_and_empty_atoms_change_nothing(p):
    gauge = swref.get_gauge("schatten", p=p)
    mass, x, other, y = measures(6, 5, 3, seed=9)
    plain = distance(mass, x, other, y, gauge, tol=1e-8)
    split = [np.concatenate([mass / 3, 2 * mass / 3, np.zeros(3)]), np.concatenate([x, x, y[:3]])]
    result = distance(*split, other, y, gauge, tol=1e-8)
    assert np.isclose(result.upper_bound, plain.upper_bound, rtol=2e-8)
    Q, f = result.metric, result.potentials[0]
    bound = ((split[1] @ Q) * split[1]).sum(1)[:, None] - f[:, None], ((y @ Q) * y).sum(1) - result.potentials[1]
    assert (bound[0] * bound[1] >= np.maximum(split[1] @ Q @ y.T, 0) ** 2).all()  # potentials of empty atoms too
    assert result.semi_couplings[0].shape == (15, 5)


@pytest.mark.parametrize("p", [1, 2, np.inf])
@pytest.mark.parametrize("corners", [3, 4, 5, 8])
def test_regular_polygons(p, corners):
    gauge, angles = swref.get_gauge("schatten", p=p), 2 * np.pi * np.arange(corners) / corners
    problem = np.ones(corners), at(*angles), np.ones(corners), at(*(angles + np.pi / corners))
    result = distance(*problem, gauge, tol=1e-8)
    # by symmetry an optimal moment is a multiple of I, so every gauge gives its multiple of the trace's value
    half = 4 * np.sin(np.pi / (2 * corners)) ** 2 * corners
    assert np.isclose(result.upper_bound, half / 2 * 2 ** (1 / p), rtol=1e-7)


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_opposite_hemispheres_only_destroy_and_create(p):
    gauge, rng = swref.get_gauge("schatten", p=p), np.random.default_rng(0)
    x = unit(np.abs(rng.standard_normal((6, 3))))
    result = distance(np.ones(6), x, 2 * np.ones(5), -x[:5], gauge)
    exact = gauge.value(second(x, np.ones(6)) + 2 * second(x[:5], np.ones(5)))
    assert result.s.nnz == 0
    assert np.isclose(result.upper_bound, exact, rtol=1e-12)


@pytest.mark.parametrize("tiny", [1e-8, 1e-100, 1e-300])
def test_tiny_masses_beside_large_ones(tiny):
    p, x, q, y = measures(8, 8, 3, seed=11)
    plain = distance(p[:4], x[:4], q[:4], y[:4], FROBENIUS, tol=1e-8)
    for factor in (1.0, 1e-20):
        light = np.where(np.arange(8) < 4, 1, tiny)
        result = distance(factor * p * light, x, factor * q * light, y, FROBENIUS, tol=1e-8)
        assert abs(result.upper_bound / factor / plain.upper_bound - 1) <= 2e-8 + 20 * np.sqrt(tiny)
        assert np.isfinite(result.potentials[0]).all()
    lonely = distance([tiny], x[:1], q, y, FROBENIUS, tol=1e-8)
    assert np.isclose(lonely.upper_bound, FROBENIUS.value(second(y, q)), rtol=20 * np.sqrt(tiny) + 1e-12)


def test_masses_over_all_decades_at_nearly_right_angles():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n, m = rng.integers(2, 9, 2)
        x = unit(np.column_stack([np.ones(n), 10.0 ** rng.uniform(-14, -6, n)]))
        y = unit(np.column_stack([10.0 ** rng.uniform(-14, -6, m), np.ones(m)]))
        p, q = 10.0 ** rng.uniform(-320, 0, n), 10.0 ** rng.uniform(-320, 0, m)
        p[0] = q[0] = 1
        for gauge in (TRACE, OPERATOR):
            result = distance(p, x, q, y, gauge)
            assert np.isclose(result.upper_bound, gauge.value(second(x, p) + second(y, q)), rtol=1e-4)


def test_random_problems_of_all_shapes_converge():
    rng = np.random.default_rng(12)
    for seed in range(40):
        n, m, d = rng.integers(1, 15, 2).tolist() + [int(rng.integers(2, 5))]
        p, x, q, y = measures(n, m, d, seed, shift=rng.uniform(-2, 2))
        p, q = p ** rng.integers(1, 30), q ** rng.integers(1, 30)
        if seed % 3 == 0:  # directions of a coarse lattice: ties and right angles everywhere
            x, y = unit(np.rint(2 * x) + 1e-300), unit(np.rint(2 * y) + 1e-300)
            x[~np.isfinite(x).all(1)], y[~np.isfinite(y).all(1)] = np.eye(d)[0], np.eye(d)[0]
        for gauge in (TRACE, FROBENIUS, OPERATOR):
            assert distance(p, x, q, y, gauge).relative_gap <= 1e-6


# -- the result and the door --------------------------------------------------------------------------------------


def test_the_result_shows_itself_and_survives_a_pickle():
    result = distance(*measures(5, 4, 2), OPERATOR)
    copy = pickle.loads(pickle.dumps(result))
    assert copy.upper_bound == result.upper_bound
    assert np.array_equal(copy.lift()[0], result.lift()[0])
    assert "certified interval" in repr(result)
    page = result._repr_html_()
    assert "viewBox" in page
    assert page.count("<line") == result.s.nnz
    assert page.count("<circle") == 1 + 5
    assert page.count("<rect") == 4
    assert "<svg" not in distance(*measures(5, 4, 3), OPERATOR)._repr_html_()
    assert type(result.s).__name__ == type(result.semi_couplings[0]).__name__ == "csr_array"


def test_nothing_computed_is_lost_when_the_tolerance_is_missed():
    problem = measures(20, 20, 3)
    with pytest.raises(swref.NotConverged) as caught:
        distance(*problem, OPERATOR, max_iter=3)
    result, exact = caught.value.result, distance(*problem, OPERATOR)
    assert result.status == "max_iter"
    assert result.iterations == 3
    assert result.lower_bound <= exact.upper_bound
    assert result.upper_bound >= exact.lower_bound


def test_the_progress_bar_is_optional(capsys):
    distance(*measures(5, 5, 2), OPERATOR, progress=True)
    assert "oracle calls" in capsys.readouterr().err


def test_inputs_are_not_changed_and_may_be_single_precision():
    p, x, q, y = measures(6, 5, 3)
    copies = [z.copy() for z in (p, x, q, y)]
    plain = distance(p, x, q, y, OPERATOR)
    assert all(np.array_equal(a, b) for a, b in zip((p, x, q, y), copies, strict=True))
    single = distance(*(z.astype(np.float32) for z in (p, x, q, y)), OPERATOR)
    assert np.isclose(single.upper_bound, plain.upper_bound, rtol=1e-5)


W = at(0.0, 1.0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"directions0": 1.1 * W}, "directions0: rows must be unit vectors to 1e-08, but row 0 has norm 1.1"),
        ({"directions1": W + [[0, 0], [1e-6, 0]]}, "directions1: .* but row 1 has norm"),
        ({"nu0": [1, -1]}, "nu0: must be nonnegative, got -1"),
        ({"nu1": [1, np.nan]}, "nu1: must be finite"),
        ({"nu1": [1.0]}, "nu1: expected 2 masses"),
        ({"nu0": [], "nu1": []}, "nu0: expected 2 masses"),
        ({"nu0": [0, 0], "nu1": [0, 0]}, "at least one of the two measures must have mass"),
        ({"nu0": [], "directions0": np.zeros((0, 2)), "nu1": [], "directions1": np.zeros((0, 2))}, "must have mass"),
        ({"directions1": np.eye(3)[:2]}, "directions1: expected d = 2 columns"),
        ({"directions0": W[0]}, "directions0: expected 2 axes"),
        ({"directions0": []}, r"directions0: expected 2 axes, got shape"),
        ({"gauge": "operatr"}, "did you mean 'operator'"),
        ({"gauge": swref.get_gauge("linear", Q0=np.eye(3))}, "accepts d = 3 only"),
        ({"tol": -1}, "tol: expected a positive"),
        ({"max_iter": 0}, "max_iter: expected a positive integer"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    good = {"nu0": [1, 2], "nu1": [1, 2], "gauge": "operator", "directions0": W, "directions1": W}
    with pytest.raises(ValueError, match=message):
        swref.spherical_transport(**{**good, **arguments})
    with pytest.raises(ValueError, match=r"t: expected a number in \[0, 1\]"):
        swref.spherical_transport(**good).geodesic(1.5)


def test_a_root_norm_gauge_has_no_certificate():
    with pytest.raises(swref.GaugeError, match="not convex"):
        distance(*measures(5, 5, 2), "root-schatten")


# -- projection and flows -----------------------------------------------------------------------------------------


def test_projection_keeps_homogeneous_integrals():
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((20, 3)), rng.uniform(size=20)
    x[3] = 0
    directions, masses = sphere.project(x, weights)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    assert masses[3] == 0

    def psi(z):  # homogeneous of degree two
        return z[:, 0] * np.abs(z[:, 1]) + np.linalg.norm(z, axis=1) * z[:, 2]

    assert np.isclose(masses @ psi(directions), weights @ psi(x))
    assert np.isclose(sphere.project(x)[1].sum(), (x**2).sum() / 20)
    for scale in (1e-150, 1e150):
        again, scaled = sphere.project(scale * x, weights)
        assert np.allclose(again, directions)
        assert np.allclose(scaled / scale**2, masses)
    with pytest.raises(ValueError, match="weights: must be nonnegative"):
        sphere.project(x, -weights)


def test_a_velocity_is_its_radial_and_its_tangential_part():
    rng = np.random.default_rng(1)
    x, v = rng.standard_normal((2, 10, 3))
    b, tau = sphere.split(x, v)
    radius = np.linalg.norm(x, axis=1, keepdims=True)
    assert np.allclose(b[:, None] * x + radius * tau, v)
    assert np.allclose((tau * x).sum(1), 0, atol=1e-14)
    assert np.allclose(b, ((x * v).sum(1, keepdims=True) / radius**2)[:, 0])
    doubled = sphere.split(2 * x, 2 * v)
    assert np.allclose(doubled[0], b)
    assert np.allclose(doubled[1], tau)
    assert not np.any(sphere.split(0 * x, v)[1])


def test_the_continuity_reaction_equation_along_a_linear_flow():
    rng = np.random.default_rng(2)
    A, x, weights = rng.standard_normal((3, 3)), rng.standard_normal((15, 3)), rng.uniform(size=15)
    worst = []
    for count in (11, 21):
        times = np.linspace(0, 0.5, count)
        positions = np.array([x @ expm(t * A).T for t in times])
        residual = sphere.continuity_residual(times, positions, positions @ A.T, weights)
        assert residual.shape == (count - 2, 10)
        worst.append(np.abs(residual).max())
        wrong = sphere.continuity_residual(times, positions, positions @ A.T + 0.01 * positions, weights)
        assert np.abs(wrong).max() > 0.01
    assert 3 < worst[0] / worst[1] < 5  # second order
    with pytest.raises(ValueError, match="positions: expected 5"):
        sphere.continuity_residual(times[:5], positions, positions)


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_a_relu_flow_has_the_same_action_on_the_sphere(p):
    rng, gauge = np.random.default_rng(3), swref.get_gauge("schatten", p=p)
    inputs = rng.standard_normal((40, 2))
    energy = swref.energies.TwoLayerNet(inputs, np.abs(inputs[:, 0]), activation="relu")
    neurons = rng.standard_normal((30, 3))
    run = swref.flow(energy, neurons, gauge, t_end=0.02, n_snapshots=21, tol=1e-3)
    weights = np.full(30, 1 / 30)
    velocities = [swref.measure_lmo(energy.force(x, weights), gauge, weights) for x in run.positions]
    for x, v in zip(run.positions, velocities, strict=True):
        masses = sphere.project(x, weights)[1]
        b, tau = sphere.split(x, v)
        u = b[:, None] * unit(x) + tau
        ambient = second(v, weights)
        assert np.allclose(second(u, masses), ambient, rtol=1e-10, atol=1e-14 * np.trace(ambient))
    residual = sphere.continuity_residual(run.snapshot_times, run.positions, velocities, weights)
    still = sphere.continuity_residual(run.snapshot_times, run.positions, 0 * np.array(velocities), weights)
    assert np.abs(residual).max() <= 0.01 * np.abs(still).max()
