"""The joint interior points against the engine, CVXPY, closed forms, finite differences and brute force."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from strategies import TwoFunctions, TwoSpectralFunctions, orthogonal

import swref
from swref import maxmin
from swref.clouds.distance import CloudOracle
from swref.gauges.base import Body
from swref.gaussians.distance import GaussianOracle
from swref.joint import gaussian_steps, hybrid
from swref.joint.body import Pairing, side_of
from swref.joint.gaussians import _Smoothing
from swref.joint.newton import by_metric, by_pairs, smat, svec
from swref.joint.program import JointProgram, Pairs, cloud_steps

OPERATOR, FROBENIUS, TRACE = (swref.get_gauge("schatten", p=p) for p in (np.inf, 2, 1))
KYFAN = swref.get_gauge("kyfan", k=3)
GAUGES = [OPERATOR, KYFAN, FROBENIUS, swref.get_gauge("schatten", p=4), swref.get_gauge("schatten", p=1.3), 2.5 * KYFAN]
NAMES = [repr(gauge) for gauge in GAUGES]


def known(gauge):
    """The gauge with its closed forms."""
    return gauge.gauge if isinstance(gauge, TwoSpectralFunctions) else gauge


def clouds(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) / np.sqrt(d)
    return x - x.mean(0), y - y.mean(0)


def weights(n, seed):
    w = np.random.default_rng(seed).uniform(0.2, 1, n)
    return w / w.sum()


def engine(x, y, a, b, gauge, tol=1e-6):
    return maxmin.solve(CloudOracle(x, y, a, b), gauge, tol=tol, max_iter=2000)


def psd(d, seed, rank=None):
    G = np.random.default_rng(seed).standard_normal((d, rank or d))
    return G @ G.T / d


@pytest.fixture
def at_once(monkeypatch):
    """The expert begins as soon as it may."""
    monkeypatch.setattr(hybrid, "slow", lambda history, tol, calls: len(history) >= 3)


@pytest.fixture
def steps_taken(monkeypatch):
    """How many steps of the joint program were taken."""
    taken = []
    monkeypatch.setattr(JointProgram, "step", lambda self, step=JointProgram.step: taken.append(1) or step(self))
    return taken


# -- what a gauge says of K -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gauge", GAUGES, ids=NAMES)
def test_the_body_of_a_gauge_is_its_polar_ball(gauge):
    body, d = gauge._body(6), 6
    for seed in range(20):
        Q = psd(d, seed)
        lam = np.linalg.eigvalsh(Q)
        norm = (lam**body.exponent).sum() ** (1 / body.exponent) / body.size
        assert gauge.polar(Q) == pytest.approx(max(norm, lam[-1] / body.cap), rel=1e-9)


def test_gauges_without_a_barrier_say_so():
    A = np.eye(6)[:, ::-1]
    others = [TRACE, swref.get_gauge("kyfan", k=6), TwoFunctions(OPERATOR), OPERATOR + TRACE, OPERATOR.congruence(A)]
    assert [gauge._body(6) for gauge in others] == [None] * 5
    assert (2 * TRACE)._body(6) is None


@pytest.mark.parametrize("gauge", [*GAUGES, TwoSpectralFunctions(FROBENIUS), 2 * KYFAN], ids=repr)
def test_a_spectral_gauge_on_a_subspace_is_the_gauge_of_the_lifted_moment(gauge):
    B = orthogonal(9, 1)[:, :4]
    inner = gauge._within(9, 4)
    for seed in range(5):
        S = psd(4, seed)
        assert inner.value(S) == pytest.approx(gauge.value(B @ S @ B.T), rel=1e-12)
        Q = B @ inner.support(S) @ B.T
        assert np.vdot(Q, B @ S @ B.T) == pytest.approx(gauge.value(B @ S @ B.T), rel=1e-12)
        assert known(gauge).polar(Q) <= 1 + 1e-7
    assert OPERATOR.congruence(np.eye(9))._within(9, 4) is None


# -- the side of K: scaling and derivatives -----------------------------------------------------------------------


def test_the_nesterov_todd_scaling_takes_both_matrices_to_one_diagonal():
    Q, Z = psd(5, 0), psd(5, 1)
    pair = Pairing(Q, Z)
    np.testing.assert_allclose(pair.inverse @ Q @ pair.inverse.T, np.diag(pair.lam), atol=1e-12)
    np.testing.assert_allclose(pair.F.T @ Z @ pair.F, np.diag(pair.lam), atol=1e-12)
    step = pair.longest(-np.diag(pair.lam) / 3)
    assert step == pytest.approx(3)


BODIES = [Body(1.0, 1.0), Body(1.0, 2.0, 1.0), Body(1.0, 5.0, 2.5)]


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_newton_steps_of_a_barrier_solve_the_linearised_equations(body):
    """Along dQ = V Y V^T the change of the multipliers is what linearising Z Q = mu I at the scaling point gives."""
    d, mu = 5, 0.01
    Q = body.size / d * np.eye(d) + 0.02 * (psd(d, 1) - np.trace(psd(d, 1)) / d * np.eye(d))
    M = psd(d, 2)
    side = side_of(body, Q, M, mu)
    side.scale(M)
    assert np.abs(side.residuals[0]).max() <= 1e-12  # the start fulfils the equation for M
    assert side.residuals[1] == pytest.approx(body.size - np.trace(Q), abs=1e-12)
    Y = psd(d, 3) - psd(d, 4)
    dQ = side.V @ Y @ side.V.T
    R = side.pull(mu)
    change = side.change(dQ)
    before = side._multiplier(M)
    side.move(1.0, 0.0, dQ, 0.0, change)
    inverse = np.linalg.inv(side.V)
    np.testing.assert_allclose(side._multiplier(M) - before, R - inverse.T @ (side.D * Y) @ inverse, atol=1e-9)


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_the_pull_is_the_gradient_of_the_barrier_by_finite_differences(body):
    d, mu, h = 4, 0.02, 1e-6
    Q, M = body.size / d * np.eye(d) + 0.03 * (psd(d, 1) - psd(d, 2)), psd(d, 3)
    side = side_of(body, Q, M, mu)
    side.scale(M)
    R = side._multiplier(M) + side.pull(mu)

    def objective(P):
        return np.vdot(P, M) + mu * side.trial(P)[1]

    for seed in range(4):
        E = psd(d, seed) - psd(d, seed + 9)
        slope = (objective(Q + h * E) - objective(Q - h * E)) / (2 * h)
        assert np.vdot(R, E) == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("r", [1.2, 4 / 3, 2.0, 3.5])
def test_smooth_sides_linearise_the_gradient_of_the_gauge_by_finite_differences(r):
    """With Q at the gradient and M moved by dM, D Y - dM + dt normal = 0 predicts the new gradient to second order."""
    d, size, p = 5, 1.7, r / (r - 1)
    gauge, M, h = size * swref.get_gauge("schatten", p=p), psd(5, 1) + 0.1 * np.eye(5), 1e-6
    side = side_of(Body(r, size), gauge.support(M), M, 0.0)
    side.scale(M)
    assert np.abs(side.residuals[0]).max() <= 1e-9 * np.abs(M).max()
    assert side.t == pytest.approx(np.linalg.norm(np.linalg.eigvalsh(M), p) / size ** (r - 1))
    dM = psd(d, 2) - psd(d, 3)
    dQ = (gauge.support(M + h * dM) - gauge.support(M - h * dM)) / (2 * h)
    inverse = side.V.T
    rest = side.V @ (side.D * (inverse @ dQ @ inverse.T)) @ side.V.T - dM
    dt = -np.vdot(rest, side.normal) / np.vdot(side.normal, side.normal)
    assert np.abs(rest + dt * side.normal).max() <= 1e-5 * np.abs(dM).max()
    assert np.vdot(side.normal, dQ) == pytest.approx(0, abs=1e-6)


def test_metrics_are_clipped_into_the_body():
    for gauge in GAUGES:
        side = side_of(gauge._body(5), 0.1 * np.eye(5), psd(5, 1), 0.1)
        side.Q = 3 * (psd(5, 2) - 0.2 * np.eye(5))
        Q = side.inside()
        assert np.linalg.eigvalsh(Q)[0] >= -1e-12
        assert gauge.polar(Q) <= 1 + 1e-9


# -- Newton systems ---------------------------------------------------------------------------------------------------


def dense_solution(pairs, shape, side, h, rp, R, rt):
    """The equations of ``newton`` written out for all unknowns at once and solved by least squares."""
    (n, m), P, d = shape, len(pairs.I), len(side.V)
    A = np.array([svec(np.outer(z, z)) for z in pairs.Z])
    N, w, normal = A.shape[1], pairs.pi / pairs.s, svec(side.normal)
    E = np.zeros((n + m, P))
    E[pairs.I, np.arange(P)] = E[n + pairs.J, np.arange(P)] = 1
    inverse = np.linalg.inv(side.V)
    G = np.array([svec(inverse.T @ (side.D * (inverse @ smat(e, d) @ inverse.T)) @ inverse) for e in np.eye(N)])
    zero = np.zeros
    rows = [
        np.hstack([np.eye(P), -w[:, None] * E.T, w[:, None] * A, zero((P, 1))]),  # dpi - w (df + dg) + w A q = h
        np.hstack([E, zero((n + m, n + m + N + 1))]),
        np.hstack([A.T, zero((N, n + m)), -G, -normal[:, None]]),
        np.hstack([zero((1, P + n + m)), normal[None], zero((1, 1))]),
    ]
    solution = np.linalg.lstsq(np.vstack(rows), np.concatenate([h, rp, -svec(R), [rt]]), rcond=1e-13)[0]
    dpi, df, dg, q, dt = np.split(solution, np.cumsum([P, n, m, N]))
    return dpi, df + dg[-1], dg - dg[-1], smat(q, d), dt[0]


@pytest.mark.parametrize("reduce", [by_metric, by_pairs])
@pytest.mark.parametrize("body", [Body(1.0), Body(1.0, 2.0, 1.0), Body(1.5)], ids=str)
def test_both_reductions_solve_the_newton_system(reduce, body):
    n, m, d, rng = 5, 4, 3, np.random.default_rng(3)
    I, J = (k.ravel() for k in np.meshgrid(range(n), range(m), indexing="ij"))
    keep = rng.random(n * m) < 0.8
    I, J = I[keep], J[keep]
    x, y = clouds(n, m, d)
    pairs = Pairs(I, J, rng.uniform(0.1, 1, len(I)), rng.uniform(0.1, 1, len(I)), x[I] - y[J])
    side = side_of(body, body.size / d * np.eye(d) + 0.05 * (psd(d, 1) - psd(d, 2)), psd(d, 3), 0.1)
    side.scale(psd(d, 3))
    h, R, rp = rng.standard_normal(len(I)), psd(d, 5) - psd(d, 6), rng.standard_normal(n + m)
    rp[-1] = rp[:n].sum() - rp[n:-1].sum()
    dpi, df, dg, dQ, dt = dense_solution(pairs, (n, m), side, h, rp, R, 0.3)
    got = reduce(pairs, (n, m), side)(h, rp, R, 0.3)
    for mine, theirs in zip(got, (df, dg, dQ, dt, dpi), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-8 * max(1, np.abs(theirs).max()))


# -- clouds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gauge", GAUGES, ids=NAMES)
def test_the_hybrid_agrees_with_the_engine(gauge, at_once, steps_taken):
    x, y = clouds(40, 33, 12, seed=1)
    a, b = weights(40, 2), weights(33, 3)
    result = swref.transport(x, y, gauge, a, b, tol=1e-7)
    plain = engine(x, y, a, b, gauge, 1e-7)
    assert len(steps_taken) >= 5
    assert result.iterations <= 40
    assert result.relative_gap <= 1e-7
    assert result.lower_bound <= plain.upper * (1 + 1e-12)
    assert plain.lower <= result.upper_bound * (1 + 1e-12)
    assert gauge.polar(result.metric) <= 1 + 1e-8


def test_the_hybrid_agrees_with_the_conic_program(at_once, steps_taken):
    cp = pytest.importorskip("cvxpy")
    x, y = clouds(9, 8, 10, seed=4)
    a, b = weights(9, 1), weights(8, 2)
    plan = cp.Variable((9, 8), nonneg=True)
    D = y[None] - x[:, None]
    S = sum(cp.multiply(plan[i, j], np.outer(D[i, j], D[i, j])) for i in range(9) for j in range(8))
    for gauge, conic in ((OPERATOR, cp.lambda_max(S)), (KYFAN, cp.lambda_sum_largest(S, 3))):
        value = cp.Problem(cp.Minimize(conic), [cp.sum(plan, 1) == a, cp.sum(plan, 0) == b]).solve(solver=cp.CLARABEL)
        assert swref.transport(x, y, gauge, a, b).upper_bound == pytest.approx(value, rel=3e-6)
    assert steps_taken


def hard_clouds():
    rng = np.random.default_rng(7)
    x, y = clouds(30, 30, 11, seed=5)
    zeros = weights(30, 1)
    zeros[::3] = 0
    uneven = np.geomspace(1, 1e-7, 30)
    integer = rng.integers(-1, 2, (30, 11)).astype(float)
    return {
        "shifted": (x, y + 20 * rng.standard_normal(11), None),
        "far": (x + 1e4, y + 1e4, None),
        "weights with zeros": (x, y, zeros / zeros.sum()),
        "uneven weights": (x, y, uneven / uneven.sum()),
        "ties": (integer, 2 * np.roll(integer, 1, 1), None),
        "flat": (x * (np.arange(11) < 4), y * (np.arange(11) < 4), None),
        "one point": (x, y[:1], None),
    }


@pytest.mark.parametrize("kind", list(hard_clouds()))
@pytest.mark.parametrize("gauge", [OPERATOR, KYFAN, FROBENIUS], ids=repr)
def test_hard_clouds_are_solved_and_lose_nothing_when_the_expert_fails(kind, gauge, at_once):
    x, y, a = hard_clouds()[kind]
    result = swref.transport(x, y, gauge, a, tol=1e-5)
    plain = engine(x[a > 0] if a is not None else x, y, a[a > 0] if a is not None else np.ones(len(x)) / len(x),
                   np.ones(len(y)) / len(y), gauge, 1e-5)  # fmt: skip
    assert result.lower_bound <= plain.upper * (1 + 1e-9)
    assert plain.lower <= result.upper_bound * (1 + 1e-9)


@pytest.mark.parametrize("jitter", [1e-3, 1e-6, 1e-9])
def test_nearly_coincident_clouds_are_solved(jitter):
    x = clouds(25, 25, 10, seed=8)[0]
    y = x + jitter * np.random.default_rng(1).standard_normal(x.shape)
    result = swref.transport(x, y[::-1], OPERATOR, tol=1e-5)
    D = y - x
    assert result.upper_bound == pytest.approx(OPERATOR.value(D.T @ D / 25), rel=1e-4)


def test_translations_cost_their_length(at_once):
    x = clouds(30, 30, 12)[0]
    shift = np.linspace(-1, 2, 12)
    for gauge in (OPERATOR, KYFAN, FROBENIUS):
        assert swref.transport(x, x[::-1] + shift, gauge).upper_bound == pytest.approx(shift @ shift, rel=1e-6)


def test_orthogonal_pairs_of_points_have_a_closed_form(at_once):
    """Sources on +-e_1, targets on +-s e_2, all else in common: the plan splits, and two blocks of moments result."""
    d, s = 10, 0.5
    x, y = np.eye(d)[[0, 0]] * [[1], [-1]], s * np.eye(d)[[1, 1]] * [[1], [-1]]
    for gauge in (OPERATOR, KYFAN, FROBENIUS, swref.get_gauge("schatten", p=4)):
        lam = np.append([1, s * s], np.zeros(d - 2))
        assert swref.transport(x, y, gauge).upper_bound == pytest.approx(gauge.value(np.diag(lam)), rel=1e-6)


def start_of(oracle, gauge, gap=0.1):
    solution = maxmin.solve(oracle, gauge, tol=gap, max_iter=20)
    steps = cloud_steps(oracle, gauge, gauge._body(oracle.dimension), solution, 1e-6)
    return steps, next(steps)


@pytest.mark.parametrize("gauge", [OPERATOR, KYFAN, FROBENIUS], ids=repr)
def test_every_step_proves_its_bounds(gauge):
    """Each value is a lower bound at its metric, each handle a coupling with the moment that it says."""
    x, y = clouds(20, 25, 10, seed=2)
    a, b = weights(20, 1), weights(25, 2)
    oracle = CloudOracle(x, y, a, b)
    steps, _ = start_of(oracle, gauge)
    for k, (Q, (value, moment, plan)) in zip(range(8), steps, strict=False):
        assert gauge.polar(Q) <= 1 + 1e-9
        assert value <= CloudOracle(x, y, a, b).evaluate(Q)[0] * (1 + 1e-12), k
        np.testing.assert_allclose(np.bincount(plan.rows, plan.masses, 20), a, atol=1e-15)
        np.testing.assert_allclose(np.bincount(plan.columns, plan.masses, 25), b, atol=1e-15)
        D = y[plan.columns] - x[plan.rows]
        np.testing.assert_allclose(moment, (D.T * plan.masses) @ D, atol=1e-12)
        Z = (x - a @ x)[:, None] - (y - b @ y)
        assert (np.einsum("ijk,kl,ijl->ij", Z, Q, Z) - plan.f[:, None] - plan.g).min() >= -1e-12


@pytest.fixture
def program():
    x, y = clouds(30, 30, 10, seed=6)
    oracle = CloudOracle(x, y, np.full(30, 1 / 30), np.full(30, 1 / 30))
    solution = maxmin.solve(oracle, OPERATOR, tol=0.1, max_iter=20)
    Q = OPERATOR._smoothed(np.eye(10), 0.1).Q
    return JointProgram(oracle, OPERATOR._body(10), Q, oracle.evaluate(Q)[2], oracle.mixture(solution), 0.1)


def test_potentials_stay_feasible_for_all_pairs(program):
    for _ in range(6):
        program.step()
        Z = program.x[:, None] - program.y
        slack = np.einsum("ijk,kl,ijl->ij", Z, program.side.Q, Z) - program.f[:, None] - program.g
        assert slack.min() > 0
        assert (slack[program.pairs.I, program.pairs.J] > 0).all()
        assert (program.pairs.pi > 0).all()
        assert program.known.sum() == len(program.pairs.I) < 900
        assert program.known[program.pairs.I, program.pairs.J].all()


def test_unlisted_pairs_limit_the_step(program):
    slacks = np.concatenate([S for _, S in program._slacks(program.side.Q)])
    unlisted = np.where(program.known, np.inf, slacks)[4].min()
    df = np.where(np.arange(30) == 4, unlisted / 0.9, 0.0)
    move = SimpleNamespace(dQ=np.zeros((10, 10)), df=df, dg=np.zeros(30))
    assert 0.85 < program._limit(move, 1.0, 0.1, retry=True) < 0.9
    before = len(program.pairs.I)
    move.df = 2 * df
    assert program._limit(move, 1.0, 0.1, retry=True) is None  # it is listed, and the step redone
    assert len(program.pairs.I) > before


# -- the engine and its expert ----------------------------------------------------------------------------------------


def test_the_expert_is_asked_for_by_the_rate_of_the_gap():
    def history(gaps):
        return np.array([[1 - gap, 1.0] for gap in gaps])

    assert not hybrid.slow(history(np.geomspace(0.05, 0.01, 8)), 1e-6, 25)  # too few calls
    assert not hybrid.slow(history(np.geomspace(0.9, 0.2, 9)), 1e-6, 25)  # too far
    assert hybrid.slow(history(np.geomspace(0.09, 0.04, 9)), 1e-6, 25)  # 100 more calls
    assert not hybrid.slow(history(np.geomspace(0.09, 0.04, 9)), 1e-2, 25)  # 14 more
    assert hybrid.slow(history(np.full(9, 0.05)), 1e-6, 25)


def test_plugins_low_dimensions_and_fast_problems_stay_with_the_engine(steps_taken):
    x, y = clouds(40, 40, 10, seed=1)
    swref.transport(x, y, TwoFunctions(FROBENIUS), tol=1e-3)
    swref.transport(x, y, OPERATOR + TRACE, tol=1e-3)
    swref.transport(x, y, FROBENIUS, tol=1e-2)
    swref.transport(x[:, :9], y[:, :9], OPERATOR, tol=1e-4)
    assert not steps_taken


def test_steps_count_and_max_iter_holds(at_once):
    x, y = clouds(40, 40, 10, seed=1)
    for most in (1, 5, 8, 12):
        result = swref.transport(x, y, OPERATOR, max_iter=most, strict=False)
        assert (result.status, result.iterations, len(result.history)) == ("max_iter", most, most)
        assert result.lower_bound <= result.upper_bound


def test_ctrl_c_during_a_step_keeps_the_bounds(at_once, monkeypatch):
    x, y = clouds(40, 40, 10, seed=1)
    full = swref.transport(x, y, OPERATOR)
    count = iter(range(6))

    def step(self, step=JointProgram.step):
        if next(count) == 5:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(JointProgram, "step", step)
    with pytest.raises(swref.NotConverged) as info:
        swref.transport(x, y, OPERATOR)
    result = info.value.result
    assert result.status == "interrupted"
    assert result.lower_bound <= full.upper_bound
    assert full.lower_bound <= result.upper_bound
    assert result.relative_gap < 0.2


def test_when_the_expert_fails_the_engine_goes_on(at_once, monkeypatch):
    x, y = clouds(40, 40, 10, seed=1)
    count = iter(range(100))

    def step(self, step=JointProgram.step):
        if next(count) == 2:
            raise np.linalg.LinAlgError("not positive definite")
        return step(self)

    monkeypatch.setattr(JointProgram, "step", step)
    result = swref.transport(x, y, OPERATOR, tol=1e-4)
    assert result.status == "converged"
    assert result.iterations > 20
    assert next(count) == 3  # asked once


def test_results_are_the_same_each_time(at_once):
    x, y = clouds(40, 40, 10, seed=1)
    first, second = (swref.transport(x, y, KYFAN) for _ in range(2))
    assert (first.lower_bound, first.upper_bound) == (second.lower_bound, second.upper_bound)
    assert (first.plan != second.plan).nnz == 0


# -- the span of the data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gauge", [*GAUGES, TwoSpectralFunctions(FROBENIUS)], ids=repr)
def test_clouds_of_few_points_are_solved_in_their_span(gauge, monkeypatch):
    x, y = clouds(7, 6, 40, seed=3)
    a, b = weights(7, 1), weights(6, 2)
    whole = engine(x, y, a, b, gauge)
    dimensions = []
    within = CloudOracle.within
    monkeypatch.setattr(CloudOracle, "within", lambda self, B: dimensions.append(B.shape) or within(self, B))
    result = swref.transport(x + 3, y + 3, gauge, a, b)
    assert dimensions == [(40, 13)]
    assert result.metric.shape == result.moment.shape == (40, 40)
    assert result.relative_gap <= 1e-6
    assert result.lower_bound <= whole.upper * (1 + 1e-9)
    assert whole.lower <= result.upper_bound * (1 + 1e-9)
    assert known(gauge).polar(result.metric) <= 1 + 1e-7


@pytest.mark.parametrize("p, seed", [(50.0, 66), (50.0, 216), (1e6, 66), (1e6, 105), (1e6, 111)])
def test_lifted_from_the_span_a_metric_may_have_rows_of_rounding(p, seed):
    """Two integer points move to a third. Q* all but vanishes along some axes: there its diagonal was negative."""
    x, y = np.split(np.random.default_rng(seed).integers(-2, 3, (3, 10)).astype(float), [2])
    gauge = swref.get_gauge("schatten", p=p)
    result = swref.transport(x, y, gauge)
    assert result.upper_bound == pytest.approx(gauge.value((x - y).T @ (x - y) / 2), rel=1e-12)


def test_other_gauges_stay_in_the_whole_space(monkeypatch):
    monkeypatch.setattr(CloudOracle, "within", None)
    x, y = clouds(4, 3, 12, seed=3)
    assert swref.transport(x, y, OPERATOR + TRACE).relative_gap <= 1e-6
    assert swref.transport(x, y, TwoFunctions(FROBENIUS)).relative_gap <= 1e-6


def test_gaussians_of_small_rank_are_solved_in_their_span(monkeypatch):
    S0, S1, shift = psd(30, 1, rank=3), psd(30, 2, rank=4), np.linspace(0, 0.5, 30)
    whole = maxmin.solve(GaussianOracle(*(np.linalg.cholesky(S + 1e-14 * np.eye(30)) for S in (S0, S1)), shift), KYFAN,
                         tol=1e-6, max_iter=500)  # fmt: skip
    dimensions = []
    within = GaussianOracle.within
    monkeypatch.setattr(GaussianOracle, "within", lambda self, B: dimensions.append(B.shape) or within(self, B))
    result = swref.gaussian_transport(0 * shift, S0, shift, S1, KYFAN, tol=1e-6, strict=False)
    assert result.upper_bound == pytest.approx(whole.upper, rel=1e-5)
    assert all(r < 30 for _, r in dimensions)


# -- Gaussians --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gauge", [OPERATOR, KYFAN, FROBENIUS], ids=repr)
@pytest.mark.parametrize("ranks, shift", [((12, 12), 0.0), ((12, 12), 0.2), ((12, 7), 0.1), ((7, 12), 0.1)])
def test_newton_on_gaussians_agrees_with_the_engine(gauge, ranks, shift, at_once, monkeypatch):
    S0, S1 = (psd(12, k, rank=rank) for k, rank in enumerate(ranks))
    m1 = shift * np.random.default_rng(3).standard_normal(12)
    result = swref.gaussian_transport(np.zeros(12), S0, m1, S1, gauge, tol=1e-7)
    monkeypatch.setattr(hybrid, "slow", lambda history, tol, calls: False)
    plain = swref.gaussian_transport(np.zeros(12), S0, m1, S1, gauge, tol=1e-7)
    assert result.lower_bound <= plain.upper_bound
    assert plain.lower_bound <= result.upper_bound
    assert np.linalg.eigvalsh(np.block([[S0, result.cross_covariance], [result.cross_covariance.T, S1]]))[0] > -1e-8


@pytest.mark.parametrize("p", [2, np.inf])
def test_commuting_gaussians_have_a_closed_form(p, at_once):
    U, rng = orthogonal(15, 1), np.random.default_rng(2)
    a, b = rng.uniform(0.2, 2, (2, 15))
    S0, S1 = (U * a) @ U.T, (U * b) @ U.T
    result = swref.gaussian_transport(np.zeros(15), S0, np.zeros(15), S1, swref.get_gauge("schatten", p=p), tol=1e-8)
    difference = np.abs(np.sqrt(a) - np.sqrt(b))
    assert result.upper_bound == pytest.approx(np.linalg.norm(difference**2, p), rel=1e-7)


def test_newton_takes_few_steps_between_gaussians_in_many_dimensions():
    S0, S1, zero = psd(40, 1), psd(40, 2), np.zeros(40)
    result = swref.gaussian_transport(zero, S0, zero, S1, OPERATOR)
    assert result.status == "converged"
    assert result.iterations <= 45


@pytest.mark.parametrize("ranks", [(6, 6), (6, 3), (3, 6)])
def test_smoothed_gaussians_have_the_right_derivatives(ranks):
    """The moment is the gradient of the smoothed value, and ``hessian`` minus its derivative: finite differences."""
    rng, mu, h = np.random.default_rng(4), 0.05, 1e-5
    oracle = GaussianOracle(*(rng.standard_normal((6, r)) for r in ranks), rng.standard_normal(6))
    curve, Q = _Smoothing(oracle), psd(6, 1)
    at, Y = curve.at(Q, mu), psd(6, 2) - psd(6, 3)
    above, below = curve.at(Q + h * Y, mu), curve.at(Q - h * Y, mu)
    assert np.vdot(at.moment, Y) == pytest.approx((above.value - below.value) / (2 * h), rel=1e-7)
    slope = (above.moment - below.moment) / (2 * h)
    np.testing.assert_allclose(at.hessian(np.eye(6))(Y), -slope, atol=1e-5 * np.abs(slope).max())
    assert curve.at(Q, 1e-12).value == pytest.approx(oracle.evaluate(Q)[0], rel=1e-9)


@pytest.mark.parametrize("gauge", [OPERATOR, KYFAN, FROBENIUS], ids=repr)
def test_every_gaussian_step_proves_its_bounds(gauge):
    F0, F1 = np.linalg.cholesky(psd(10, 1)), np.linalg.qr(np.random.default_rng(2).standard_normal((10, 6)))[0]
    oracle = GaussianOracle(F0, F1, np.linspace(0, 0.3, 10))
    solution = maxmin.solve(oracle, gauge, tol=0.1, max_iter=20)
    for _, (Q, (value, moment, (C, T))) in zip(
        range(10), gaussian_steps(oracle, gauge, gauge._body(10), solution, 1e-8), strict=False
    ):
        assert gauge.polar(Q) <= 1 + 1e-9
        assert value <= GaussianOracle(F0, F1, oracle.shift).evaluate(Q)[0] * (1 + 1e-12)
        np.testing.assert_allclose(C @ C.T + T @ T.T, np.eye(6), atol=1e-12)
        steps = np.column_stack([F1 @ C - F0, F1 @ T, oracle.shift])
        np.testing.assert_allclose(moment, steps @ steps.T, atol=1e-12)


# -- memory -----------------------------------------------------------------------------------------------------------


def test_memory_stays_below_the_matrix_of_all_rows(monkeypatch):
    """One factorisation of P pairs in d dimensions takes less than the P d (d + 1) / 2 numbers of its rows."""
    from swref.joint import newton

    monkeypatch.setattr(newton, "BLOCK", 2**16)
    n, d, rng = 120, 25, np.random.default_rng(0)
    I, J = (k.ravel() for k in np.meshgrid(range(n), range(n), indexing="ij"))
    keep = rng.random(n * n) < 0.4
    x, y = clouds(n, n, d)
    pairs = Pairs(I[keep], J[keep], *rng.uniform(0.1, 1, (2, keep.sum())), x[I[keep]] - y[J[keep]])
    side = side_of(Body(1.0), np.eye(d) / d, psd(d, 1), 0.1)
    side.scale(psd(d, 1))
    by_metric(pairs, (n, n), side)
    tracemalloc.start()
    by_metric(pairs, (n, n), side)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * 8 * keep.sum() * d * (d + 1) / 2


def test_a_step_holds_few_matrices_of_all_pairs(monkeypatch):
    """The Laplacian and what belongs to the metric; all that is asked of all pairs comes in blocks of rows."""
    from swref.joint import newton

    monkeypatch.setattr(newton, "BLOCK", 2**16)
    n, d = 800, 10
    oracle, Q = CloudOracle(*clouds(n, n, d), np.full(n, 1 / n), np.full(n, 1 / n)), np.eye(d) / d
    value, _, plan = oracle.evaluate(Q)
    mixture = sp.coo_array((plan.masses, (plan.rows, plan.columns)), shape=(n, n))
    tracemalloc.start()
    program, peaks = JointProgram(oracle, OPERATOR._body(d), Q, plan, mixture, 0.1 * value), []
    for act in (program.step, lambda: program.proof(exact=False)):
        tracemalloc.reset_peak()
        act()
        peaks.append(tracemalloc.get_traced_memory()[1] / (8 * n * n))
    tracemalloc.stop()
    assert peaks[0] < 2.2
    assert peaks[1] < 0.9
