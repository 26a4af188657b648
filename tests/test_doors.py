"""The doors of the package: what every public function accepts, refuses, and leaves alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EPS, seeds

from swref import _validation as doors

SINGLE = float(np.finfo(np.float32).eps)


class Tensor:
    """A tensor that requires gradients, as NumPy meets it."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")

    def detach(self):
        raise AssertionError("the caller decides where the gradient ends")


# -- weights ------------------------------------------------------------------------------------------------------


@given(seed=seeds, n=st.sampled_from([1, 2, 10, 100, 1000, 20_000]), spread=st.sampled_from([0.0, 1.0, 10.0]))
def test_weights_of_sum_one_in_single_precision_are_weights(seed, n, spread):
    a = np.exp(spread * np.random.default_rng(seed).standard_normal(n), dtype=np.float32)
    for total in (a.sum(), np.cumsum(a)[-1]):  # pairwise, and one after the other as a loop does
        weights = doors.as_weights("a", a / total, n)
        assert weights.dtype == float
        assert abs(weights.sum() - 1) <= n * EPS
        np.testing.assert_allclose(weights, a / a.sum(dtype=float), rtol=2 * n * SINGLE)


@pytest.mark.parametrize("dtype, wrong", [(float, 1e-7), (np.float32, 1e-4)])
def test_a_sum_that_rounding_does_not_explain_is_refused(dtype, wrong):
    with pytest.raises(ValueError, match="a: must sum to one"):
        doors.as_weights("a", np.full(10, 0.1 * (1 + wrong), dtype=dtype), 10)


def test_masses_are_the_floats_given():
    a = np.array([0.1, 0.2, 0.7]) * (1 + 1e-9)
    assert doors.as_masses("a", a, 3).tolist() == a.tolist()
    assert doors.as_masses("a", a.astype(np.float32), 3).tolist() == a.astype(np.float32).tolist()
    assert doors.as_masses("a", None, 3).tolist() == [1, 1, 1]
    assert doors.as_weights("a", a, 3).tolist() == (a / a.sum()).tolist()
    assert doors.as_weights("a", None, 3).tolist() == [1 / 3] * 3
    doors.as_masses("a", a, 3)[0] = 5  # a copy
    assert a[0] < 1
