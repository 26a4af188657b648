"""The doors of the package: what every public function accepts, what it refuses by name, and what cannot move it."""

import inspect
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from strategies import EPS, seeds

import swref
from swref import _validation as doors
from swref import energies, geodesics, get_gauge
from swref.experiments import attention, heaps, mlp, mmd, shapes
from swref.flows import descent_velocity
from swref.gauges import Congruence, Multiple
from swref.gaussian_flows import Quadratic, gaussian_flow, modal_invariant
from swref.plotting import gauge_color

SINGLE = float(np.finfo(np.float32).eps)
RNG = np.random.default_rng(0)
X, Y, S = RNG.normal(size=(5, 2)), RNG.normal(size=(4, 2)), np.array([[2.0, 0.5], [0.5, 1.0]])
RHO = np.exp(-((np.arange(6) - 2.0) ** 2))
PLAN = swref.transport(X, Y, "trace").plan
MMD, TWO = energies.MMD(Y), get_gauge("linear", Q0=np.eye(2))
ORACLE = swref.clouds.CloudOracle(X, Y, np.full(5, 0.2), np.full(4, 0.25))
QUICK = {"t_end": 0.01, "tol": 0.1}


AXES = np.eye(2)


def spherical(nu0, nu1, x, y):
    return swref.spherical_transport(nu0, nu1, "trace", directions0=x, directions1=y)


def bell(x, y):
    return np.exp(-((x - y) ** 2).sum(-1))


def slope(x, y):
    return -2 * (x - y) * bell(x, y)[..., None]


# -- arrays: every argument of every public function ----------------------------------------------------------------

