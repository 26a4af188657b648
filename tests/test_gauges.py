"""Each built-in gauge against NumPy, its set K, its smoothing, and the algebra of gauges."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose
from strategies import EPS, compositions, example, orthogonal, psd, seeds, spectral_gauges

import swref
from swref import GaugeError, get_gauge
from swref.gauges import Linear, RootSchatten, Schatten, maximum


def spectrum(S):
    """NumPy's own eigenvalues, scaled: its vector norms overflow at 1e150."""
    scale = np.abs(S).max() or 1.0
    return scale, np.maximum(np.linalg.eigvalsh(S / scale), 0)[::-1]


# -- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 1.3, 2, 7, np.inf])
@given(S=psd())
def test_schatten_value_is_a_vector_norm_of_the_spectrum(p, S):
    scale, lam = spectrum(S)
    assert_allclose(get_gauge("schatten", p=p).value(S), scale * np.linalg.norm(lam, p), rtol=1e-13)


@pytest.mark.parametrize("order, p", [("fro", 2), (2, np.inf), ("nuc", 1)])
@given(S=psd(scaled=False))
def test_schatten_value_is_a_matrix_norm(order, p, S):
    assert_allclose(Schatten(p).value(S), np.linalg.norm(S, order), rtol=1e-13)


@pytest.mark.parametrize("k", [1, 2, 3])
@given(S=psd(d=3))
def test_kyfan_value_is_a_partial_sum(k, S):
    scale, lam = spectrum(S)
    assert_allclose(get_gauge("kyfan", k=k).value(S), scale * lam[:k].sum(), rtol=1e-13)


@given(S=psd(d=4))
def test_extreme_kyfan_gauges_are_operator_and_trace(S):
    assert_allclose(get_gauge("kyfan", k=1).value(S), get_gauge("operator").value(S), rtol=1e-14)
    assert_allclose(get_gauge("kyfan", k=4).value(S), get_gauge("trace").value(S), rtol=1e-13)


@given(S=psd(d=3))
def test_linear_value(S):
    Q0 = np.array([[2.0, 0.3, 0], [0.3, 1.0, 0.1], [0, 0.1, 0.7]])
    assert_allclose(Linear(Q0).value(S), np.trace(Q0 @ S), rtol=1e-12)
    assert_allclose(Linear(np.eye(3)).value(S), np.trace(S), rtol=1e-14)


@given(S=psd(d=4))
def test_block_values(S):
    blocks, eta = [[0, 2], [3, 1]], np.array([1.0, 0.5])
    inner = [np.linalg.norm(S[np.ix_(b, b)] / (np.abs(S).max() or 1), 2) * np.abs(S).max() for b in blocks]
    assert_allclose(get_gauge("block-sum", blocks=blocks, scales=eta).value(S), inner @ eta**-2, rtol=1e-13)
    assert_allclose(get_gauge("block-max", blocks=blocks, scales=eta).value(S), max(inner / eta**2), rtol=1e-13)
    sizes = get_gauge("block-sum", blocks=[1, 3], gauge="schatten", p=2)
    assert_allclose(sizes.value(S), S[0, 0] + Schatten(2).value(S[1:, 1:]), rtol=1e-13)


@given(S=psd(d=4))
def test_one_block_is_no_block(S):
    for name in ("block-sum", "block-max"):
        assert_allclose(get_gauge(name, blocks=[4]).value(S), get_gauge("operator").value(S), rtol=1e-14)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_root_value_is_a_norm_of_the_factor(p):
    """gamma(V^T V)^(1/2) is the Schatten-2p norm of V, which is a norm; gamma itself is not convex."""
    rng, gauge = np.random.default_rng(0), RootSchatten(p)
    V, W = rng.standard_normal((2, 5, 3))
    root = [np.sqrt(gauge.value(X.T @ X)) for X in (V, W, V + W)]
    assert_allclose(root[0], np.linalg.norm(np.linalg.svd(V)[1], 2 * p), rtol=1e-12)
    assert root[2] <= root[0] + root[1]
    assert gauge.value(np.eye(2)) > 2 * gauge.value(np.diag([1.0, 0]))
    assert_allclose(gauge.value(np.ones((3, 3))), 3, rtol=1e-14)  # rank one: rounding eigenvalues count as zero


