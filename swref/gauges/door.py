"""The door between swref and gauges from outside: what they are asked with, and what counts as an answer.

``Gauge.__init_subclass__`` puts it before the methods of every class that is not of this package, once, so that no
caller can go round it. Built-in gauges check their arguments themselves.
"""

import inspect
from functools import wraps

import numpy as np

from .._errors import GaugeError, shown
from .._session import silent
from .._validation import ACCURACY, EPS, as_array, as_symmetric

ATTAINED = 1e-6  # relative: <support(S), S> may miss value(S) by it, as it does in single precision, and no more


def guard(cls):
    """Put the door before the methods that the class itself defines; built-in ones only become ``silent``."""
    built_in = f"{cls.__module__}.".startswith(f"{__package__}.")
    for name, kind in _METHODS.items():
        method = vars(cls).get(name)
        if method is None or hasattr(method, "behind_the_door"):
            continue
        guarded = silent(method) if built_in else _door(name, method, kind)
        vars(guarded)["behind_the_door"] = method
        setattr(cls, name, guarded)


def behind_the_door(gauge, name):
    """The author's own method, bound."""
    method = getattr(type(gauge), name)
    return getattr(method, "behind_the_door", method).__get__(gauge, type(gauge))


def _door(name, method, kind):
    ndim, checked, wanted = kind

    @wraps(method)
    def asked(self, *args, **kwargs):
        if not args:  # by keyword
            bound = inspect.signature(method).bind(self, **kwargs)
            args, kwargs = bound.args[1:], bound.kwargs
        X, *rest = args
        if not (type(X) is np.ndarray and X.ndim == ndim and X.dtype == float):
            X = as_array("S" if ndim == 2 else "lam", X, ndim)
        answer = method.__get__(self, type(self))(X.copy(), *rest, **kwargs)  # a C-contiguous copy, to write on or keep
        try:
            return checked(name, X, answer)
        except ValueError as error:
            if not np.isfinite(X).all():
                raise ValueError(f"{self!r}: {name} was asked with NaN or infinite entries\n{X}") from error
            symbol, what = "S" if X.ndim == 2 else "lam", wanted.format(X.shape)
            raise fault(self, f"{name}({symbol}) must return {what}, got {answer!r}", **{symbol: X}) from error

    return asked


def _number(name, X, answer):
    """The answer as a float: one real, finite number, not negative beyond rounding, ``ACCURACY`` times max|X|."""
    number = float(answer) if isinstance(answer, float) else float(as_array(name, answer, 0))
    if 0 <= number < np.inf:
        return number
    if number < 0 and number >= -ACCURACY * np.abs(X).max():
        return 0.0
    raise ValueError(f"{name}: got {number}")


def _matrix(name, X, answer):
    """A copy of the answer, finite, of the shape of X, its symmetric part when that is all but rounding."""
    if type(answer) is np.ndarray and answer.dtype == float and answer.shape == X.shape:
        Q = answer.copy()
        if ((Q == Q.T) & np.isfinite(Q)).all():
            return Q
    return as_symmetric(name, answer, len(X))


def _vector(name, X, answer):
    return as_array(name, answer, 1, X.shape)


_NUMBER = _number, "one real, finite, nonnegative number"
_MATRIX = _matrix, "a finite real symmetric {} matrix"
_VECTOR = _vector, "finite real numbers of shape {}"
_METHODS = {  # number of axes of the argument, what the answer is checked by, and has to be
    "value": (2, *_NUMBER), "support": (2, *_MATRIX), "polar": (2, *_NUMBER), "project": (2, *_MATRIX),
    "measure_multiplier": (2, *_MATRIX),
    "phi": (1, *_NUMBER), "dphi": (1, *_VECTOR), "multiplier_values": (1, *_VECTOR),
}  # fmt: skip


def fault(gauge, what, **matrices):
    """A GaugeError that names the gauge and shows the matrices that prove the fault."""
    return GaugeError(f"{gauge!r}: {what}{shown(matrices)}")


def attained(gauge, S, value=None) -> tuple[np.ndarray, float]:
    """(support(S), value(S)); GaugeError unless the support is positive semidefinite and attains the value.

    Every loop that refines a hull of supports asks here: a support that attains its value ends the loop, and one that
    does not would keep it running. Tolerances: ``ATTAINED``, and the rounding of <Q, S>.
    """
    value = gauge.value(S) if value is None else value
    Q = gauge.support(S)
    if value <= 0 and np.abs(S).max() > np.sqrt(np.finfo(float).tiny):
        raise fault(gauge, f"value(S) = {value:.6g} although S != 0", S=S)
    pairing = np.vdot(Q, S)
    if not abs(pairing - value) <= ATTAINED * value + _rounding(Q, S):
        raise fault(gauge, f"<support(S), S> = {pairing:.10g} but value(S) = {value:.10g}", S=S, Q=Q)
    low = np.linalg.eigvalsh(Q)[0]
    if low < -ATTAINED * np.abs(Q).max():
        raise fault(gauge, f"support(S) = Q has the eigenvalue {low:.6g}; K lies in the PSD cone", S=S, Q=Q)
    return Q, value


def check_feasible(gauge, atoms, S, value) -> None:
    """GaugeError if one of the atoms (k, d, d), supports met earlier, has <Q, S> > value(S)."""
    pairings = np.tensordot(atoms, S)
    k = int(np.argmax(pairings))
    if pairings[k] > (1 + ATTAINED) * value + _rounding(atoms[k], S):
        what = f"a support Q lies outside K: <Q, S> = {pairings[k]:.10g} > value(S) = {value:.10g}"
        raise fault(gauge, what, S=S, Q=atoms[k])


def _rounding(Q, S):
    """What rounding may do to <Q, S>, a sum of d^2 terms."""
    return S.size * EPS * np.abs(Q).max() * np.abs(S).max()
