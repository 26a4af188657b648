"""Gauges from outside: every harmless habit of an author works, every harmful one ends in a GaugeError, and soon."""

import abc
import inspect
import pickle
import re
import signal
import subprocess
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from strategies import TwoFunctions, seeds

import swref
from swref import Gauge, GaugeError, SpectralGauge, get_gauge
from swref.gauges import door

OPERATOR = get_gauge("operator")
LIMIT = 20  # seconds; more is a hang
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=(9, 3))
C = X.T @ X
RHO = np.exp(-((np.arange(5)[:, None] - 1.5) ** 2 + (np.arange(5) - 1.5) ** 2) / 4)


def top(S):
    return np.linalg.eigh(S)[1][:, -1]


class Good(Gauge):
    """The largest eigenvalue, from two functions."""

    def value(self, S):
        return np.linalg.eigvalsh(S)[-1]

    def support(self, S):
        return np.outer(top(S), top(S))


CALLS = {  # everything that asks a gauge, in one number or array
    "transport": lambda g: swref.transport(X, Y, g).upper_bound,
    "gaussian_transport": lambda g: swref.gaussian_transport(X[0], C, Y[0], C @ C / 9, g).upper_bound,
    "moment_lower_bound": lambda g: swref.moment_lower_bound(X, Y, g),
    "dynamic_transport": lambda g: swref.dynamic_transport(RHO, RHO[::-1], g, n_time=2, tol=0.1).upper_bound,
    "lmo": lambda g: swref.lmo(X, g),
    "dual_norm": lambda g: swref.dual_norm(X, g),
    "tangent_norm": lambda g: swref.tangent_norm(X, g),
    "flow": lambda g: swref.flow(swref.energies.MMD(Y), X, g, t_end=0.1, tol=0.1).final,
    "polar": lambda g: g.polar(C),
    "project": lambda g: g.project(C),
    "measure_multiplier": lambda g: g.measure_multiplier(C),
    "sum": lambda g: swref.transport(X, Y, g + get_gauge("trace")).upper_bound,
    "maximum": lambda g: swref.gauges.maximum(g, 0.5 * get_gauge("trace")).polar(C),
    "multiple": lambda g: swref.lmo(X, 2 * g),
    "congruence": lambda g: swref.lmo(X[:, :2], g.congruence(X[:2])),
    "blocks": lambda g: swref.lmo(X, get_gauge("block-max", blocks=[[0, 2], [1]], gauge=g)),
    "block sum": lambda g: swref.lmo(X, get_gauge("block-sum", blocks=[2, 1], gauge=g)),
}


