"""Exact transport without a matrix: against POT, SciPy, sorting and fractions, and by brute force over all pairs."""

from fractions import Fraction
from itertools import permutations
from threading import Thread

import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist
from strategies import EPS, orthogonal, seeds

import swref
import swref.clouds
from swref.clouds import CloudOracle
from swref.clouds.certificate import least_reduced, mapped
from swref.network import MultiscaleSimplex, c_transform, tree_kernels
from swref.network.basis import Basis
from swref.network.dense import optimise
from swref.network.masses import MOST, SPARE, Masses
from swref.network.multiscale import Costs
from swref.network.points import as_points, kd_order
from swref.network.refine import partner_slopes, refined
from swref.network.search import Search


def assert_tree(tree, root):
    """Parents, counts and lists of children fit each other: seen from outside, since kernels would walk for ever.

    Counts that add up rise towards the root, so parents make no circle; nor do siblings, if all lead to a first one.
    """
    parent, count, child, after, before = (tree[name] for name in ("parent", "count", "child", "after", "before"))
    v = np.arange(len(tree))
    below = np.delete(v, root)
    assert parent[root] == before[root] == after[root] == -1, "the root hangs from something"
    sums = 1 + np.bincount(parent[below], count[below], len(tree))
    assert (count == sums).all(), "counts are not those of subtrees"
    eldest, followed, first = v[child >= 0], v[after >= 0], below[before[below] < 0]
    assert (parent[child[eldest]] == eldest).all(), "a first child has another parent"
    assert (before[after[followed]] == followed).all(), "the node after is not before"
    assert (parent[after[followed]] == parent[followed]).all(), "siblings have different parents"
    assert (child[parent[first]] == first).all(), "a node without one before it is not the first child"
    for _ in range(len(tree).bit_length()):
        before = np.where(before >= 0, before[before], -1)
    assert (before < 0).all(), "siblings make a circle"


def in_time(kernel, *arguments, seconds=300):
    """What ``kernel`` returns, unless it takes longer than any compilation: kernels hold no lock of Python."""
    answer = []
    thread = Thread(target=lambda: answer.append(kernel(*arguments)), daemon=True)
    thread.start()
    thread.join(seconds)
    assert answer, f"{kernel.__name__} walks in circles"
    return answer[0]


def random_basis(n, seed):
    """(basis of a problem between n and n points in the plane, its costs, its masses (2, 2n))"""
    x, y = np.random.default_rng(seed).random((2, n, 2))
    A, B = Masses(random_weights(n, 1), random_weights(n, 2)).limbs()
    return Basis.monotone(A, B, np.arange(n), np.arange(n)), square(x, y), np.hstack([A, B])


def pivots(basis, C, rows):
    """What the pivots return that enter the worst cells of so many random rows."""
    tree, blocks, n, rng = basis.tree, basis.blocks, basis.n, np.random.default_rng(0)
    sign = np.where(np.arange(len(tree)) < n, 1, -1)
    in_time(basis.fit, lambda rows, columns: C[rows, columns])
    in_time(tree_kernels.cut_blocks, tree, blocks, basis.order, n, basis.root)
    for i in rng.integers(n, size=rows).tolist():
        f = tree["potential"] + sign * blocks["shift"][tree["block"]]
        reduced = C[i] - f[i] - f[n:]
        if reduced.min() < -1e-12:
            j = n + int(reduced.argmin())
            yield in_time(tree_kernels.pivot, tree, blocks, basis.order, n, basis.root, i, j, reduced.min())


@pytest.fixture(scope="module", autouse=True)
def pivots_leave_trees():
    """All that follows relies on it: on a broken tree, walks do not end."""
    basis, C, masses = random_basis(400, 3)
    assert_tree(basis.tree, basis.root)
    tops = []
    for top in pivots(basis, C, 800):
        tops.append(top)
        assert_tree(basis.tree, basis.root)
    assert tops.count(-1) > 20
    assert_feasible(basis, masses)