ARRAYS = {  # (function, argument): the call, a value that it accepts
    ("transport", "x"): (lambda v: swref.transport(v, Y, "trace"), X),
    ("transport", "y"): (lambda v: swref.transport(X, v, "trace"), Y),
    ("transport", "a"): (lambda v: swref.transport(X, Y, "trace", a=v), np.full(5, 0.2)),
    ("transport", "b"): (lambda v: swref.transport(X, Y, "trace", b=v), np.full(4, 0.25)),
    ("exact_transport", "metric"): (lambda v: swref.exact_transport(X, Y, metric=v), S),
    ("displacement", "x"): (lambda v: swref.displacement(v, Y, PLAN, 0.5), X),
    ("gaussian_transport", "m0"): (lambda v: swref.gaussian_transport(v, S, [0, 0], S, "muon"), X[0]),
    ("gaussian_transport", "S0"): (lambda v: swref.gaussian_transport([0, 0], v, [0, 0], S, "muon"), S),
    ("gaussian_transport", "m1"): (lambda v: swref.gaussian_transport([0, 0], S, v, S, "muon"), X[0]),
    ("gaussian_transport", "S1"): (lambda v: swref.gaussian_transport([0, 0], S, [0, 0], v, "muon"), S),
    ("moment_lower_bound", "x"): (lambda v: swref.moment_lower_bound(v, Y, "muon"), X),
    ("moment_lower_bound", "b"): (lambda v: swref.moment_lower_bound(X, Y, "muon", b=v), np.full(4, 0.25)),
    ("dynamic_transport", "rho0"): (lambda v: swref.dynamic_transport(v, RHO, "trace", tol=0.5, n_time=2), RHO),
    ("dynamic_transport", "rho1"): (lambda v: swref.dynamic_transport(RHO, v, "trace", tol=0.5, n_time=2), RHO),
    ("dynamic_transport", "spacing"): (lambda v: swref.dynamic_transport(RHO, RHO, "trace", spacing=v), np.ones(1)),
    ("spherical_transport", "nu0"): (lambda v: spherical(v, [1, 2], AXES, AXES), np.ones(2)),
    ("spherical_transport", "directions1"): (lambda v: spherical([1, 2], [1, 2], AXES, v), AXES),
    ("modal_invariant", "r"): (lambda v: modal_invariant(v, np.ones(2), "muon"), np.zeros(2)),
    ("modal_invariant", "s"): (lambda v: modal_invariant(np.zeros(2), v, "muon"), np.ones(2)),
    ("lmo", "G"): (lambda v: swref.lmo(v, "muon"), X),
    ("measure_lmo", "g"): (lambda v: swref.measure_lmo(v, "muon"), X),
    ("measure_lmo", "weights"): (lambda v: swref.measure_lmo(X, "muon", v), np.full(5, 0.2)),
    ("tangent_norm", "V"): (lambda v: swref.tangent_norm(v, "muon"), X),
    ("dual_norm", "g"): (lambda v: swref.dual_norm(v, "muon"), X),
    ("descent_velocity", "g"): (lambda v: descent_velocity(v, "muon"), X),
    ("descent_velocity", "weights"): (lambda v: descent_velocity(X, "muon", v), np.full(5, 0.2)),
    ("flow", "x0"): (lambda v: swref.flow(MMD, v, "muon", **QUICK), X),
    ("flow", "weights"): (lambda v: swref.flow(MMD, X, "muon", weights=v, **QUICK), np.full(5, 0.2)),
    ("flow", "snapshot_times"): (lambda v: swref.flow(MMD, X, "muon", snapshot_times=v, **QUICK), np.array([0, 0.01])),
    ("speeds", "times"): (lambda v: geodesics.speeds(X, Y, PLAN, "trace", v), np.array([0.0, 1.0])),
    ("density", "points"): (lambda v: geodesics.density(v, [np.arange(3.0)] * 2), X),
    ("momentum", "velocities"): (lambda v: geodesics.momentum(X, v, [np.arange(3.0)] * 2), X),
    ("axes_around", "clouds"): (lambda v: geodesics.axes_around(v), X),
    ("MMD", "target"): (energies.MMD, Y),
    ("MMD.value", "x"): (MMD.value, X),
    ("MMD.force", "weights"): (lambda v: MMD.force(X, v), np.full(5, 0.2)),
    ("TwoLayerNet", "inputs"): (lambda v: energies.TwoLayerNet(v, np.ones(5)), X),
    ("TwoLayerNet", "targets"): (lambda v: energies.TwoLayerNet(X, v), np.ones(5)),
    ("Attention", "tokens"): (lambda v: energies.Attention(v, np.ones((1, 5, 2)), 1), X[None]),
    ("Potential.value", "x"): (energies.Potential(lambda x: x[:, 0], np.ones_like).value, X),
    ("Interaction.force", "x"): (energies.Interaction(bell, slope).force, X),
    ("value", "S"): (get_gauge("schatten", p=3).value, S),
    ("support", "S"): (get_gauge("block-max", blocks=[1, 1]).support, S),
    ("polar", "Q"): ((get_gauge("trace") + get_gauge("muon")).polar, S),
    ("project", "A"): (get_gauge("kyfan", k=1).project, S),
    ("measure_multiplier", "C"): (get_gauge("root-schatten").measure_multiplier, S),
    ("linear", "Q0"): (lambda v: get_gauge("linear", Q0=v), S),
    ("congruence", "A"): (get_gauge("trace").congruence, S),
    ("block-sum", "scales"): (lambda v: get_gauge("block-sum", blocks=[1, 1], scales=v), np.ones(2)),
    ("rank_one_heuristic", "x"): (lambda v: shapes.rank_one_heuristic(v, X), X),
    ("pair", "shift"): (lambda v: shapes.pair("cat to annulus", v, n=3), np.ones(2)),
    ("alignment", "x"): (mlp.alignment, np.ones((4, 3))),
    ("reduced", "x"): (mlp.reduced, np.ones((4, 3))),
    ("poured", "places"): (lambda v: heaps.poured(3, v), np.ones(2)),
}  # fmt: skip


class Tensor:
    """A tensor that requires gradients, as NumPy meets it."""

    def __init__(self, array):
        self.shape = array.shape

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")

    def detach(self):
        raise AssertionError("only the caller knows where the gradient may end")


def masked(array):
    return np.ma.masked_array(array, np.arange(array.size).reshape(array.shape) == 1)