@contextmanager
def soon():
    """AssertionError after LIMIT seconds."""

    def late(*_):
        raise AssertionError(f"no answer within {LIMIT} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# -- harmless habits ------------------------------------------------------------------------------------------------


class Buffered(Good):
    """Writes into one array and returns it each time."""

    def __init__(self):
        self.Q = None

    def support(self, S):
        if self.Q is None or self.Q.shape != S.shape:
            self.Q = np.empty(S.shape)
        return np.outer(top(S), top(S), out=self.Q)


class Matrices(Good):
    """Answers with np.matrix."""

    def support(self, S):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            u = np.asmatrix(top(S)).T
            return u * u.T


class Lists(Good):
    """Answers with lists, and with an array of no axes."""

    def value(self, S):
        return np.array(np.linalg.eigvalsh(S)[-1])

    def support(self, S):
        return np.outer(top(S), top(S)).tolist()


class Vandal(Good):
    """Writes on its argument, and keeps it."""

    def value(self, S):
        value = super().value(S)
        S[:] = np.nan
        return value

    def support(self, S):
        self.kept = S
        Q = np.outer(top(S), top(S))
        S[:] = 7
        return Q


class Rounded(Good):
    """Not symmetric by rounding, in Fortran order."""

    def support(self, S):
        Q = np.outer(top(S), top(S))
        return np.asfortranarray(Q + 1e-12 * np.abs(Q).max() * np.triu(np.ones(S.shape), 1))


@njit("float64(float64[:, ::1])")
def compiled_value(S):
    return np.linalg.eigvalsh(S)[-1]


@njit("float64[:, ::1](float64[:, ::1])")
def compiled_support(S):
    u = np.linalg.eigh(S)[1][:, -1].copy()
    return np.outer(u, u)


class Compiled(Gauge):
    """Accepts C-contiguous float64 arrays and nothing else."""

    def value(self, S):
        return compiled_value(S)

    def support(self, S):
        return compiled_support(S)


class Static(Gauge):
    """Methods that are static, or functions that know no ``self``."""

    value = staticmethod(lambda S: np.linalg.eigvalsh(S)[-1])
    support = staticmethod(compiled_support)


class Eigenvalues(SpectralGauge):
    """A spectral gauge that answers with lists and sorts its argument in place."""

    def phi(self, lam):
        lam.sort()
        return lam[-1]

    def dphi(self, lam):
        return [1.0] + [0.0] * (len(lam) - 1)


class Grandchild(Buffered):
    """Calls its parents' methods."""

    def value(self, S):
        return super().value(S)

    def support(self, S):
        return (super().support(S) + super().support(S)) / 2


class Derived(type(OPERATOR)):
    """A built-in gauge whose own methods are called from outside."""

    def value(self, S):
        return super().value(S)

    def support(self, S):
        return super().support(S).tolist()


HARMLESS = [Good, Buffered, Matrices, Lists, Vandal, Rounded, Compiled, Static, Eigenvalues, Grandchild, Derived]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("author", HARMLESS, ids=lambda cls: cls.__name__)
def test_harmless_habits_give_the_answer_of_the_built_in_gauge(author, name):
    # A projection with duality gap g is within sqrt(2 g) of the true one, g = 1e-9 |C| here.
    tol = {"transport": 1e-6, "sum": 1e-6, "dynamic_transport": 0.1, "flow": 1e-6, "project": 1e-4}.get(name, 1e-7)
    with soon():
        np.testing.assert_allclose(CALLS[name](author()), CALLS[name](OPERATOR), rtol=tol, atol=tol)


@pytest.mark.parametrize("author", [cls for cls in HARMLESS if cls is not Vandal], ids=lambda cls: cls.__name__)
def test_check_gauge_accepts_harmless_habits(author):
    swref.check_gauge(author())


def test_check_gauge_still_dislikes_a_gauge_that_writes_on_its_argument():
    with pytest.raises(GaugeError, match="no mutation: value"):
        swref.check_gauge(Vandal())


# -- harmful habits -------------------------------------------------------------------------------------------------


class Counting(Good):
    """Good, but every third answer is changed by ``spoil_value`` or ``spoil_support``: state between calls."""

    def __init__(self, spoil_value=None, spoil_support=None, every=3):
        self.spoil_value, self.spoil_support, self.every, self.calls = spoil_value, spoil_support, every, 0

    def __repr__(self):
        return "Counting()"

    def _spoiled(self, answer, spoil):
        self.calls += 1
        return spoil(answer) if spoil is not None and self.calls % self.every == 0 else answer

    def value(self, S):
        return self._spoiled(super().value(S), self.spoil_value)

    def support(self, S):
        return self._spoiled(super().support(S), self.spoil_support)


def identity(Q):
    return np.eye(len(Q)) / len(Q)


SPOILED = {  # by name: what happens to values, to supports
    "value NaN": (lambda v: np.nan, None),
    "value infinite": (lambda v: np.inf, None),
    "value negative": (lambda v: -1.0 - v, None),
    "value text": (str, None),
    "value None": (lambda v: None, None),
    "value complex": (lambda v: v + 1j, None),
    "value an array": (lambda v: np.array([v]), None),
    "value doubled": (lambda v: 2 * v, None),
    "value zero": (lambda v: 0.0, None),
    "value halved": (lambda v: v / 2, None),
    "value huge": (lambda v: 1e200 * v, None),
    "support NaN": (None, lambda Q: Q * np.nan),
    "support infinite": (None, lambda Q: Q + np.inf),
    "support one row": (None, lambda Q: Q[0]),
    "support too large": (None, lambda Q: np.eye(len(Q) + 1)),
    "support None": (None, lambda Q: None),
    "support text": (None, lambda Q: Q.astype(str)),
    "support complex": (None, lambda Q: Q + 0j),
    "support masked": (None, lambda Q: np.ma.masked_array(Q, np.eye(len(Q)))),
    "support not symmetric": (None, lambda Q: Q + np.triu(np.ones(Q.shape), 1)),
    "support short": (None, lambda Q: 0.9 * Q),
    "support long": (None, lambda Q: 1.1 * Q),
    "support zero": (None, np.zeros_like),
    "support constant": (None, identity),
    "support huge": (None, lambda Q: 1e200 * Q),
    "support outside K": (None, lambda Q: Q + 0.5 * np.eye(len(Q))),
    "support not PSD": (None, lambda Q: 2 * Q - np.eye(len(Q))),
}
UNPROVEN = {("maximum", "value zero"), ("maximum", "value halved")}  # the other part of the maximum is larger
UNPROVEN |= {("tangent_norm", f"value {what}") for what in ("doubled", "zero", "halved", "huge")}  # a number by itself


def outcome(call, *errors):
    """What a call returns or raises; AssertionError after LIMIT seconds."""
    with soon():
        try:
            return call()
        except errors as error:
            return error


@pytest.mark.parametrize("habit", SPOILED)
@pytest.mark.parametrize("name", CALLS)
def test_harmful_habits_end_in_a_gauge_error_that_shows_the_matrix(name, habit):
    found = outcome(lambda: CALLS[name](Counting(*SPOILED[habit], every=1)), GaugeError)
    unasked = name == "tangent_norm" and habit.startswith("support")
    if unasked or (name, habit) in UNPROVEN:
        assert np.isfinite(found).all()
    else:
        assert isinstance(found, GaugeError)
        assert "Counting()" in str(found)
        assert "\nS =\n" in str(found)


@pytest.mark.parametrize("every", [2, 5, 11])
@pytest.mark.parametrize("habit", SPOILED)
@pytest.mark.parametrize("name", CALLS)
def test_habits_that_come_and_go_are_found_or_do_no_harm(name, habit, every):
    found = outcome(lambda: CALLS[name](Counting(*SPOILED[habit], every=every)), GaugeError, swref.NotConverged)
    if isinstance(found, GaugeError):
        assert "\nS =\n" in str(found)
    else:
        assert isinstance(found, swref.NotConverged) or np.isfinite(found).all()


class Concave(Good):
    """Not convex: (sum of the roots)^2 / d, whose supports lie outside K."""

    def value(self, S):
        return np.sqrt(np.maximum(np.linalg.eigvalsh(S), 0)).sum() ** 2 / len(S)

    def support(self, S):
        return super().support(S) * (self.value(S) / np.linalg.eigvalsh(S)[-1])


class Alternating(Good):
    calls = 0

    def value(self, S):
        Alternating.calls += 1
        return super().value(S) * (1 + Alternating.calls % 2)


class Noisy(Good):
    def value(self, S):
        return super().value(S) * (1 + 1e-7 * RNG.random())


class Smallest(SpectralGauge):
    def phi(self, lam):
        return lam[0]

    def dphi(self, lam):
        return np.eye(len(lam))[-1]


class Squared(Good):
    def value(self, S):
        return super().value(S) ** 2

    def support(self, S):
        return super().support(S) * super().value(S)


class Single(Good):
    """Computes in single precision."""

    def support(self, S):
        return super().support(S).astype(np.float32)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "author", [Concave, Alternating, Noisy, Smallest, Squared, Single], ids=lambda cls: cls.__name__
)
def test_gauges_that_check_gauge_refuses_never_hang(author, name):
    with pytest.raises(GaugeError):
        swref.check_gauge(author())
    found = outcome(lambda: CALLS[name](author()), GaugeError, swref.NotConverged)
    if isinstance(found, GaugeError):
        assert "\nS =\n" in str(found)
    elif not isinstance(found, swref.NotConverged):
        assert np.isfinite(found).all()


