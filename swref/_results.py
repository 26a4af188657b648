"""How results show themselves, and what every transport solver returns: a bracket and what attains each end."""

import html
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from .maxmin import NotConverged


class Report:
    """A result that prints the table ``_rows()``, {name: text}; in HTML the SVG ``_picture()`` stands beside it."""

    def __repr__(self):
        lines = "\n".join(f"  {name + ':':20}{value}" for name, value in self._rows().items())
        return f"{type(self).__name__}\n{lines}"

    def _picture(self):
        return ""

    def _repr_html_(self):
        rows = [(html.escape(name), html.escape(value)) for name, value in self._rows().items()]
        cells = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows)
        table = f"<table style='text-align:left'><caption>{type(self).__name__}</caption>{cells}</table>"
        return f"<div style='display:flex;gap:1em;align-items:center'>{table}{self._picture()}</div>"


@dataclass(frozen=True, repr=False)
class Result(Report):
    """A certified squared distance: lower_bound <= W^2 <= upper_bound, whatever the status.

    ``distance`` is the square root of the upper bound, computed so that it survives when its square under- or
    overflows. ``moment`` (d, d) is the second moment of the displacement whose gauge is the upper bound; ``metric``
    (d, d) the Q* in K that gives the lower one. ``history`` (iterations, 2) holds the bounds after each oracle call.
    """

    distance: float
    lower_bound: float
    upper_bound: float
    relative_gap: float  # (U - L)/U, and 0 when U = 0
    moment: np.ndarray = field(repr=False)
    metric: np.ndarray = field(repr=False)
    status: str  # "converged", "max_iter", "stalled", "interrupted", "rounding"
    iterations: int
    history: np.ndarray = field(repr=False)

    _steps = "oracle calls"

    @property
    def squared_distance(self):
        """The upper bound: attained by the returned plan."""
        return self.upper_bound

    def _rows(self):
        return {
            "distance": f"{self.distance:.10g}",
            "squared distance": f"{self.upper_bound:.10g}",
            "certified interval": f"[{self.lower_bound:.10g}, {self.upper_bound:.10g}]",
            "relative gap": f"{self.relative_gap:.2e}",
            "status": f"{self.status} after {self.iterations} {self._steps}",
        }


def scaled_back(solution, scale, upper=None, moment=None):
    """The ``Result`` fields for a problem solved in units of ``scale``; exact zeros stay zero, nothing becomes NaN."""
    upper = solution.upper if upper is None else upper
    lower = min(max(solution.lower, 0.0), upper)
    with np.errstate(over="ignore", under="ignore"):
        return {
            "distance": float(np.sqrt(upper)) * scale,
            "lower_bound": squared_back(lower, scale, 0.0),
            "upper_bound": squared_back(upper, scale, np.inf),
            "relative_gap": float((upper - lower) / upper) if upper > 0 else 0.0,
            "moment": moment * scale * scale,
            "metric": np.array(solution.metric),
            "status": solution.status,
            "iterations": len(solution.history),
            "history": solution.history * scale * scale,
        }


def squared_back(bound, scale, away):
    """bound * scale^2, scale a power of two: rounded only outside the range of float64, and then towards ``away``."""
    value = float(bound) * scale * scale
    if bound and value < np.finfo(float).tiny:
        return float(np.nextafter(value, away))
    return min(value, np.finfo(float).max) if away == 0 else value


def finish(result, tol, strict, blame=""):
    """The result, or NotConverged carrying it when the tolerance was missed and ``strict``.

    ``blame`` is added to the message when the status is "rounding".
    """
    if strict and result.status != "converged":
        because = f"; {blame}" if result.status == "rounding" else ""
        raise NotConverged(
            f"relative gap {result.relative_gap:.2e} after {result.iterations} {result._steps} ({result.status}), "
            f"wanted {tol:.1e}{because}; the result with its bounds is in .result (or pass strict=False)",
            result,
        )
    return result


def reporter(progress, callback, scale, name, unit):
    """A context giving ``report(lower, upper, steps=1)`` for a solver that works in units of ``scale``, or None."""
    if not progress:
        if callback is None:
            return nullcontext()
        return nullcontext(lambda low, up, steps=1: callback(low * scale * scale, up * scale * scale))
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def __call__(self, low, up, steps=1):
            self.set_postfix_str(f"gap {(up - low) / up if up > 0 else 0:.1e}", refresh=False)
            self.update(steps)
            if callback is not None:
                callback(low * scale * scale, up * scale * scale)

    return Bar(desc=name, unit=unit)