BAD = {  # what it is: how to make it, and what the message says to do
    "masked": (masked, "masked entries; leave them out"),
    "rows of it masked": (lambda v: [masked(np.ones(2)), *list(v)[1:]], "masked entries; leave them out"),
    "complex": (lambda v: v + 0j, r"\.real if the imaginary part"),
    "object": (lambda v: v.astype(object), r"\.astype\(float\)"),
    "text": (lambda v: v.astype(str), r"\.astype\(float\)"),
    "booleans": (lambda v: v > 0, r"\.astype\(float\) if 0 and 1 are meant"),
    "times": (lambda v: v.astype("timedelta64[s]"), r"\.astype\(float\)"),
    "tensor": (Tensor, r"requires grad.*\.detach\(\)"),
    "sparse": (lambda v: sp.csr_array(np.atleast_2d(v.reshape(len(v), -1))), r"\.toarray\(\)"),
    "ragged": (lambda v: [list(v), [1.0, [2.0]]], "expected a real numeric array"),
    "nothing": (lambda v: object(), "expected a real numeric array"),
    "NaN": (lambda v: np.where(np.arange(v.size).reshape(v.shape) == 1, np.nan, v), "must be finite"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("function, argument", ARRAYS)
def test_bad_arrays_are_refused_by_name(function, argument, kind):
    call, good = ARRAYS[function, argument]
    spoil, advice = BAD[kind]
    good = good if good.size > 1 else np.ones(2)  # so that one can be spoiled
    with pytest.raises(ValueError, match=rf"(?s)^{argument}(\[\d\])?: .*{advice}"):
        call(spoil(good))


@pytest.mark.parametrize("function, argument", ARRAYS)
def test_good_arrays_pass_in_every_form_and_are_left_alone(function, argument):
    call, good = ARRAYS[function, argument]
    before = good.copy()
    call(good)
    for form in (good.tolist(), np.asfortranarray(good), good.astype(">f8"), np.ma.masked_array(good)):
        call(form)
    np.testing.assert_array_equal(good, before)


def test_numbers_of_any_size_and_kind_are_numbers():
    from fractions import Fraction

    assert doors.as_array("x", [10**30, Fraction(1, 2)], 1).tolist() == [1e30, 0.5]
    assert doors.as_array("x", np.arange(3, dtype=np.uint8), 1).tolist() == [0, 1, 2]
    assert doors.as_array("x", np.float16(0.5), 0).tolist() == 0.5
    assert doors.as_array("x", np.asfortranarray(np.ones((2, 3))), 2).flags.c_contiguous
    with pytest.raises(ValueError, match="x: expected 1 or 2 axes, got shape"):
        doors.as_array("x", 1.0, (1, 2))


def test_a_memory_error_is_not_blamed_on_the_argument():
    class Large:
        def __array__(self, dtype=None, copy=None):
            raise MemoryError

    with pytest.raises(MemoryError):
        doors.as_array("x", Large(), 2)


# -- gauges, tolerances, counts ---------------------------------------------------------------------------------------

GAUGES = {
    "transport": lambda g: swref.transport(X, Y, g),
    "gaussian_transport": lambda g: swref.gaussian_transport(X[0], S, X[1], S, g),
    "moment_lower_bound": lambda g: swref.moment_lower_bound(X, Y, g),
    "dynamic_transport": lambda g: swref.dynamic_transport(RHO[:, None] * RHO, RHO[:, None] * RHO, g),
    "lmo": lambda g: swref.lmo(X, g),
    "measure_lmo": lambda g: swref.measure_lmo(X, g),
    "tangent_norm": lambda g: swref.tangent_norm(X, g),
    "dual_norm": lambda g: swref.dual_norm(X, g),
    "descent_velocity": lambda g: descent_velocity(X, g),
    "flow": lambda g: swref.flow(MMD, X, g, **QUICK),
    "speeds": lambda g: geodesics.speeds(X, Y, PLAN, g, [0.0, 1.0]),
    "solve": lambda g: swref.maxmin.solve(ORACLE, g, tol=0.1, max_iter=9),
    "clipped_flow": lambda g: (
        mlp.clipped_flow(mlp.problem(4, 5), g, steps=1) if g is not TWO else descent_velocity(X, g)
    ),
}


@pytest.mark.parametrize("function", GAUGES)
def test_one_door_for_gauges(function):
    call = GAUGES[function]
    call("trace"), call(get_gauge("schatten", p=2)), call(TWO)
    for bad, message in (
        (None, "gauge: expected a name or a swref.Gauge, got None"),
        (2, "gauge: expected a name or a swref.Gauge, got 2"),
        (swref.gauges.Trace, r"gauge: expected a name or a swref.Gauge \(an instance, not the class\)"),
        ("trase", "gauge: unknown name 'trase'; did you mean 'trace'"),
        (get_gauge("linear", Q0=np.eye(7)), "gauge: Linear.* accepts d = 7 only, got d = "),
    ):
        with pytest.raises(ValueError, match=message):
            call(bad)


TOLERANCES = {
    ("transport", "tol"): lambda v: swref.transport(X, Y, "muon", tol=v),
    ("speeds", "tol"): lambda v: geodesics.speeds(X, Y, PLAN, "muon", [0, 1], tol=v),
    ("gaussian_transport", "tol"): lambda v: swref.gaussian_transport(X[0], S, X[1], S, "muon", tol=v),
    ("moment_lower_bound", "tol"): lambda v: swref.moment_lower_bound(X, Y, "muon", tol=v),
    ("dynamic_transport", "tol"): lambda v: swref.dynamic_transport(RHO, RHO, "trace", tol=v),
    ("solve", "tol"): lambda v: swref.maxmin.solve(ORACLE, "muon", tol=v, max_iter=99),
    ("gaussian_flow", "tol"): lambda v: gaussian_flow(Quadratic(S), X[0], S, "muon", t_end=0.01, tol=v),
    ("flow", "tol"): lambda v: swref.flow(MMD, X, "muon", t_end=0.01, tol=v),
    ("flow", "cutoff"): lambda v: swref.flow(MMD, X, "muon", t_end=0.01, cutoff=v),
    ("descent_velocity", "cutoff"): lambda v: descent_velocity(X, "muon", cutoff=v),
}
NO_NUMBERS = [np.nan, True, np.True_, "0.1", 0.1j, [0.1], np.array([0.1]), {}, masked(np.ones(2)), np.array("1")]


@pytest.mark.parametrize("bad", [2, 1.0, 0, -0.1, np.inf, *NO_NUMBERS], ids=repr)
@pytest.mark.parametrize("function, argument", TOLERANCES)
def test_tolerances_are_numbers_between_zero_and_one(function, argument, bad):
    with pytest.raises(ValueError, match=f"^{argument}: expected a positive number below one"):
        TOLERANCES[function, argument](bad)


@pytest.mark.parametrize("function, argument", TOLERANCES)
def test_any_real_number_is_a_tolerance(function, argument):
    for good in (0.25, np.float32(0.25), np.array(0.25)):
        TOLERANCES[function, argument](good)


COUNTS = {
    ("transport", "max_iter"): lambda v: swref.transport(X, Y, "trace", max_iter=v),
    ("solve", "max_iter"): lambda v: swref.maxmin.solve(ORACLE, "trace", tol=0.1, max_iter=v),
    ("gaussian_transport", "max_iter"): lambda v: swref.gaussian_transport(X[0], S, X[1], S, "trace", max_iter=v),
    ("dynamic_transport", "max_iter"): lambda v: swref.dynamic_transport(RHO, RHO, "trace", max_iter=v),
    ("dynamic_transport", "n_time"): lambda v: swref.dynamic_transport(RHO, RHO, "trace", n_time=v),
    ("sample", "n"): lambda v: swref.gaussian_transport(X[0], S, X[1], S, "trace").sample(v),
    ("flow", "max_steps"): lambda v: swref.flow(MMD, X, "muon", max_steps=v, strict=False, **QUICK),
    ("axes_around", "cells"): lambda v: geodesics.axes_around(X, cells=v),
    ("check_gauge", "d"): lambda v: swref.check_gauge("trace", d=v),
    ("Attention", "head_dim"): lambda v: energies.Attention(X[None], X[None], v),
    ("shapes.sample", "n"): lambda v: shapes.sample("cat", v),
    ("rank_one_heuristic", "rounds"): lambda v: shapes.rank_one_heuristic(X, X, rounds=v),
    ("mmd.clouds", "particles"): lambda v: mmd.clouds(v),
    ("heaps.centers", "n"): heaps.centers,
    ("mlp.problem", "n"): lambda v: mlp.problem(v, 5),
    ("mlp.problem", "size"): lambda v: mlp.problem(5, v),
    ("clipped_flow", "steps"): lambda v: mlp.clipped_flow(mlp.problem(4, 5), "trace", steps=v),
    ("angular_density", "size"): lambda v: mlp.angular_density(np.ones((4, 3)), size=v),
    ("attention.problem", "heads"): lambda v: attention.problem("dense", heads=v, sequences=2, tokens=2),
    ("attention.problem", "tokens"): lambda v: attention.problem("dense", heads=2, sequences=2, tokens=v),
}


@pytest.mark.parametrize("bad", [0, -1, True, np.True_, 1.0, "3", np.nan, [2]], ids=repr)
@pytest.mark.parametrize("function, argument", COUNTS)
def test_counts_are_positive_integers(function, argument, bad):
    with pytest.raises(ValueError, match=f"^{argument}: expected a positive integer"):
        COUNTS[function, argument](bad)


@pytest.mark.parametrize("function, argument", COUNTS)
def test_integers_of_numpy_are_counts(function, argument):
    COUNTS[function, argument](np.int64(2))


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.inf, *NO_NUMBERS], ids=repr)
def test_fractions_are_between_zero_and_one(bad):
    result = swref.gaussian_transport(X[0], S, X[1], S, "trace")
    for name, call in {
        "t": result.interpolate,
        "(t)": lambda v: swref.displacement(X, Y, PLAN, v),
        "floor": lambda v: swref.dynamic_transport(RHO, RHO, "trace", floor=v),
    }.items():
        with pytest.raises(ValueError, match=rf"^{name.strip('()')}: expected a number in \[0, 1\]"):
            call(bad)
    assert result.interpolate(0)[0].tolist() == X[0].tolist()
    assert result.interpolate(np.float32(1))[0].tolist() == X[1].tolist()