class Tilted(Good):
    """Supports that attain the value everywhere, with a trace at most one, but are not PSD."""

    def support(self, S):
        lam, U = np.linalg.eigh(S)
        return (1 + lam[0] / lam[-1]) * np.outer(U[:, -1], U[:, -1]) - np.outer(U[:, 0], U[:, 0])


class Outside(Good):
    """Supports that attain the value everywhere and are PSD, but have a trace above one."""

    def support(self, S):
        lam, U = np.linalg.eigh(S)
        return (1 - 0.9 * lam[0] / lam[-1]) * np.outer(U[:, -1], U[:, -1]) + 0.9 * np.outer(U[:, 0], U[:, 0])


class ShortInside(Good):
    """Right at rank-one matrices and multiples of the identity, where every search begins, and short elsewhere."""

    def support(self, S):
        lam = np.linalg.eigvalsh(S)
        begins = lam[-2] <= 1e-9 * lam[-1] or lam[0] >= (1 - 1e-9) * lam[-1]
        return super().support(S) * (1 if begins else 0.9)


class Flat(Gauge):
    """Linear, with a factor so small that rounding hides it."""

    Q = np.diag([1.0, 1.0, 1e-17])

    def value(self, S):
        return (self.Q * S).sum()

    def support(self, S):
        return self.Q