@pytest.fixture
def everywhere(monkeypatch):
    """The smallest problems are solved without a matrix, too."""
    monkeypatch.setattr(swref.clouds.distance, "SMALL", 1)


def random_weights(n, seed):
    w = np.random.default_rng(seed).exponential(size=n) + 1e-3
    return w / w.sum()


def square(x, y, Q=None):
    """C_ij = (x_i - y_j)^T Q (x_i - y_j), by differences."""
    D = x[:, None] - y
    return np.einsum("ijk,kl,ijl->ij", D, np.eye(x.shape[1]) if Q is None else Q, D)


def solver_of(x, y, a, b):
    return MultiscaleSimplex(*Masses(a, b).limbs()), lambda L: (mapped(z, x.mean(0), L) for z in (x, y))


def assert_optimal(x, y, a, b, plan, Q=None, value=None):
    """Marginals, complementary slackness for all pairs by brute force, and POT's value."""
    a, b = a / a.sum(), b / b.sum()
    C = square(x, y, Q)
    size = (np.abs(x - x.mean(0)).max() + np.abs(y - x.mean(0)).max()) ** 2 * (1 if Q is None else np.abs(Q).max())
    tolerance = 100 * EPS * len(x[0]) * size
    np.testing.assert_allclose(np.bincount(plan.rows, plan.masses, len(x)), a, rtol=1e-12, atol=1e-17)
    np.testing.assert_allclose(np.bincount(plan.columns, plan.masses, len(y)), b, rtol=1e-12, atol=1e-17)
    reduced = C - plan.f[:, None] - plan.g
    assert (plan.masses > 0).all()
    assert reduced.min() >= -tolerance
    assert np.abs(reduced[plan.rows, plan.columns]).max() <= tolerance
    cost = plan.masses @ C[plan.rows, plan.columns]
    if value is None:
        value = ot.emd2(a, b, C, numItermax=10**8)
    assert cost == pytest.approx(value, rel=1e-11, abs=tolerance)
    assert a @ plan.f + b @ plan.g == pytest.approx(cost, rel=1e-11, abs=tolerance)


# -- inputs -----------------------------------------------------------------------------------------------------------


def grid(k, d=2):
    return np.stack(np.meshgrid(*[np.arange(float(k))] * d), -1).reshape(-1, d)


def hard_case(name):
    """(x, y, a, b) and, if it is known, the squared distance."""
    rng = np.random.default_rng(5)
    n, u = 600, rng.random((600, 2))
    v, equal = rng.random((600, 2)), np.full(600, 1 / 600)
    a, b = random_weights(n, 1), random_weights(n, 2)
    turn = rng.permutation(n)
    return {
        "equal": (u, v, equal, equal),
        "random": (u, v, a, b),
        "space": (rng.standard_normal((500, 3)), rng.random((700, 3)), random_weights(500, 3), random_weights(700, 4)),
        "fewer sinks": (u, v[:40], a, random_weights(40, 5)),
        "few sources": (u[:3], v, random_weights(3, 6), b),
        "one sink": (u, v[:1], a, np.ones(1)),
        "halves": (u, v[:300], equal, equal[:300]),
        "grids": (grid(24), grid(24), random_weights(576, 7), random_weights(576, 8)),
        "shifted grid": (grid(24), grid(24)[rng.permutation(576)] + 3.0, np.ones(576), np.ones(576), 18.0),
        "same": (u, u[turn], equal, equal, 0.0),
        "same, weighted": (u, u[turn], a, a[turn], 0.0),
        "duplicates": (u[rng.integers(20, size=n)], v[rng.integers(20, size=n)], a, b),
        "one point": (np.ones((n, 2)), v, a, b),
        "collinear": (u[:, :1] * [3.0, 4.0], v[:, :1] * [3.0, 4.0], a, b),
        "nearly collinear": (u * [1, 1e-9], v * [1, 1e-9], a, b),
        "nearly coincident": (u, u[turn] + 1e-8 * v, equal, equal),
        "collapse": (rng.standard_normal((n, 2)), 1e-3 * rng.standard_normal((n, 2)), a, b),
        "heavy tails": (rng.standard_cauchy((n, 2)), rng.standard_cauchy((n, 2)), equal, equal),
        "decades": (u, v, 10.0 ** rng.uniform(-14, 0, n), b),
        "circle": (np.c_[np.cos(6.3 * u[:, 0]), np.sin(6.3 * u[:, 0])], 1e-2 * v, equal, equal),
    }[name]