@pytest.mark.parametrize("spoil", [1j, np.nan, -1.0])
def test_the_masses_of_a_sparse_plan_are_nonnegative_numbers(spoil):
    for bad in (PLAN * spoil, PLAN > 0, PLAN[:0]):
        with pytest.raises(ValueError, match="^plan: "):
            swref.displacement(X, Y, bad, 0.5)
    assert swref.displacement(X, Y, (PLAN > 0).astype(int), 0.5)[1].tolist() == [1.0] * PLAN.nnz


THINGS = [None, True, "1", 1j, np.nan, 1.5, 10**400, [None], [[1.0], [0.5, 0.5]], [True, True], masked(np.ones(2)), {}]


@pytest.mark.parametrize("bad", THINGS, ids=str)
def test_arguments_of_other_kinds_are_refused_by_name(bad):
    for name, call, fine in (
        ("p", lambda v: get_gauge("schatten", p=v), {float}),
        ("p", lambda v: get_gauge("root-schatten", p=v), set()),
        ("blocks", lambda v: get_gauge("block-sum", blocks=v), set()),
        ("epsilon", lambda v: energies.MMD(Y, epsilon=v), {float, type(None)}),
        ("kernel", lambda v: energies.MMD(Y, kernel=np.array(v, dtype=object)), set()),
        ("axes", lambda v: geodesics.density(X, v), set()),
        ("weights", lambda v: swref.pairwise([X, Y], "trace", weights=v), {type(None)}),
        ("gauge", lambda v: Multiple(v, 2.0), set()),
        ("gauge", lambda v: Congruence(v, S), set()),
        ("oracle", lambda v: swref.maxmin.solve(v, "trace", tol=0.1, max_iter=9), set()),
    ):
        if type(bad) in fine and bad == bad:
            call(bad)
        else:
            with pytest.raises(ValueError, match=rf"^{name}(\[\d\])?: "):
                call(bad)


