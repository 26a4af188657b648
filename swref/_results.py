"""How results show themselves, and what every transport solver returns: a bracket and what attains each end."""

import html
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ._errors import CrossedBounds, NotConverged, shown
from ._parallel import counter
from ._session import silent

STATUS = {  # of a distance or a flow
    "converged": "the bounds meet the tolerance",
    "rounding": "float64 has no more digits for the bounds, whatever the solver does",
    "stalled": "no more progress: the gap, or the length of a step, shrank to nothing",
    "max_iter": "the limit of iterations came first",
    "max_steps": "the limit of steps came first",
    "interrupted": "Ctrl-C",
    "finished": "the flow reached t_end",
    "stationary": "nothing would move in the time that is left",
    "non-finite": "energy or force are NaN or infinite however short the step",
}
TINY, LARGEST = np.finfo(float).tiny, np.finfo(float).max


class Report(ABC):
    """A result that prints the table ``_rows()``, {name: text}; in HTML the SVG ``_picture()`` stands beside it."""

    def __repr__(self):
        lines = "\n".join(f"  {name + ':':20}{value}" for name, value in self._rows().items())
        return f"{type(self).__name__}\n{lines}"

    @abstractmethod
    def _rows(self) -> dict[str, str]:
        """The table, for print and for HTML."""

    def _picture(self) -> str:
        return ""

    def _repr_html_(self):
        rows = [(html.escape(name), html.escape(value)) for name, value in self._rows().items()]
        cells = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows)
        table = f"<table style='text-align:left'><caption>{type(self).__name__}</caption>{cells}</table>"
        return f"<div style='display:flex;gap:1em;align-items:center'>{table}{self._picture()}</div>"


@dataclass(frozen=True, repr=False, eq=False)
class Result(Report):
    """A certified squared distance: lower_bound <= W^2 <= upper_bound, whatever the status.

    Rounding is included: the bounds are true in real arithmetic for the floats given. ``distance`` is the square root
    of the upper bound, computed so that it survives when its square under- or overflows. ``moment`` (d, d) is the
    second moment of the displacement whose gauge is the upper bound; ``metric`` (d, d) the Q* in K that gives the lower
    one. ``history`` (iterations, 2) holds the bounds that the solver saw after each oracle call, before rounding was
    accounted for.
    """

    distance: float  # W_gamma: the root of upper_bound, right even where its square is out of range
    lower_bound: float  # of W_gamma^2, proved
    upper_bound: float  # of W_gamma^2, proved
    relative_gap: float  # (U - L)/U, and 0 when U = 0
    moment: np.ndarray  # (d, d): second moment of the displacement, its gauge is U
    metric: np.ndarray  # (d, d): the Q* in K that gives L
    status: Literal["converged", "max_iter", "stalled", "interrupted", "rounding"]  # why the run ended, a key of STATUS
    iterations: int  # oracle calls, or steps of the solver
    history: np.ndarray  # (iterations, 2): L and U after each, rounding not yet counted

    _steps = "oracle calls"

    @property
    def squared_distance(self) -> float:
        """The upper bound: attained by the returned plan."""
        return self.upper_bound

    def _rows(self):
        return {
            "distance": f"{self.distance:.10g}",
            "squared distance": f"{self.upper_bound:.10g}",
            "certified interval": f"[{self.lower_bound:.10g}, {self.upper_bound:.10g}]",
            "relative gap": f"{self.relative_gap:.2e}",
            "status": f"{self.status} after {self.iterations} {self._steps}: {STATUS[self.status]}",
        }


def weightiest(solution, budget):
    """(weights (k,), handles) of a solution's mixture, without those of total weight at most ``budget``."""
    order = np.argsort(solution.weights)
    keep = np.sort(order[np.cumsum(solution.weights[order]) > budget])
    return solution.weights[keep] / solution.weights[keep].sum(), [solution.handles[k] for k in keep]


def scaled_back(solution, scale, lower, upper, moment, metric, tol, slack=0.0, blurred=False):
    """The ``Result`` fields for a problem solved in units of ``scale``; exact zeros stay zero.

    ``lower`` <= ``upper`` are certified and stay so: what the range of float64 rounds is rounded outwards. When they
    do not meet, but the solver's own bounds did, or it stalled and they are ``blurred``, the status is "rounding".
    """
    if lower > upper:
        raise CrossedBounds(
            f"lower bound {float(lower)!r} above upper bound {float(upper)!r}: the gauge breaks an axiom (does "
            "swref.check_gauge accept it?), or swref has an error" + shown({"S": moment, "Q": metric})
        )
    status = solution.status
    if upper - lower <= tol * upper + slack:
        status = "converged"
    elif status == "converged" or (status == "stalled" and blurred):
        status = "rounding"
    with np.errstate(over="ignore", under="ignore"):
        return {
            "distance": float(np.sqrt(upper)) * scale,
            "lower_bound": squared_back(lower, scale, 0.0),
            "upper_bound": squared_back(upper, scale, np.inf),
            "relative_gap": float((upper - lower) / upper) if upper > 0 else 0.0,
            "moment": moment * scale * scale,
            "metric": np.array(metric),
            "status": status,
            "iterations": len(solution.history),
            "history": solution.history * scale * scale,
        }


@silent
def squared_back(value, scale, direction):
    """value * scale^2, towards ``direction``, 0 or inf, where that rounds; a power of two does not, within range."""
    mantissa, exponent = np.frexp(scale)
    result = float(np.ldexp(value * mantissa * mantissa * 4, 2 * (int(exponent) - 1)))
    if value > 0 and (mantissa != 0.5 or result < TINY):
        result = float(np.nextafter(np.nextafter(result, direction), direction))
    return min(result, LARGEST) if direction == 0 else result


def finish(result, tol, strict, rounding=""):
    """The result, or NotConverged carrying it when the tolerance was missed and ``strict``.

    ``rounding`` says which scale is to blame when the status is "rounding".
    """
    if strict and result.status != "converged":
        blame = f": {rounding}" if result.status == "rounding" else ""
        raise NotConverged(
            f"relative gap {result.relative_gap:.2e} after {result.iterations} {result._steps} "
            f"({result.status}: {STATUS[result.status]}{blame}), wanted {tol:.1e}; "
            "the result with its bounds is in .result (or pass strict=False)",
            result,
        )
    return result


@contextmanager
def reporter(progress, name, unit):
    """A context giving ``report(lower, upper, steps=1)``, which moves a bar, or does nothing without ``progress``."""
    with counter(progress, name, unit) as count:
        yield lambda low, up, steps=1: count(steps, f"gap {(up - low) / up if up > 0 else 0:.1e}")