def test_comparison_constants():
    """c tr <= gamma <= C tr, with equality at I and at rank one.  [Prop. 3.2]"""
    d, rng = 4, np.random.default_rng(0)
    for p in (1, 1.5, 2, 7, np.inf):
        c = d ** (1 / p - 1) if np.isfinite(p) else 1 / d
        for S in [X.T @ X for X in rng.standard_normal((20, d, d))]:
            assert c * np.trace(S) <= Schatten(p).value(S) * (1 + 1e-14)
            assert Schatten(p).value(S) <= np.trace(S) * (1 + 1e-14)
        assert_allclose(Schatten(p).value(np.eye(d)), c * d)
        assert_allclose(Schatten(p).value(np.ones((d, d))), d)
    assert_allclose(get_gauge("kyfan", k=3).value(np.eye(d)), 3 / 4 * d)


# -- supports and polars ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 1.3, 2, 7, np.inf])
@given(S=psd(d=3))
def test_schatten_support(p, S):
    """S^(p-1) / gamma^(p-1), a point of the unit sphere of the conjugate norm."""
    gauge = Schatten(p)
    Q, scale = gauge.support(S), np.abs(S).max() or 1.0
    assert abs(np.vdot(Q, S / scale) - gauge.value(S) / scale) <= 1e-13
    lam = np.maximum(np.linalg.eigvalsh(Q), 0)
    conjugate = {1: np.inf, np.inf: 1.0}.get(p) or p / (p - 1)
    assert_allclose(np.linalg.norm(lam, conjugate), 1, rtol=1e-13)
    assert_allclose(gauge.polar(Q), 1, rtol=1e-13)


def test_supports_by_hand():
    S = np.diag([4.0, 3.0, 0.0])
    assert_allclose(Schatten(1).support(S), np.eye(3))
    assert_allclose(Schatten(2).support(S), S / 5)
    assert_allclose(Schatten(np.inf).support(S), np.diag([1, 0, 0]))
    assert_allclose(get_gauge("kyfan", k=2).support(S), np.diag([1, 1, 0]))
    assert_allclose(get_gauge("block-max", blocks=[2, 1], scales=[2, 1]).support(S), np.diag([0.25, 0, 0]))
    assert_allclose(get_gauge("block-max", blocks=[1, 2], scales=[2, 1]).support(S), np.diag([0, 1, 0]))
    assert_allclose(get_gauge("block-sum", blocks=[1, 2], scales=[2, 1]).support(S), np.diag([0.25, 1, 0]))


@pytest.mark.parametrize(
    "gauge", [*spectral_gauges(3), example("linear", 3), example("block-max", 3), *compositions(3)]
)
def test_support_of_zero_is_in_the_set(gauge):
    Q = gauge.support(np.zeros((3, 3)))
    assert np.linalg.eigvalsh(Q)[0] >= -EPS
    assert gauge.polar(Q) <= 1 + 1e-8
    assert gauge.value(np.zeros((3, 3))) == 0


@given(Q=psd(d=3))
def test_polars(Q):
    scale, lam = spectrum(Q)
    assert_allclose(Schatten(2).polar(Q), scale * np.linalg.norm(lam), rtol=1e-13)
    assert_allclose(Schatten(1).polar(Q), scale * lam[0], rtol=1e-13)
    assert_allclose(Schatten(np.inf).polar(Q), scale * lam.sum(), rtol=1e-13)
    assert_allclose(Schatten(3).polar(Q), scale * np.linalg.norm(lam, 1.5), rtol=1e-13)
    assert_allclose(get_gauge("kyfan", k=2).polar(Q), scale * max(lam[0], lam.sum() / 2), rtol=1e-13)
    half = np.diag([2**-0.5, 1, 2**0.5])
    expected = spectrum(half @ Q @ half)
    assert_allclose(Linear(np.diag([2, 1, 0.5])).polar(Q), expected[0] * expected[1][0], rtol=1e-12)