@pytest.mark.parametrize("bad", [0, -1, np.inf, *NO_NUMBERS], ids=repr)
def test_lengths_and_times_are_positive_numbers(bad):
    for name, call in {
        "t_end": lambda v: swref.flow(MMD, X, "muon", t_end=v),
        "width": lambda v: geodesics.axes_around(X, width=v),
        "bandwidth": lambda v: energies.MMD(Y, kernel="gaussian", bandwidth=v),
        "radius": lambda v: shapes.sample("cat", 3, radius=v),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}: expected a positive finite number"):
            call(bad)


def test_exponents_of_numpy_have_the_colours_of_numbers():
    for p in (1, 2):
        assert gauge_color(np.int64(p)) == gauge_color(np.float32(p)) == gauge_color(p)


# -- single precision is judged by its own rounding -------------------------------------------------------------------


@given(seed=seeds, n=st.sampled_from([1, 2, 10, 100, 1000, 20_000]), spread=st.sampled_from([0.0, 1.0, 10.0]))
def test_weights_of_sum_one_in_single_precision_are_weights(seed, n, spread):
    a = np.exp(spread * np.random.default_rng(seed).standard_normal(n), dtype=np.float32)
    for total in (a.sum(), np.cumsum(a)[-1]):  # pairwise, and one after the other as a loop does
        weights = doors.as_weights("a", a / total, n)
        assert weights.dtype == float
        assert abs(weights.sum() - 1) <= n * EPS
        np.testing.assert_allclose(weights, a / a.sum(dtype=float), rtol=2 * n * SINGLE)


