"""Symptoms reported to neighbouring projects (POT, geomloss, OTT, optax, Numba, ...) that users would meet here first."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

import swref

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 2)), RNG.normal(size=(25, 2))


def W2(*args, **options):
    return swref.transport(*args, **options).upper_bound


def test_the_plan_of_very_uneven_clouds_sums_to_one():
    plan = swref.transport(RNG.random((5, 2)), RNG.random((960, 2)), "trace").plan
    assert abs(plan.sum() - 1) < 1e-12
    np.testing.assert_allclose(plan.sum(0), 1 / 960, rtol=1e-12)


def test_padding_with_zero_weights_changes_nothing():
    padded, weights = np.vstack([X, np.zeros((7, 2))]), np.r_[np.full(20, 0.05), np.zeros(7)]
    assert W2(padded, Y, "muon", a=weights) == W2(X, Y, "muon")


def test_a_cloud_is_at_distance_zero_from_itself_in_any_order():
    assert W2(X, X[::-1], "muon") == 0


def test_close_clouds_in_high_dimension_give_nothing_negative():
    z = RNG.normal(size=(50, 160)) * 0.02
    result = swref.transport(z, z + 1e-4 * RNG.normal(size=z.shape), "trace")
    assert 0 < result.lower_bound <= result.upper_bound


def test_a_zero_gradient_has_a_zero_step():
    assert not swref.lmo(np.zeros((4, 8)), "muon").any()


def test_integers_are_points():
    assert W2([[0, 0], [1, 1]], [[1, 1], [0, 0]], "trace") == 0


def test_the_order_of_weighted_points_on_the_line_does_not_matter():
    weights, order = RNG.dirichlet(np.ones(20)), RNG.permutation(20)
    line, other = X[:, :1], Y[:, :1]
    shuffled = W2(line[order], other, "trace", a=weights[order])
    assert W2(line, other, "trace", a=weights) == pytest.approx(shuffled, rel=1e-14)


def test_memory_layout_does_not_matter():
    strange = np.asfortranarray(X.astype(">f8"))[::-1, ::-1]
    strange.setflags(write=False)
    assert W2(strange, Y[:, ::-1], "muon") == pytest.approx(W2(X, Y, "muon"), rel=1e-6)


def test_results_can_be_copied_and_pickled():
    result = swref.transport(X, Y, "muon")
    assert pickle.loads(pickle.dumps(result)).distance == copy.deepcopy(result).distance == result.distance


def test_threads_get_the_same_answer():
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: W2(X, Y, "muon"), range(12)))) == 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: W2(X, Y, "muon", a=np.ones(20)), "a: must sum to one"),
        (lambda: W2(np.zeros((2, 5, 3)), np.zeros((2, 5, 3)), "muon"), "x: expected 2 axes"),
        (lambda: swref.lmo(np.zeros((8, 4, 3, 3)), "muon"), "G: expected 2 axes"),
        (lambda: W2(sp.csr_array(X), Y, "muon"), "x: expected a dense array"),
        (lambda: W2(np.where(X > 1, np.nan, X), Y, "muon"), "x: must be finite"),
    ],
    ids=["counts", "batch", "filters", "sparse", "nan"],
)
def test_what_has_no_meaning_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