HARD = [
    "equal", "random", "space", "fewer sinks", "few sources", "one sink", "halves", "grids", "shifted grid", "same",
    "same, weighted", "duplicates", "one point", "collinear", "nearly collinear", "nearly coincident", "collapse",
    "heavy tails", "decades", "circle",
]  # fmt: skip


# -- the solver -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HARD)
def test_plans_and_potentials_are_optimal_for_all_pairs(name):
    x, y, a, b, *value = hard_case(name)
    solver, images = solver_of(x, y, a, b)
    assert_optimal(x, y, a, b, solver.solve(*images(np.eye(x.shape[1]))), None, *value)


@given(n=st.integers(1, 40), m=st.integers(1, 40), d=st.integers(1, 3), seed=seeds, kind=st.sampled_from("uwi"))
def test_small_problems_of_every_shape(n, m, d, seed, kind):
    """Uniform, with equal (u) or random weights (w), and few integers (i): duplicates and ties."""
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, 3, (k, d)).astype(float) if kind == "i" else rng.random((k, d)) for k in (n, m))
    a, b = (np.ones(n), np.ones(m)) if kind == "u" else (random_weights(n, seed), random_weights(m, seed + 1))
    solver, images = solver_of(x, y, a, b)
    assert_optimal(x, y, a, b, solver.solve(*images(np.eye(d))))


def test_assignments_agree_with_scipy_and_programs_with_highs():
    rng = np.random.default_rng(1)
    x, y = rng.random((2, 400, 2))
    solver, images = solver_of(x, y, np.ones(400), np.ones(400))
    plan, C = solver.solve(*images(np.eye(2))), square(x, y)
    i, j = linear_sum_assignment(C)
    assert len(plan.masses) == 400
    assert plan.masses @ C[plan.rows, plan.columns] == pytest.approx(C[i, j].mean(), rel=1e-13)

    x, y, a, b = x[:17], y[:9], random_weights(17, 1), random_weights(9, 2)
    incidence = np.vstack([np.kron(np.eye(17), np.ones(9)), np.kron(np.ones(17), np.eye(9))])
    C = square(x, y)
    program = linprog(C.ravel(), A_eq=incidence, b_eq=np.append(a, b), method="highs")
    solver, images = solver_of(x, y, a, b)
    plan = solver.solve(*images(np.eye(2)))
    assert plan.masses @ C[plan.rows, plan.columns] == pytest.approx(program.fun, rel=1e-9)


@pytest.mark.parametrize("d", [2, 3])
def test_a_warm_start_gives_what_a_cold_one_gives(d, monkeypatch):
    """Along a sequence of metrics, near enough for the tree to be kept, and not."""
    rng = np.random.default_rng(d)
    x, y, a, b = rng.standard_normal((900, d)), rng.random((700, d)), random_weights(900, 1), random_weights(700, 2)
    warm, images = solver_of(x, y, a, b)
    colds, cold_start = [], MultiscaleSimplex._cold
    monkeypatch.setattr(MultiscaleSimplex, "_cold", lambda *args: colds.append(1) or cold_start(*args))
    L, kept = np.eye(d), []
    for size in (0.0, 1e-4, 1e-3, 1e-2, 1.0, 1e-3):
        L = L + size * rng.standard_normal((d, d))
        before, plan = len(colds), warm.solve(*images(L))
        kept.append(len(colds) == before)
        other, _ = solver_of(x, y, a, b)
        again, C = other.solve(*images(L)), square(x, y, L @ L.T)
        cost = plan.masses @ C[plan.rows, plan.columns]
        assert cost == pytest.approx(again.masses @ C[again.rows, again.columns], rel=1e-12)
        assert_optimal(x, y, a, b, plan, L @ L.T, cost)
    assert kept[:3] == [False, True, True]
    assert kept[4] is False