@pytest.mark.parametrize("dtype, wrong", [(float, 1e-7), (np.float32, 1e-4), (np.float16, 0.02)])
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


@given(seed=seeds, n=st.integers(1, 9), d=st.integers(2, 10), size=st.sampled_from([1e-20, 1.0, 1e15]))
def test_covariances_of_few_samples_in_single_precision_are_covariances(seed, n, d, size):
    """The distance from them is that from the double-precision covariance, up to single precision."""
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) * np.sqrt(size)).astype(np.float32)
    single = x.T @ x / np.float32(n)
    single[0, 1] = np.nextafter(
        single[0, 1], np.inf, dtype=np.float32
    )  # as far from symmetric as rounding may leave it
    double = x.astype(float).T @ x / n
    S1, gauge = size * np.eye(d), get_gauge("schatten", p=2)
    ours, exact = (swref.gaussian_transport(np.zeros(d), C, np.zeros(d), S1, gauge) for C in (single, double))
    assert abs(ours.distance - exact.distance) <= 2 * np.sqrt(gauge.value(np.eye(d)) * 8 * d * SINGLE * double.max())
    assert abs(gauge.value(single) - gauge.value(double)) <= 8 * d * SINGLE * gauge.value(double)
    PSD = doors.as_psd("S", single)
    assert np.linalg.eigvalsh(PSD)[0] >= -doors.ACCURACY * np.abs(PSD).max()
    assert np.abs(PSD - double).max() <= 8 * d * SINGLE * np.abs(double).max()


@pytest.mark.parametrize("dtype, wrong", [(float, 1e-7), (np.float32, 1e-4)])
def test_what_rounding_does_not_explain_is_not_symmetric_or_psd(dtype, wrong):
    with pytest.raises(ValueError, match="S: must be symmetric"):
        doors.as_psd("S", np.array([[1, wrong], [0, 1]], dtype=dtype))
    with pytest.raises(ValueError, match="S: must be positive semidefinite, got eigenvalue -"):
        doors.as_psd("S", np.array([[1, 0], [0, -wrong]], dtype=dtype))


def test_densities_of_equal_mass_in_single_precision_have_equal_mass():
    p, q = (np.random.default_rng(k).random((9, 9)).astype(np.float32) for k in range(2))
    p, q = p / p.sum(), q / q.sum()
    assert p.sum(dtype=float) != q.sum(dtype=float)
    result = swref.dynamic_transport(p, q, "muon", n_time=4, tol=0.05)
    exact = swref.dynamic_transport(*(f.astype(float) / f.sum(dtype=float) for f in (p, q)), "muon", n_time=4, tol=0.05)
    assert abs(result.upper_bound - exact.upper_bound) <= 1e-5 * exact.upper_bound
    with pytest.raises(ValueError, match="rho0, rho1: masses must be equal"):
        swref.dynamic_transport(p, q * np.float32(1.001), "muon")


# -- the session: nothing that a user has set changes an answer -------------------------------------------------------