def test_root_gauges_have_no_set():
    gauge = get_gauge("root-schatten", p=0.7)
    for asks in (gauge.support, gauge.polar, gauge.project, (2 * gauge).support):
        with pytest.raises(GaugeError, match=r"RootSchatten\(p=0.7\) is not convex.*max-min.*lower bound, fails"):
            asks(np.eye(2))


# -- symmetries ---------------------------------------------------------------------------------------------------


@given(S=psd(d=3), seed=seeds)
def test_spectral_gauges_are_rotation_invariant(S, seed):
    O = orthogonal(3, seed)
    T = O @ S @ O.T
    T = T / 2 + T.T / 2
    for gauge in spectral_gauges(3):
        assert_allclose(gauge.value(T), gauge.value(S), rtol=1e-12)


@given(S=psd(d=3), T=psd(d=3))
def test_gauges_are_subadditive_and_monotone(S, T):
    for gauge in [*spectral_gauges(3), example("linear", 3), *compositions(3)]:
        together = gauge.value(S + T)
        assert together <= (gauge.value(S) + gauge.value(T)) * (1 + 1e-12)
        assert max(gauge.value(S), gauge.value(T)) <= together * (1 + 1e-12)


# -- algebra ------------------------------------------------------------------------------------------------------


@given(S=psd(d=3))
def test_compositions_are_what_they_say(S):
    trace, frobenius = get_gauge("trace"), get_gauge("schatten", p=2)
    A = np.random.default_rng(0).standard_normal((3, 5))
    scale = np.abs(S).max() or 1.0
    assert_allclose((trace + frobenius).value(S), trace.value(S) + frobenius.value(S), rtol=1e-14)
    assert_allclose(maximum(trace, 2 * frobenius).value(S), max(trace.value(S), 2 * frobenius.value(S)), rtol=1e-14)
    assert_allclose((0.3 * trace).value(S), 0.3 * trace.value(S), rtol=1e-14)
    assert_allclose((trace * 0.3).value(S), 0.3 * trace.value(S), rtol=1e-14)
    seen = A.T @ (S / scale) @ A
    assert_allclose(frobenius.congruence(A).value(S), scale * np.linalg.norm(seen, "fro"), rtol=1e-12)


def test_supports_of_compositions_by_hand():
    S = np.diag([4.0, 3.0])
    trace, operator = get_gauge("trace"), get_gauge("operator")
    assert_allclose((trace + operator).support(S), np.diag([2, 1]))
    assert_allclose((3 * operator).support(S), np.diag([3, 0]))
    assert_allclose(maximum(trace, operator).support(S), np.eye(2))
    assert_allclose(maximum(trace, 2 * operator).support(S), np.diag([2, 0]))
    assert_allclose(operator.congruence(np.diag([1.0, 2.0])).support(S), np.diag([0, 4]))