@pytest.mark.parametrize(
    "author, calls, message",
    [
        (Tilted, ("transport", "lmo", "polar", "project"), "has the eigenvalue -1"),
        (Outside, ("transport", "gaussian_transport", "moment_lower_bound"), "a support Q lies outside K: <Q, S> = "),
        (Outside, ("lmo", "dual_norm", "project"), "a support Q lies outside K"),
        (ShortInside, ("transport", "gaussian_transport", "lmo", "polar"), r"<support\(S\), S> = .* but value"),
        (Flat, ("lmo", "polar"), r"value\(S\) is too small: support\(S\) = Q hardly sees S"),
    ],
)
def test_each_fault_is_named_even_if_it_is_the_only_one(author, calls, message):
    for name in calls:
        found = outcome(lambda name=name: CALLS[name](author()), GaugeError)
        assert isinstance(found, GaugeError)
        assert re.search(message, str(found))
        assert "\nS =\n" in str(found)


def test_check_gauge_names_a_value_that_changes():
    with pytest.raises(GaugeError, match=r"repeatable: value\(S\) = .* but asked again, value\(S\) = "):
        swref.check_gauge(Alternating())


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("error", [KeyError("mine"), np.linalg.LinAlgError("mine"), FloatingPointError()], ids=repr)
def test_exceptions_of_a_gauge_are_its_own(name, error):
    def spoil(_):
        raise error

    for every in (1, 6):
        found = outcome(lambda every=every: CALLS[name](Counting(spoil, spoil, every)), type(error))
        assert found is error or (name, every) == ("tangent_norm", 6)


# -- the door itself --------------------------------------------------------------------------------------------------


def test_the_door_takes_everything_that_is_a_matrix():
    gauge = Compiled()
    for S in (np.eye(3), np.eye(3).tolist(), np.eye(6)[::2, ::2], np.eye(3, dtype=np.float32), np.eye(3, dtype=int)):
        assert gauge.value(S) == gauge.value(S=S) == 1
        assert gauge.support(S).shape == (3, 3)
    for bad in (np.eye(3) * 1j, "S", [[np.nan]]):
        with pytest.raises(ValueError, match="^S: "):
            gauge.value(bad)

    class Trace(Good):
        def value(self, S):
            return np.trace(S)

    with pytest.raises(ValueError, match=r"value was asked with NaN") as caught:  # the caller's fault, not the gauge's
        Trace().value(np.eye(3) * np.nan)
    assert not isinstance(caught.value, GaugeError)