def test_metrics_that_flatten_the_plane():
    rng = np.random.default_rng(3)
    x, y, a, b = rng.random((700, 3)), rng.random((700, 3)), random_weights(700, 1), random_weights(700, 2)
    for rank, weak in ((1, 0.0), (2, 0.0), (1, 1e-7)):
        L = orthogonal(3, rank) * np.where(np.arange(3) < rank, 1.0, weak)
        solver, images = solver_of(x, y, a, b)
        value = None
        if rank == 1 and not weak:
            value = ot.emd2_1d(x @ L[:, 0], y @ L[:, 0], a, b)
        assert_optimal(x, y, a, b, solver.solve(*images(L)), L @ L.T, value)


# -- its parts --------------------------------------------------------------------------------------------------------


def priced(rng, n, d, size=1.0):
    """Points with potentials, in k-d order."""
    x = rng.standard_normal((n, d))
    P = as_points(*mapped(x[kd_order(x)], x[0], np.eye(d)))
    P[:, 6], P[:, 7] = size * rng.standard_normal(n), 1e-9 * size * rng.standard_normal(n)
    return P


@given(n=st.integers(1, 60), m=st.integers(1, 200), d=st.integers(1, 3), seed=seeds, size=st.sampled_from([0, 1, 1e6]))
def test_the_search_finds_what_reading_all_pairs_finds(n, m, d, seed, size):
    """Whatever the slopes that guide it."""
    rng = np.random.default_rng(seed)
    X, Y = priced(rng, n, d, size), priced(rng, m, d, size)
    C = cdist(X[:, :3], Y[:, :3], "sqeuclidean") - (X[:, 6] + X[:, 7])[:, None] - (Y[:, 6] + Y[:, 7])
    k, error = min(4, m), 60 * EPS * (1 + size) * 100
    for slope in (np.zeros((m, 3)), rng.standard_normal((m, 3))):
        found, values = Search(Y).least(X, Y, slope, 4)
        np.testing.assert_allclose(values, np.sort(C, 1)[:, :k], rtol=0, atol=error)
        np.testing.assert_allclose(np.take_along_axis(C, found, 1), values, rtol=0, atol=error)
        found, values = Search(Y).least(X, Y, slope, 4, cap=-0.5)
        below = np.minimum((C < -0.5).sum(1), k)
        assert (np.abs(C + 0.5).min() < error) or ((found >= 0).sum(1) == below).all()


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("jitter", [1.0, 1e-9, 1e-15])
def test_the_search_of_certificates_is_right_to_the_last_digit(offset, jitter):
    """Clouds that nearly coincide, and a point in common far away: against the loop over all pairs."""
    rng = np.random.default_rng(0)
    x = np.vstack([rng.standard_normal((150, 2)), np.full((1, 2), offset)])
    y = np.vstack([x[rng.integers(150, size=120)] + jitter * rng.standard_normal((120, 2)), x[-1:]])
    images = (*mapped(x, x[0], np.eye(2)), *mapped(y, x[0], np.eye(2)))
    f, g = jitter**2 * rng.standard_normal(151), jitter**2 * rng.standard_normal(121)
    drop, change = 1e-18 * rng.random(121), 1e-3 * jitter**2 * rng.standard_normal(121)
    solver, _ = solver_of(x, y, np.ones(151), np.ones(121))
    plan = np.arange(121), np.arange(121), np.full(121, 1 / 121)
    every = least_reduced(*images, 1 - 8 * EPS, drop, f, g, change)
    found = solver.least_reduced(plan, *images, 1 - 8 * EPS, drop, f, g, change)
    terms = 4 * EPS * (np.abs(every) + 8 * EPS * np.abs(f).max() + np.abs(change).max() + 1e-18)
    assert (np.abs(found - every) <= 2 * terms).all()


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_c_transform_is_a_minimum_over_all_points(d):
    rng = np.random.default_rng(d)
    X, Y, g = rng.standard_normal((90, d)), rng.standard_normal((70, d)), rng.standard_normal(70)
    np.testing.assert_allclose(c_transform(X, Y, g), (cdist(X, Y, "sqeuclidean") - g).min(1), atol=1e-13)
    assert c_transform(X[:0], Y, g).shape == (0,)


