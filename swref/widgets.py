"""Sliders that live twice: stored pictures in the static book, recomputed in a notebook with a kernel.

A picture is a list of layers, made by `points`, `segments`, `curve`, `ellipse`, `text` and `note`, all in
data coordinates; sizes are pixels. A color is "ink" (the page's text color), "muted" (half of it), or any
matplotlib color; pick mid-tones, the page may be light or dark.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import anywidget
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ._try_your_own import TryYourOwn as TryYourOwn
from ._validation import as_array, as_nonnegative, as_psd, check_positive

_ESM = Path(__file__).with_name("widgets.js").read_text(encoding="utf-8")
MAX_FRAMES = 1000
MAX_BYTES = 4_000_000  # of one widget's frames; a page is read over slow lines too


@dataclass(frozen=True, eq=False)
class Layer:
    """One drawing step: `kind`, coordinates `xy` (n, 2 or 4), `weight` (n,) or None, and how to draw them."""

    kind: Literal["points", "segments", "curve", "text", "note"]
    xy: np.ndarray
    color: str = "ink"
    size: float = 1.0
    weight: np.ndarray | None = None
    closed: bool = False
    fill: bool = False
    dash: bool = False
    text: str = ""


def points(xy: ArrayLike, color: str = "ink", size: float = 3.0, weight: ArrayLike | None = None) -> Layer:
    """Discs of this color at the rows of xy (n, 2), of radius size * sqrt(weight / max(weight)): area shows weight."""
    xy = _coordinates("xy", xy)
    return Layer("points", xy, _color(color), check_positive("size", size), _weights(weight, len(xy)))


def segments(
    start: ArrayLike, end: ArrayLike, color: str = "ink", size: float = 1.0, weight: ArrayLike | None = None
) -> Layer:
    """Lines of this color, start[i] -- end[i], both (n, 2), `size` pixels wide, of opacity weight / max(weight)."""
    start, end = _coordinates("start", start), _coordinates("end", end)
    if len(start) != len(end):
        raise ValueError(f"end: has {len(end)} rows; it needs one per row of start, {len(start)}")
    both = np.hstack([start, end])
    return Layer("segments", both, _color(color), check_positive("size", size), _weights(weight, len(both)))


def curve(
    xy: ArrayLike, color: str = "ink", size: float = 1.5, closed: bool = False, fill: bool = False, dash: bool = False
) -> Layer:
    """The line through xy (n, 2), `size` pixels wide, of this color, `closed` or `dash`ed; `fill` tints its inside."""
    xy = _coordinates("xy", xy)
    return Layer("curve", xy, _color(color), check_positive("size", size), None, bool(closed), bool(fill), bool(dash))


def ellipse(
    center: ArrayLike, shape: ArrayLike, color: str = "ink", size: float = 1.5, fill: bool = False, dash: bool = False
) -> Layer:
    """The curve {center + shape^(1/2) u : |u| = 1}; shape (2, 2) PSD; color, size, fill, dash as for `curve`."""
    values, vectors = np.linalg.eigh(as_psd("shape", shape, 2))
    angle = np.linspace(0, 2 * np.pi, 73)[:-1]
    rim = (np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return curve(as_array("center", center, 1, (2,)) + rim, color, size, closed=True, fill=fill, dash=dash)


def text(at: ArrayLike, string: str, color: str = "ink", size: float = 13.0) -> Layer:
    """`string` at the point `at` (2,), of this color, `size` pixels high."""
    xy = _coordinates("at", [at])
    return Layer("text", xy, _color(color), check_positive("size", size), text=str(string))


def note(string: str) -> Layer:
    """The line of text `string` below the picture, also spoken by screen readers: the place for numbers."""
    return Layer("note", np.zeros((0, 2)), text=str(string))


class Explore(anywidget.AnyWidget):
    """Sliders over fn(**parameters) -> list of layers, evaluated on the whole grid when the cell runs.

    Every keyword is one slider and its values, increasing numbers (the last may be np.inf), or a menu of
    distinct strings; fn is called with Python floats, ints or strings. In a static page the sliders step through the
    stored frames: no kernel, no network. In a notebook a badge says "kernel live" and fn is called for any
    value between those of the grid (integer grids stay integers; between a finite a and infinity the slider
    runs through a / (1 - t)).

    limits: (xmin, xmax, ymin, ymax), the same for all frames; default: what all frames need, and 5 %.
    axes: None draws no axes and keeps circles round; ("x label", "y label") draws scaled axes.
    start: initial values, e.g. {"p": 2}; default: the first of each grid.
    size: width and height in pixels. description: one sentence for readers who cannot see the picture.

    Raises ValueError on a bad grid, more than 1000 frames, more than 4 MB of frames, or a frame that is not a
    list of layers. An error inside fn passes through, with the parameters added.

    Example, the unit ball of the l^q norm::

        def ball(q):
            t = np.linspace(0, 2 * np.pi, 200)
            u = np.stack([np.cos(t), np.sin(t)], axis=1)
            u /= np.linalg.norm(u, q, axis=1)[:, None]
            return [curve(u, fill=True), note(f"q = {q}")]

        exponents = [1, 1.5, 2, 4, np.inf]
        Explore(ball, q=exponents, start={"q": 2}, description="A ball.")
    """

    _esm = _ESM

    def __init__(
        self, fn: Callable[..., list[Layer]], *, limits: ArrayLike | None = None, axes: tuple[str, str] | None = None,
        start: Mapping[str, Any] | None = None, size: tuple[float, float] = (560, 380),
        description: str = "Picture.", **grids: Sequence[float] | Sequence[str] | np.ndarray,
    ):  # fmt: skip
        if not callable(fn):
            raise ValueError(f"fn: must be a function of the slider values, got {fn!r}")
        if not grids:
            raise ValueError("Explore needs at least one slider, for example p=[1, 2, np.inf]")
        self._fn = fn
        self._grids = {name: _grid(name, values) for name, values in grids.items()}
        start = {} if start is None else dict(start)
        first = {name: start.pop(name, grid[0]) for name, grid in self._grids.items()}
        wrong = start or {name: v for name, v in first.items() if v not in self._grids[name]}
        if wrong:
            raise ValueError(f"start: expected values of the grids {self._grids}, got {wrong}")
        index = {name: grid.index(first[name]) for name, grid in self._grids.items()}
        count = math.prod(map(len, self._grids.values()))
        if count > MAX_FRAMES:
            raise ValueError(f"the grids make {count} frames; at most {MAX_FRAMES} are stored in a page")

        frames = [self._frame(values) for values in itertools.product(*self._grids.values())]
        heads, self._floats = _encode(frames)
        if len(self._floats) > MAX_BYTES:
            raise ValueError(f"the frames take {len(self._floats)} bytes; at most {MAX_BYTES} are stored")
        shape = [len(g) for g in self._grids.values()]
        self._first = frames[np.ravel_multi_index(tuple(index.values()), shape)]
        width, height = (check_positive("size", s) for s in size)
        limits = _limits(frames, limits, (width, height), equal=axes is None)
        self._spec = {
            "size": (width, height),
            "limits": limits,
            "axes": None if axes is None else _axes(axes, limits),
            "description": str(description),
            "sliders": [
                {
                    "name": n,
                    "labels": [_label(v) for v in g],
                    "start": index[n],
                    "step": _step(g),
                    "choice": isinstance(g[0], str),
                }
                for n, g in self._grids.items()
            ],
            "frames": heads,
        }
        super().__init__()
        self.on_msg(self._answer)

    def _frame(self, values):
        parameters = dict(zip(self._grids, values, strict=True))
        try:
            layers = self._fn(**parameters)
        except Exception as error:
            error.add_note(f"Explore called fn with {parameters}")
            raise
        if not isinstance(layers, (list, tuple)) or not all(isinstance(x, Layer) for x in layers):
            raise ValueError(
                f"fn: must return a list of layers (points, segments, curve, ellipse, text, note), "
                f"got {type(layers).__name__} at {parameters}"
            )
        return list(layers)

    def _answer(self, _, message, buffers):
        # `view` comes back untouched: one widget may be shown in several cells.
        reply = {"type": "frame", "view": message.get("view")}
        if message.get("type") == "hello":
            self.send({**reply, "type": "frames", "spec": self._spec}, [self._floats])
        elif message.get("type") == "frame":
            try:
                values = [_between(g, t) for g, t in zip(self._grids.values(), message["at"], strict=True)]
                [layers], floats = _encode([self._frame(values)])
            except Exception as error:  # shown in the badge: a slider must not stop the kernel's loop
                self.send({**reply, "error": f"{type(error).__name__}: {error}"})
            else:
                self.send({**reply, "layers": layers, "labels": [_label(v) for v in values]}, [floats])

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {
            **data,
            "text/plain": repr(self),
            "text/html": self._html(),
        }, metadata

    def __repr__(self):
        sliders = ", ".join(f"{n}=[{', '.join(map(_label, g))}]" for n, g in self._grids.items())
        return f"Explore({sliders}): {self._spec['description']}"

    def _html(self):
        # "<" is escaped so that no label can close the script element early.
        spec = json.dumps(self._spec, separators=(",", ":")).replace("<", "\\u003c")
        floats = base64.b64encode(self._floats).decode()
        key = hashlib.sha256((spec + floats).encode()).hexdigest()[:16]  # no random id: builds repeat
        return (
            f'<div data-swref="{key}"></div>\n<noscript>This picture needs JavaScript.</noscript>\n'
            f'<script type="module">\n{_ESM}\nmountStatic("{key}", {spec}, "{floats}");\n</script>'
        )


def _encode(frames):
    """Frames as (heads, bytes): a layer's head is JSON, its arrays are [offset, count] of one float32 buffer.

    Equal arrays, such as the points that every frame repeats, are stored once.
    """
    offsets, chunks, total, heads = {}, [], 0, []

    def store(array):
        nonlocal total
        with np.errstate(over="ignore"):  # reported on the next line, by name
            data = array.astype("<f4").ravel()
        if not np.isfinite(data).all():
            raise ValueError("a layer has coordinates or weights that are not finite float32 numbers")
        key = data.tobytes()
        if key not in offsets:
            offsets[key] = [total, data.size]
            chunks.append(key)
            total += data.size
        return offsets[key]

    for frame in frames:
        head = []
        for layer in frame:
            item = {"kind": layer.kind}
            if layer.kind in ("text", "note"):
                item["text"] = layer.text
            if layer.kind != "note":
                item |= {"color": layer.color, "size": layer.size, "xy": store(layer.xy)}
            if layer.kind == "curve":
                item |= {"closed": layer.closed, "fill": layer.fill, "dash": layer.dash}
            if layer.weight is not None:
                item["weight"] = store(layer.weight)
            head.append(item)
        heads.append(head)
    return heads, b"".join(chunks)


def _limits(frames, limits, size, equal):
    """Axis limits of all frames; `equal` widens the shorter side so that one unit is as long on both axes."""
    if limits is None:
        boxes = [layer.xy.reshape(-1, 2) for frame in frames for layer in frame if layer.xy.size]
        if not boxes:
            raise ValueError("no layer of any frame has a point: give limits=(xmin, xmax, ymin, ymax)")
        xy = np.concatenate(boxes)
        low, high = xy.min(axis=0), xy.max(axis=0)
        pad = np.where(high > low, 0.05 * (high - low), 0.5)
        limits = [low[0] - pad[0], high[0] + pad[0], low[1] - pad[1], high[1] + pad[1]]
    limits = as_array("limits", limits, 1, (4,))
    if limits[0] >= limits[1] or limits[2] >= limits[3]:
        raise ValueError(f"limits: must be increasing (xmin, xmax, ymin, ymax), got {limits.tolist()}")
    if equal:
        span = np.array([limits[1] - limits[0], limits[3] - limits[2]])
        grow = (np.max(span / size) * np.array(size) - span) / 2
        limits = [limits[0] - grow[0], limits[1] + grow[0], limits[2] - grow[1], limits[3] + grow[1]]
    return [float(x) for x in limits]


def _axes(axes, limits):
    if isinstance(axes, str) or len(axes) != 2 or not all(isinstance(a, str) for a in axes):
        raise ValueError(f'axes: must be ("x label", "y label") or None, got {axes!r}')

    def ticks(low, high):
        places = MaxNLocator(6).tick_values(low, high)
        return [(float(t), f"{t:.4g}") for t in places if low <= t <= high]

    return {
        "xlabel": axes[0],
        "ylabel": axes[1],
        "xticks": ticks(*limits[:2]),
        "yticks": ticks(*limits[2:]),
    }


def _grid(name, values):
    """The slider's values as Python floats, ints or strings, checked."""
    if isinstance(values, str) or not hasattr(values, "__len__") or len(values) < 2:
        raise ValueError(f"{name}: must be a sequence of at least two slider values, got {values!r}")
    values = list(values)
    if all(isinstance(v, str) for v in values):
        if len(set(values)) < len(values):
            raise ValueError(f"{name}: must have distinct values, got {values}")
        return values
    if not all(isinstance(v, Real) and not isinstance(v, (bool, np.bool_)) for v in values):
        raise ValueError(f"{name}: must hold numbers only or strings only, got {values}")
    number = int if all(isinstance(v, Integral) for v in values) else float
    values = [number(v) for v in values]
    if not all(a < b for a, b in itertools.pairwise(values)) or values[0] == -math.inf:
        raise ValueError(f"{name}: must be strictly increasing numbers above -inf, got {values}")
    if values[-1] == math.inf and values[-2] <= 0:
        raise ValueError(f"{name}: needs a positive value before infinity, got {values}")
    return values