@given(
    seed=seeds,
    size=st.sampled_from([1e-200, 1e-8, 1.0, 1e8, 1e200]),
    wrong=st.sampled_from([0, 1e-12, 1e-9, 1e-7, 0.1]),
)
def test_the_symmetric_part_is_taken_up_to_the_stated_tolerance(seed, size, wrong):
    A = np.random.default_rng(seed).standard_normal((4, 4))
    A = size * (A @ A.T)
    E = wrong * np.abs(A).max() * np.triu(np.ones((4, 4)), 1) / 2

    class Skewed(Good):
        def support(self, S):
            return A + E - E.T

    if wrong > door.ACCURACY:
        with pytest.raises(GaugeError, match=r"support\(S\) must return a finite real symmetric \(4, 4\) matrix"):
            Skewed().support(np.eye(4))
    else:
        Q = Skewed().support(np.eye(4))
        np.testing.assert_array_equal(Q, Q.T)
        np.testing.assert_allclose(Q, A, rtol=1e-15, atol=1e-15 * size)


def test_values_negative_by_rounding_are_zero():
    class Shifted(Good):
        def value(self, S):
            return -1e-9 * np.abs(S).max()

    assert Shifted().value(np.eye(2)) == 0.0
    assert type(Good().value(np.eye(2))) is float


def test_names_signatures_and_docstrings_are_the_authors():
    class Documented(Good):
        def value(self, S, digits=3):
            """Mine."""
            return round(super().value(S), digits)

    assert Documented.value.__doc__ == "Mine."
    assert list(inspect.signature(Documented.value).parameters) == ["self", "S", "digits"]
    assert Documented().value(np.eye(2) / 3) == Documented().value(S=np.eye(2) / 3) == 0.333
    assert Documented().value(np.eye(2) / 3, digits=1) == Documented().value(np.eye(2) / 3, 1) == 0.3


def test_abstract_classes_dataclasses_and_pickles_are_as_ever():
    class Half(Gauge):
        @abc.abstractmethod
        def value(self, S):
            """Later."""

        def support(self, S):
            return np.eye(len(S))

    with pytest.raises(TypeError, match="abstract"):
        Half()

    @dataclass(frozen=True, slots=True)  # makes the class a second time
    class Scaled(Gauge):
        factor: float = 2.0

        def value(self, S):
            return self.factor * np.trace(S)

        def support(self, S):
            return self.factor * np.eye(len(S), dtype=np.float32)

    gauge = Scaled(3)
    assert gauge.value(np.eye(2)) == 6
    assert not hasattr(Scaled.value.behind_the_door, "behind_the_door")
    assert gauge == Scaled(3)
    assert swref.transport(X, Y, gauge).upper_bound == pytest.approx(3 * swref.transport(X, Y, "trace").upper_bound)
    again = pickle.loads(pickle.dumps(TwoFunctions(Buffered())))
    assert again.value(np.eye(2)) == 1


def test_a_gauge_of_a_notebook_reaches_worker_processes_as_an_instance():
    """joblib pickles classes of __main__ by value."""
    code = """
import numpy as np, swref
from joblib import Parallel, delayed
class Mine(swref.Gauge):
    def value(self, S): return np.linalg.eigvalsh(S)[-1]
    def support(self, S): u = np.linalg.eigh(S)[1][:, -1:]; return (u @ u.T).tolist()
def job(seed, gauge):
    rng = np.random.default_rng(seed)
    return swref.transport(rng.normal(size=(6, 2)), rng.normal(size=(5, 2)), gauge).distance
there, here = (list(Parallel(n)(delayed(job)(seed, Mine()) for seed in range(3))) for n in (2, 1))
assert there == here
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_no_class_forgets_the_door():
    for cls in (*HARMLESS, Counting, Concave):
        for name in ("value", "support"):
            assert hasattr(getattr(cls, name), "behind_the_door")