@given(n=st.integers(1, 300), d=st.integers(1, 3), seed=seeds)
def test_the_order_cuts_every_part_at_a_median(n, d, seed):
    x = np.random.default_rng(seed).integers(0, 9, (n, d)).astype(float)
    order = kd_order(x)
    assert (np.sort(order) == np.arange(n)).all()
    z, L = x[order], 0
    while 2 << L <= n:
        for k in range(1 << L):
            low, middle, high = (k * n) >> L, ((2 * k + 1) * n) >> (L + 1), ((k + 1) * n) >> L
            axis = np.ptp(z[low:high], axis=0).argmax()
            assert z[low:middle, axis].max(initial=-1) <= z[middle:high, axis].min()
        L += 1


def flows_of(basis, masses):
    """What every node below the root sends to its parent, from the masses alone, as whole numbers."""
    tree, n = basis.tree, basis.n
    need = [int(high) * tree_kernels.LIMB + int(low) for high, low in masses.T]
    need = [w if v < n else -w for v, w in enumerate(need)]
    tree_kernels.preorder(tree, basis.root, basis.order)
    for v in basis.order[:0:-1].tolist():
        need[tree["parent"][v]] += need[v]
    assert need[basis.root] == 0
    return [abs(w) for w in need]


def assert_feasible(basis, masses):
    tree, flows = basis.tree, flows_of(basis, masses)
    for v in range(len(tree)):
        if v != basis.root:
            assert int(tree["high"][v]) * tree_kernels.LIMB + int(tree["low"][v]) == flows[v] > 0
            assert (v < basis.n) != (tree["parent"][v] < basis.n)


@pytest.mark.parametrize("kind", ["equal", "random", "decades"])
def test_a_refined_tree_is_feasible_to_the_last_unit(kind):
    """A tree of clusters, then of their points: whole numbers."""
    rng = np.random.default_rng(2)
    x, y = rng.random((2, 300, 2))
    a, b = {
        "equal": (np.ones(300), np.ones(300)),
        "random": (random_weights(300, 1), random_weights(300, 2)),
        "decades": (10.0 ** rng.uniform(-25, 0, 300), 10.0 ** rng.uniform(-25, 0, 300)),
    }[kind]
    solver, images = solver_of(x, y, a, b)
    X, Y = images(np.eye(2))
    orders, sides = solver._arranged(X[0], Y[0])
    (P, n, sides, _), (fine, _, parts, first) = [*solver._levels(solver._points(X, Y, orders), sides)][-2:]
    coarse = Basis.monotone(*sides, np.arange(n), np.arange(len(P) - n))
    assert_feasible(coarse, np.hstack(sides))
    assert optimise(coarse, square(P[:n, :2], P[n:, :2]), 1e-14) > 0
    assert_feasible(coarse, np.hstack(sides))
    cells = refined(coarse.tree, n, P, first, fine, np.hstack(parts))
    assert len(cells[0]) == 599
    assert_feasible(Basis(*cells, 300), np.hstack(parts))