def _step(grid):
    """Slider step with a live kernel, in units of grid positions: 1 where there is nothing in between."""
    if isinstance(grid[0], str) or (isinstance(grid[0], int) and grid[-1] - grid[0] == len(grid) - 1):
        return 1
    return 0.05


def _between(grid, position):
    """The value at a fractional grid position."""
    position = min(max(float(position), 0.0), len(grid) - 1.0)
    low = int(position)
    t = position - low
    if t == 0 or isinstance(grid[0], str):
        return grid[round(position)]
    a, b = grid[low], grid[low + 1]
    value = a / (1 - t) if b == math.inf else (1 - t) * a + t * b
    return round(value) if isinstance(a, int) else value


def _label(value):
    if isinstance(value, str):
        return value
    return "∞" if value == math.inf else f"{value:.4g}"


def _coordinates(name, xy):
    return as_array(name, xy, 2, (len(xy), 2)) if len(xy) else np.zeros((0, 2))


def _weights(weight, n):
    if weight is None or n == 0:
        return None
    return as_nonnegative("weight", weight, 1, (n,))


def _color(color):
    if isinstance(color, str) and color in ("ink", "muted"):
        return color
    try:
        return to_hex(color)
    except ValueError:
        raise ValueError(f'color: must be "ink", "muted" or a matplotlib color, got {color!r}') from None