def test_a_multiple_scales_its_set():
    A = np.array([[3.0, 1.0], [1.0, -2.0]])
    for gauge in (get_gauge("operator"), get_gauge("schatten", p=2)):
        assert_allclose((2 * gauge).project(2 * A), 2 * gauge.project(A), atol=1e-14)
        assert_allclose((2 * gauge).polar(np.eye(2)), gauge.polar(np.eye(2)) / 2)
        assert_allclose((2 * gauge).measure_multiplier(np.eye(2)), gauge.measure_multiplier(np.eye(2)) / 2)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: -1 * get_gauge("trace"), "factor: expected a positive finite number, got -1"),
        (lambda: get_gauge("trace") * 0, "factor: expected a positive finite number, got 0"),
        (lambda: get_gauge("trace") * np.nan, "factor: expected a positive finite number, got nan"),
        (lambda: maximum(get_gauge("trace"), 3), "gauges: expected one or more swref.Gauge instances"),
        (lambda: maximum(), "gauges: expected one or more swref.Gauge instances"),
        (lambda: get_gauge("trace") + get_gauge("root-schatten"), "gauges: all must be convex"),
        (
            lambda: get_gauge("block-max", blocks=[2]) + get_gauge("block-max", blocks=[3]),
            r"gauges: dimensions disagree, got \[2, 3\]",
        ),
        (lambda: get_gauge("trace").congruence(np.ones((2, 3))), "A: must have rank 2"),
        (lambda: get_gauge("trace").congruence(np.ones((3, 2))), "A: must have rank 3"),
        (lambda: get_gauge("trace").congruence([1, 2]), "A: expected 2 axes"),
        (lambda: get_gauge("root-schatten").congruence(np.eye(2)), "gauge: must be convex"),
        (lambda: get_gauge("block-max", blocks=[2, 1]).congruence(np.eye(2)), "A: expected 3 columns"),
    ],
)
def test_impossible_compositions_are_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_gauges_add_to_gauges_only():
    with pytest.raises(TypeError):
        get_gauge("trace") + 1
    with pytest.raises(TypeError):
        get_gauge("trace") * get_gauge("trace")


# -- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, params, message",
    [
        ("schatten", {"p": 0.9}, r"p: expected p >= 1, got 0.9 \('root-schatten' covers"),
        ("schatten", {"p": np.nan}, "p: expected p >= 1, got nan"),
        ("schatten", {"p": "two"}, "p: expected a number, got 'two'"),
        ("root-schatten", {"p": 1}, r"p: expected 1/2 <= p < 1, got 1.0 \('schatten' covers"),
        ("root-schatten", {"p": 0.4}, "p: expected 1/2 <= p < 1, got 0.4"),
        ("kyfan", {"k": 0}, "k: expected a positive integer, got 0"),
        ("kyfan", {"k": 1.5}, "k: expected a positive integer, got 1.5"),
        ("kyfan", {"k": np.inf}, "k: expected a positive integer, got inf"),
        ("kyfan", {"k": True}, "k: expected a positive integer, got True"),
        ("kyfan", {"k": "two"}, "k: expected a positive integer, got 'two'"),
        ("linear", {"Q0": np.diag([1.0, 0])}, "Q0: must be positive definite"),
        ("linear", {"Q0": [[1, 2], [0, 1]]}, "Q0: must be symmetric"),
        ("linear", {"Q0": np.ones((2, 3))}, "Q0: expected a square matrix"),
        ("block-max", {"blocks": [2, 0]}, "blocks: expected positive sizes or lists of column indices"),
        ("block-max", {"blocks": [1.5]}, "blocks: expected positive sizes or lists of column indices"),
        ("block-max", {"blocks": []}, "blocks: expected positive sizes or lists of column indices"),
        ("block-max", {"blocks": 3}, "blocks: expected positive sizes or lists of column indices"),
        ("block-max", {"blocks": [[0, 1], [1]]}, r"blocks: index lists must partition range\(3\)"),
        ("block-max", {"blocks": [[0], [2]]}, r"blocks: index lists must partition range\(2\)"),
        ("block-sum", {"blocks": [[0, 0.5]]}, "blocks: expected positive sizes or lists of column indices"),
        ("block-sum", {"blocks": [2, 1], "scales": [1]}, r"scales: expected shape \(2,\), got \(1,\)"),
        ("block-sum", {"blocks": [2, 1], "scales": [1, 0]}, "scales: must be positive, got 0"),
        ("block-sum", {"blocks": [2, 1], "gauge": ["trace"]}, "gauge: expected one or 2 inner gauges, got 1"),
        ("block-sum", {"blocks": [2, 1], "gauge": "shatten"}, "unknown name 'shatten'; did you mean 'schatten'"),
    ],
)
def test_bad_parameters_are_explained(name, params, message):
    with pytest.raises(ValueError, match=message):
        get_gauge(name, **params)