def test_blocks_carry_the_potentials_of_large_subtrees():
    """After thousands of pivots, most of them of large subtrees: what blocks say is what the tree says."""
    basis, C, masses = random_basis(1000, 4)
    tree, blocks, n = basis.tree, basis.blocks, basis.n
    large = sum(top < 0 for top in pivots(basis, C, 2000))
    f = np.array([tree_kernels.potential_at(tree, blocks, n, v) for v in range(2000)])
    assert large > 100
    assert_feasible(basis, masses)
    basis.fit(lambda rows, columns: C[rows, columns])
    np.testing.assert_allclose(f, tree["potential"], atol=1e-11)


def test_potentials_fit_the_tree_when_pivots_run_out_of_rounds(monkeypatch):
    monkeypatch.setattr("swref.network.dense.ROUNDS", 1)
    a, b = random_weights(700, 0), random_weights(600, 1)
    basis = Basis.monotone(*Masses(a, b).limbs(), np.arange(700), np.arange(600))
    C = np.random.default_rng(2).random((700, 600))
    assert optimise(basis, C, 1e-15) > 100
    f, g = basis.potentials()
    _, rows, columns = basis.ends()
    np.testing.assert_allclose(f[rows] + g[columns], C[rows, columns], rtol=0, atol=1e-12)


def test_slopes_are_half_the_gradients_of_potentials():
    """Of a translation, whose potentials are affine."""
    rng = np.random.default_rng(0)
    x, step = rng.random((50, 3)), np.array([0.3, -0.1, 2.0])
    slope = partner_slopes(np.vstack([x, x + step]), np.arange(50), 50 + np.arange(50), np.full(50, 0.02))
    np.testing.assert_allclose(slope[:50], np.tile(-step, (50, 1)), atol=1e-14)
    np.testing.assert_allclose(slope[50:], np.tile(step, (50, 1)), atol=1e-14)


def test_the_perturbation_is_rounded_away():
    masses = np.array([[0, 0, 3], [(5 << SPARE) - 3, (5 << SPARE) + 9, 7]])
    assert Masses.as_floats(masses).tolist() == [5, 5, 3 * 2.0 ** (61 - SPARE)]


def test_more_points_than_half_words_have_units():
    """150,000 sources of three sinks: the program's optimality conditions, read off all pairs."""
    rng = np.random.default_rng(0)
    x, y, b = rng.random((150_000, 2)), rng.random((3, 2)), np.array([0.2, 0.3, 0.5])
    result, C = swref.exact_transport(x, y, b=b), square(x, y)
    f, g = result.potentials
    np.testing.assert_allclose(result.plan.sum(0), b, rtol=150_000 * EPS)  # a plain sum
    np.testing.assert_allclose(result.plan.sum(1), 1 / 150_000, rtol=4 * EPS)
    assert (C - f[:, None] - g).min() >= -4 * EPS
    assert f.mean() + b @ g == pytest.approx((result.plan * C).sum(), rel=1e-12)
    assert result.status == "converged"


def test_more_points_than_the_units_allow_are_refused():
    with pytest.raises(ValueError, match=r"x: expected at most 2097151 points of positive weight, got 2097152"):
        Masses(np.ones(MOST + 1), np.ones(1)).limbs()


# -- distances and certificates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("gauge", ["trace", "operator", swref.get_gauge("schatten", p=2)], ids=str)
def test_distances_with_and_without_a_matrix_agree(d, gauge, monkeypatch):
    rng = np.random.default_rng(d)
    x, y = rng.standard_normal((150, d)), rng.standard_normal((120, d)) @ rng.standard_normal((d, d))
    a, b = random_weights(150, 1), random_weights(120, 2)
    a[[3, 50]] = 0
    a /= a.sum()
    dense = swref.transport(x, y, gauge, a, b)
    monkeypatch.setattr(swref.clouds.distance, "SMALL", 1)
    free = swref.transport(x, y, gauge, a, b)
    assert CloudOracle(x, y, a + 1e-3, b).matrix_free
    assert free.status == "converged"
    assert free.upper_bound == pytest.approx(dense.upper_bound, rel=2e-6)
    f, g = free.potentials
    assert (square(x, y, free.metric) - f[:, None] - g).min() >= -1e-12
    assert a @ f + b @ g == pytest.approx(free.lower_bound, rel=1e-12)