SMALL = np.exp(-np.linspace(0, 700, 5))
CALM = {
    "transport": lambda: swref.transport(X * 1e-150, Y * 1e-150, "muon", a=SMALL / SMALL.sum()).distance,
    "displacement": lambda: swref.displacement(X * 1e-300, Y * 1e-300, PLAN, 1e-20)[0],
    "moment_lower_bound": lambda: swref.moment_lower_bound(X * 1e-150, Y * 1e-150, "muon", a=SMALL / SMALL.sum()),
    "gaussian": lambda: swref.gaussian_transport([0, 0], S * 1e-200, [1, 0], np.diag([1, 0.0]), "muon").distance,
    "huge Gaussian": lambda: swref.gaussian_transport([0, 0], np.eye(2) * 1e300, [1e160, 0], S, "muon").upper_bound,
    "dynamic": lambda: swref.dynamic_transport(SMALL, SMALL[::-1], "trace", n_time=2, tol=0.5).upper_bound,
    "lmo": lambda: swref.lmo(np.diag([1, 1e-200]), "muon"),
    "lmo, p = 7": lambda: swref.lmo(np.diag([1, 1e-200]), get_gauge("schatten", p=7)),
    "measure_lmo": lambda: swref.measure_lmo(X * 1e-170, "muon", SMALL / SMALL.sum()),
    "dual_norm": lambda: swref.dual_norm(X * 1e-170, get_gauge("kyfan", k=2), SMALL / SMALL.sum()),
    "tangent_norm": lambda: swref.tangent_norm(X * 1e-170, "root-schatten", SMALL / SMALL.sum()),
    "descent_velocity": lambda: descent_velocity(X * 1e-170, "muon")[0],
    "value": lambda: get_gauge("schatten", p=7).value(np.diag([1, 1e-200])),
    "support": lambda: get_gauge("schatten", p=7).support(np.diag([1, 1e-200])),
    "polar": lambda: (get_gauge("trace") + get_gauge("muon")).polar(np.diag([1, 1e-200])),
    "project": lambda: get_gauge("schatten", p=3).project(np.diag([1e200, 1e-200])),
    "measure_multiplier": lambda: get_gauge("schatten", p=1.1).measure_multiplier(np.diag([1, 1e-250])),
    "flow": lambda: swref.flow(MMD, X * 1e-160, "muon", t_end=1e-160, tol=0.1).final,
    "density": lambda: geodesics.density(X * 100, [np.arange(3.0)] * 2),
    "speeds": lambda: geodesics.speeds(X * 1e-160, Y * 1e-160, PLAN, "muon", [0, 1]),
    "MMD": lambda: energies.MMD(Y * 1e200).force(X * 1e-200),
    "Gaussian MMD": lambda: energies.MMD(Y * 1e3, kernel="gaussian").value_and_force(X)[1],
    "softplus": lambda: energies.TwoLayerNet(X * 1e3, np.ones(5), "softplus").force(np.ones((3, 3))),
    "ReLU": lambda: energies.TwoLayerNet(X * 1e200, np.ones(5)).force(np.ones((3, 3)) * 1e200),
    "attention": lambda: energies.Attention(X[None] * 1e3, X[None], 1).force(np.ones((3, 8)) * 1e3),
    "potential": lambda: energies.Potential(lambda x: np.exp(x[:, 0] * 1e3), lambda x: np.exp(x * 1e3)).force(X),
    "check_gauge": lambda: swref.check_gauge(get_gauge("schatten", p=20), d=2) or 0.0,
}  # fmt: skip


@pytest.mark.parametrize("name", CALM)
def test_the_error_state_and_warning_filters_of_the_session_change_nothing(name):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        calm = np.asarray(CALM[name]())
    assert not np.isnan(calm).any()
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(CALM[name](), calm)
        assert set(np.geterr().values()) == {"raise"}  # and it is left as it was


@pytest.mark.parametrize("function", ["lmo", "measure_lmo", "gaussian_transport", "dynamic_transport", "flow"])
def test_signatures_and_docstrings_are_those_written(function):
    function = getattr(swref, function)
    assert "gauge" in inspect.signature(function).parameters
    assert inspect.getdoc(function).count("\n") > 3
    assert function.__module__.startswith("swref.")