@pytest.mark.parametrize("method", ["value", "support", "polar", "measure_multiplier"])
@pytest.mark.parametrize("name", ["operator", "kyfan", "linear", "block-sum", "block-max"])
@pytest.mark.parametrize(
    "S, message",
    [
        (np.ones((2, 3)), "expected a square matrix|expected shape"),
        (np.ones(3), "expected 2 axes"),
        ([[1.0, 0, 0], [0, -1, 0], [0, 0, 1]], "must be positive semidefinite, got eigenvalue -1"),
        (np.triu(np.ones((3, 3))), r"must be symmetric, got \|A - A\^T\| up to 1"),
        (np.full((3, 3), np.nan), "must be finite, got 9 NaN or infinite entries"),
    ],
)
def test_methods_check_their_matrix(method, name, S, message):
    with pytest.raises(ValueError, match=f"^[SQC]: ({message})"):
        getattr(example(name, 3), method)(S)


def test_matrices_that_are_symmetric_and_psd_to_rounding_are_accepted():
    S = np.ones((3, 3)) + 1e-10 * np.triu(np.ones((3, 3)))
    assert_allclose(get_gauge("trace").value(S), 3, rtol=1e-9)
    assert get_gauge("operator").value(-1e-9 * np.eye(3) + np.ones((3, 3))) > 2.9


def test_gauges_have_readable_names():
    assert repr(get_gauge("schatten", p=2)) == "Schatten(p=2.0)"
    assert repr(get_gauge("muon")) == "Operator()"
    assert repr(0.5 * get_gauge("trace") + get_gauge("kyfan", k=2)) == "Sum(0.5 * Trace(), KyFan(k=2))"
    assert repr(get_gauge("trace").congruence(np.ones((1, 2)))) == "Trace().congruence([[1.0, 1.0]])"
    assert repr(get_gauge("block-max", blocks=[[0, 2], [1]])) == "BlockMax(blocks=[[0, 2], [1]], gauge=Operator())"
    assert (
        repr(get_gauge("block-sum", blocks=[2, 1], scales=[1, 0.5], gauge=["trace", "muon"]))
        == "BlockSum(blocks=[2, 1], scales=[1.0, 0.5], gauge=[Trace(), Operator()])"
    )
    assert repr(get_gauge("linear", Q0=np.eye(2))) == "Linear(Q0=[[1.0, 0.0], [0.0, 1.0]])"
    assert repr(get_gauge("linear", Q0=np.eye(9))).startswith("Linear(Q0=<9 x 9, checksum ")


def test_gauges_that_differ_print_differently():
    """A run stores its gauge as text."""
    trace, Q = get_gauge("trace"), np.eye(9) + 1e-15 * np.diag([1, *np.zeros(8)])
    gauges = [trace, 2 * trace, (2 + 1e-15) * trace, (1 / 3) * trace, 0.333333 * trace]
    gauges += [get_gauge("linear", Q0=M) for M in (np.eye(9), Q, np.eye(2), np.eye(2) * (1 + 1e-15))]
    gauges += [trace.congruence(M) for M in (np.eye(9), Q, np.eye(2), np.eye(2)[::-1])]
    blocks = [2, 1], [1, 2], [[0, 2], [1]], [[0, 1], [2]]
    gauges += [get_gauge("block-max", blocks=b, scales=s) for b in blocks[:3] for s in ([1, 1], [1, 2], [2, 1])]
    gauges += [get_gauge("block-max", blocks=[2, 1], gauge=g) for g in ("trace", ["trace", "muon"], ["muon", "trace"])]
    assert len({*map(repr, gauges)}) == len(gauges)
    assert repr(get_gauge("block-max", blocks=blocks[0])) == repr(get_gauge("block-max", blocks=blocks[3]))  # the same