@pytest.mark.parametrize("kind", ["plain", "far", "close", "integers"])
@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_in_rational_arithmetic(everywhere, seed, n, kind):
    """The best of all permutations, in fractions."""
    rng = np.random.default_rng([seed, n])
    x, y = rng.standard_normal((2, n, 2))
    if kind == "close":
        x, y = 1 + 1e-8 * x, 1 + 1e-8 * y
    elif kind == "integers":
        x, y = rng.integers(-2, 3, (2, n, 2)).astype(float)
    elif kind == "far":
        x, y = (np.vstack([z, [[1e9, -1e9]]]) for z in (x, y))
    n, exact = len(x), [[[Fraction(v) for v in p] for p in z.tolist()] for z in (x, y)]
    C = [[sum((u - v) ** 2 for u, v in zip(p, q, strict=True)) for q in exact[1]] for p in exact[0]]
    value = min(sum(C[i][k] for i, k in enumerate(order)) for order in permutations(range(n))) / n
    result = swref.exact_transport(x, y)
    assert Fraction(result.lower_bound) <= value <= Fraction(result.upper_bound)
    assert kind == "far" or result.status == "converged"


@pytest.mark.parametrize("matrix_free", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_one_quadratic_cost_agrees_with_pot_for_every_metric(d, matrix_free, monkeypatch):
    monkeypatch.setattr(swref.clouds.distance, "SMALL", 1 if matrix_free else 10**9)
    rng = np.random.default_rng(d)
    x, y, a, b = rng.standard_normal((40, d)), rng.random((30, d)), random_weights(40, 1), random_weights(30, 2)
    R = rng.standard_normal((d, d))
    metrics = {"full": R @ R.T, "line": R[:, :1] @ R[:, :1].T, "plane": R[:, :2] @ R[:, :2].T, "ones": np.ones((d, d))}
    for name, Q in {"identity": None, "axis": np.diag(np.arange(d) == 0.0) * 1.0, **metrics}.items():
        result = swref.exact_transport(x, y, a, b, Q)
        C = square(x, y, Q)
        value = ot.emd2(a, b, C, numItermax=10**7)
        assert result.relative_gap <= 1e-11, name
        assert result.lower_bound * (1 - 1e-12) <= value <= result.upper_bound * (1 + 1e-12)
        assert (result.plan * C).sum() == pytest.approx(value, rel=1e-12)
        f, g = result.potentials
        assert (C - f[:, None] - g).min() >= -1e-13 * C.max()
        assert a @ f + b @ g == pytest.approx(value, rel=1e-11)
        np.testing.assert_allclose(result.metric, np.eye(d) if Q is None else Q)
        assert np.vdot(result.moment, result.metric) == pytest.approx(value, rel=1e-11)
        assert result.distance == pytest.approx(np.sqrt(value))


@pytest.mark.parametrize("F, gap", [(1e6, 1e-13), (1e9, 1e-11)])
def test_a_far_point_in_common_costs_few_digits(everywhere, F, gap):
    """The tolerance of the first pricing is 1e-15 F^2; what is left to W^2 = .08 takes a second round."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 300, 2))
    near = swref.exact_transport(x, y)
    x, y = (np.vstack([z, [[F, -F]]]) for z in (x, y))
    result = swref.exact_transport(x, y)
    assert result.relative_gap <= gap
    assert result.upper_bound == pytest.approx(near.upper_bound * 300 / 301, rel=1e-11)


def test_a_singular_metric_is_bounded_in_rational_arithmetic(everywhere):
    """Displacements near the null direction of a metric whose factor is not exact."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        u = rng.standard_normal(2)
        Q = np.outer(u, u)
        if Q[0, 0] * Q[1, 1] < Q[0, 1] ** 2:
            Q[0, 0] = np.nextafter(Q[0, 0], np.inf)
        x = rng.standard_normal((4, 2))
        y = x + np.outer(rng.standard_normal(4), [-u[1], u[0]]) + 1e-7 * rng.standard_normal((4, 2))
        result = swref.exact_transport(x, y, metric=Q)
        exact = np.vectorize(Fraction, otypes=[object])
        D = exact(x)[:, None] - exact(y)
        C = (D.dot(exact(Q)) * D).sum(-1)
        value = min(sum(C[i, k] for i, k in enumerate(order)) for order in permutations(range(4))) / 4
        assert Fraction(result.lower_bound) <= value <= Fraction(result.upper_bound)


@pytest.mark.parametrize("size, unit", [(1.0, 1e300), (1.0, 1e-300), (1e150, 1e-300), (1e-150, 1e300), (3e5, 7.0)])
def test_neither_scale_nor_metric_size_matters(size, unit):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 20, 2))
    Q = np.array([[2.0, 0.5], [0.5, 1.0]])
    one, other = swref.exact_transport(x, y, metric=Q), swref.exact_transport(size * x, size * y, metric=unit * Q)
    assert other.distance == pytest.approx(np.sqrt(unit) * size * one.distance, rel=1e-12)
    assert other.upper_bound == pytest.approx(unit * size * size * one.upper_bound, rel=1e-12)
    np.testing.assert_allclose(other.moment, size * size * one.moment, rtol=1e-9)
    np.testing.assert_allclose(other.potentials[0], unit * size * size * one.potentials[0], rtol=1e-9)


