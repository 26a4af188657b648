"""What every gauge must satisfy: the battery of ``swref.testing``, and what only built-in gauges promise.

The list comes from the registry: a new gauge is tried without being told. A gauge that cannot be made without arguments
says how in ``Gauge.example``.
"""

import numpy as np
import pytest
from strategies import EPS, TwoFunctions, TwoSpectralFunctions, compositions, example

import swref
from swref import dual_norm, get_gauge, lmo, measure_lmo, tangent_norm
from swref.gauges.registry import gauge_class
from swref.testing import parametrize_with_gauge_checks

NAMES = swref.list_gauges()
PLUGINS = [
    TwoFunctions(get_gauge("schatten", p=2)),
    TwoFunctions(get_gauge("operator")),
    TwoSpectralFunctions(get_gauge("schatten", p=3)),
]

every = pytest.mark.parametrize("name", NAMES)
convex = pytest.mark.parametrize("name", [name for name in NAMES if gauge_class(name).convex])
dimensions = pytest.mark.parametrize("d", [1, 2, 5])


@parametrize_with_gauge_checks(*NAMES)
def test_every_registered_gauge(check):
    check()


@parametrize_with_gauge_checks(*compositions(2), *PLUGINS, dimensions=[2])
def test_compositions_and_gauges_of_two_functions(check):
    check()


# -- built-in gauges are evaluated, not searched for: exact to rounding ----------------------------------------------


def matrices(d):
    """PSD (d, d): full rank, rank one, the identity, spread eigenvalues."""
    X = np.random.default_rng(d).standard_normal((d, d))
    Z = X * np.geomspace(1, 1e-6, d)
    return [X @ X.T, np.outer(X[0], X[0]), np.eye(d), Z.T @ Z]


@every
@dimensions
def test_values_scale_to_the_last_digits(name, d):
    gauge = example(name, d)
    for S in matrices(d):
        for t in (1e-150, 1e-3, 7.0, 1e150):
            assert gauge.value(t * S) / t == pytest.approx(gauge.value(S), rel=1e-12)


@convex
@dimensions
def test_supports_attain_to_the_last_digits(name, d):
    gauge = example(name, d)
    for S in matrices(d):
        for t in (1e-150, 1.0, 1e150):
            Q = gauge.support(t * S)
            assert np.abs(Q - Q.T).max() <= 10 * EPS * np.abs(Q).max()
            assert np.linalg.eigvalsh(Q)[0] >= -1e-13 * np.abs(Q).max()
            assert np.vdot(Q, S) == pytest.approx(gauge.value(S), rel=1e-12)


@every
@dimensions
def test_lmos_scale_to_the_accuracy_of_their_values(name, d):
    """Also where the field is searched for: a power of ten changes nothing but the last digits of the search."""
    gauge, G = example(name, d), np.random.default_rng(d).standard_normal((7, d)) * np.geomspace(1, 1e-3, d)
    J = lmo(G, gauge)
    for t in (1e-150, 1e150):
        np.testing.assert_allclose(lmo(t * G, gauge) / t, J, rtol=0, atol=1e-8 * np.abs(J).max())


# -- the door: built-in gauges check their arguments themselves -------------------------------------------------------


def methods(gauge):
    one = ["value", "measure_multiplier"]
    return [getattr(gauge, m) for m in (one + ["support", "polar"] if gauge.convex else one)]


@every
@dimensions
def test_bad_matrices_are_value_errors(name, d):
    gauge = example(name, d)
    nan, lopsided = np.eye(d), np.eye(d)
    nan[0, -1] = nan[-1, 0] = np.nan
    lopsided[0, -1] += 0.1
    bad = [
        -np.eye(d),
        nan,
        np.full((d, d), np.inf),
        np.ones(d),
        np.eye(d)[None],
        np.ones((d, d + 1)),
        np.zeros((0, 0)),
        "S",
        None,
    ]
    if d > 1:
        bad += [lopsided, np.diag([1.0] * (d - 1) + [-1e-3]), np.ones((d, d)) - np.eye(d)]
    if gauge.dimension is not None:
        bad += [np.eye(d + 1), np.eye(d + 2)]
    for method in methods(gauge):
        for S in bad:
            with pytest.raises(ValueError):
                method(S)
    if gauge.convex:
        for A in [S for S in bad if not (np.ndim(S) == 2 and np.shape(S) == (d, d))] + [nan] + [lopsided] * (d > 1):
            with pytest.raises(ValueError):
                gauge.project(A)


@every
@dimensions
def test_bad_forces_are_value_errors(name, d):
    gauge = example(name, d)
    G = np.ones((4, d))
    bad = [G * np.nan, np.full((4, d), np.inf), G[0], G[None], G[:0], "G"]
    if gauge.dimension is not None:
        bad += [np.ones((4, d + 1))]
    for function in (lmo, measure_lmo, dual_norm, tangent_norm):
        for g in bad:
            with pytest.raises(ValueError):
                function(g, gauge)