def test_parameters_are_copied_and_protected():
    Q0 = np.diag([1.0, 2.0])
    gauge = Linear(Q0)
    Q0[0, 0] = 100
    assert gauge.value(np.eye(2)) == 3
    gauge.support(np.eye(2))[0, 0] = 100
    assert gauge.value(np.eye(2)) == 3
    with pytest.raises(ValueError, match="read-only"):
        gauge.Q0[0, 0] = 100
    with pytest.raises(AttributeError):
        get_gauge("schatten", p=2).p = 3


# -- smoothing: what the engine's Newton steps rely on ------------------------------------------------------------


def smooth_gauges(d):
    return [
        *spectral_gauges(d),
        example("linear", d),
        example("block-sum", d),
        example("block-max", d),
        *compositions(d),
    ]


@pytest.mark.parametrize("mu", [1e-1, 1e-3])
@pytest.mark.parametrize("index", range(len(smooth_gauges(3))))
def test_smoothed_gauges(index, mu):
    """Q is the gradient of the smoothed value, lies in K, and nearly attains gamma; gram is its derivative."""
    gauge, rng = smooth_gauges(3)[index], np.random.default_rng(index)
    X = rng.standard_normal((4, 3))
    S, T = X.T @ X, rng.standard_normal((5, 3, 3))
    T = T + T.transpose(0, 2, 1)
    smoothed = gauge._smoothed(S, mu)
    assert np.linalg.eigvalsh(smoothed.Q)[0] >= -1e-12
    assert gauge.polar(smoothed.Q) <= 1 + 1e-8
    assert -1e-12 <= gauge.value(S) - np.vdot(smoothed.Q, S) <= 40 * mu
    h = 1e-5
    ahead, behind = [[gauge._smoothed(S + t * h * E, mu) for E in T] for t in (1, -1)]
    slopes = np.array([a.value - b.value for a, b in zip(ahead, behind, strict=True)]) / (2 * h)
    assert_allclose(slopes, np.tensordot(T, smoothed.Q, 2), rtol=1e-5, atol=1e-7)
    change = np.array([a.Q - b.Q for a, b in zip(ahead, behind, strict=True)]) / (2 * h)
    gram = smoothed.gram(T)
    assert_allclose(np.tensordot(change, T, ((1, 2), (1, 2))), gram, rtol=1e-4, atol=1e-6 / mu)
    assert np.linalg.eigvalsh(gram + gram.T)[0] >= -1e-9 * max(np.abs(gram).max(), 1)


@pytest.mark.parametrize("mu", [1e-1, 1e-6])
def test_the_smoothed_frobenius_norm_is_that_of_the_eigenvalues(mu):
    gauge, S = get_gauge("schatten", p=2), np.diag([2.0, 1.0, 0.0])
    T = np.random.default_rng(0).standard_normal((4, 3, 3))
    T = T + T.transpose(0, 2, 1)
    own, spectral = gauge._smoothed(S, mu), swref.SpectralGauge._smoothed(gauge, S, mu)
    assert own.value == pytest.approx(spectral.value, rel=1e-14)
    assert_allclose(own.Q, spectral.Q, rtol=1e-12, atol=1e-15)
    assert_allclose(own.gram(T), spectral.gram(T), rtol=1e-9)


def test_plugins_are_not_smoothed():
    from strategies import TwoFunctions, TwoSpectralFunctions

    for wrapped in (TwoFunctions(get_gauge("trace")), TwoSpectralFunctions(get_gauge("operator"))):
        assert wrapped._smoothed(np.eye(2), 0.1) is None
        assert (wrapped + get_gauge("trace"))._smoothed(np.eye(2), 0.1) is None
        assert swref.gauges.maximum(wrapped)._smoothed(np.eye(2), 0.1) is None
        assert get_gauge("block-max", blocks=[1, 1], gauge=wrapped)._smoothed(np.eye(2), 0.1) is None