def test_the_gradient_and_points_of_no_weight():
    rng = np.random.default_rng(0)
    x, y, a = rng.standard_normal((6, 2)), rng.standard_normal((5, 2)), np.array([0, 0.1, 0.2, 0.3, 0.2, 0.2])
    result = swref.exact_transport(x, y, a, metric=np.diag([1.0, 3.0]))
    by_x, _ = result.gradient()
    step = 1e-6 * rng.standard_normal((6, 2))
    ends = [swref.exact_transport(x + s * step, y, a, metric=np.diag([1.0, 3.0])).upper_bound for s in (1, -1)]
    assert (by_x[0] == 0).all()
    assert (ends[0] - ends[1]) / 2 == pytest.approx(np.vdot(by_x, step), rel=1e-5)
    assert result.plan[[0]].nnz == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"metric": np.zeros((2, 2))}, "metric: must not be zero"),
        ({"metric": np.diag([1.0, -1.0])}, "metric: must be positive semidefinite"),
        ({"metric": np.eye(3)}, r"metric: expected shape \(2, 2\)"),
        ({"metric": [[1.0, 2.0], [0.0, 1.0]]}, "metric: must be symmetric"),
        ({"a": np.ones(4)}, "a: must sum to one"),
        ({"y": np.ones((3, 3))}, "y: expected d = 2 columns"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        swref.exact_transport(**{"x": np.zeros((4, 2)), "y": np.ones((4, 2)), **arguments})


def test_memory_does_not_grow_with_pairs():
    """Ten thousand points: a matrix of costs would take 800 MB."""
    import tracemalloc

    rng = np.random.default_rng(0)
    x, y = rng.random((2, 10_000, 2))
    swref.exact_transport(x[:600], y[:600])
    tracemalloc.start()
    result = swref.exact_transport(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert result.relative_gap <= 1e-12
    costs = Costs(np.vstack([as_points(z, 0 * z) for z in (x, y)]), 10_000)
    assert costs.tolerance < 1e-13
