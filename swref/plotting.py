"""Figures of the book: one colour per gauge, one style, and the few pictures that several chapters draw.

Colour means the gauge, on every page; clouds are grey. ``style()`` once per notebook, then plain matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, sparray

from ._validation import as_array, as_psd
from .gauges import BlockMax, BlockSum, Gauge, KyFan, Linear, RootSchatten, Schatten, get_gauge

SOURCE, TARGET = "#4a4a4a", "#9a9a9a"
PLUGIN = "#c2477f"  # compositions and every gauge that is not built in
_FAMILIES = {KyFan: "#9461c0", Linear: "#7f7f7f", BlockSum: "#8f7a00", BlockMax: "#b06d00"}
_SCHATTEN = {0: "#d9541e", 0.5: "#178f6b", 1: "#2b7bba", 2: "#6b6bd0"}  # by 1/p: p = inf, 2, 1, 1/2

_STYLE = {
    "figure.figsize": (7, 3.4),  # 7 inches fill a column of 700 pixels
    "figure.dpi": 144,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "image.cmap": "Greys",
}


def style() -> None:
    """Apply the book's figure style to this session's matplotlib."""
    plt.style.use(_STYLE)


def gauge_color(gauge: str | Gauge | float) -> str:
    """Hex colour of a gauge, given as a Gauge, a name that needs no parameters, or a number p >= 1/2.

    Schatten: blue at p = 1, green at 2, orange at inf, continuous in 1/p between them. Ky Fan purple,
    linear grey, blocks ochre, every other gauge pink.
    """
    gauge = _as_gauge(gauge)
    if not isinstance(gauge, (Schatten, RootSchatten)):
        return next((color for cls, color in _FAMILIES.items() if isinstance(gauge, cls)), PLUGIN)
    knots = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in _SCHATTEN.values()])
    rgb = [round(np.interp(1 / gauge.p, list(_SCHATTEN), knots[:, k])) for k in range(3)]
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def gauge_label(gauge: str | Gauge | float) -> str:
    """Short text for legends: "p = 2" or "p = ∞" for a Schatten ``gauge``, the repr of others."""
    gauge = _as_gauge(gauge)
    if not isinstance(gauge, (Schatten, RootSchatten)):
        return repr(gauge)
    return "p = ∞" if np.isinf(gauge.p) else f"p = {gauge.p:.3g}"


def gauge_look(gauge: str | Gauge | float) -> dict[str, str]:
    """Keyword arguments for a line of this gauge: its colour, and its label for the legend."""
    return {"color": gauge_color(gauge), "label": gauge_label(gauge)}


def ramp(color: str) -> LinearSegmentedColormap:
    """A colour map from white to ``color``, for densities."""
    return LinearSegmentedColormap.from_list("ramp", ["white", color])


def plot_film(rows: Iterable[tuple[Sequence[np.ndarray], np.ndarray, str, str]], times: Sequence[float]) -> Figure:
    """Densities in a grid of pictures, a column per time; returns the figure.

    ``rows``: (nodes, densities, color, label) each, ``nodes`` the two axes of a grid, ``densities`` (times, nx, ny);
    shades run up to the maximum of the row. The window is the square [-2, 2]^2.
    """
    rows, window = list(rows), (-2, 2)
    fig, grid = plt.subplots(len(rows), len(times), figsize=(7, 1.45 * len(rows)), sharex=True, sharey=True)
    for line, (nodes, densities, color, label) in zip(grid, rows, strict=True):
        levels = np.linspace(0.03, 1, 9) * np.max(densities)
        for ax, rho in zip(line, densities, strict=True):
            ax.contourf(*nodes, rho.T, levels, cmap=ramp(color))
            ax.set(xticks=[], yticks=[], xlim=window, ylim=window, aspect="equal")
        line[0].set_ylabel(label)
    for ax, t in zip(grid[-1], times, strict=True):
        ax.set_xlabel(f"t = {t:g}")
    return fig


def _as_gauge(gauge):
    """``get_gauge``, where a number means Schatten-p or, below 1, its root-norm continuation."""
    if isinstance(gauge, Real):
        p = float(gauge)
        return Schatten(p) if p >= 1 else RootSchatten(p)
    return get_gauge(gauge)


def planar(ax: Axes, limits: tuple[float, float, float, float] | None = None) -> Axes:
    """Equal scales and named axes on ``ax``, a picture of the plane; ``limits`` = (xmin, xmax, ymin, ymax)."""
    ax.set(xlabel="first coordinate", ylabel="second coordinate")
    ax.set_aspect("equal")
    if limits is not None:
        ax.axis(limits)
    return ax


def plot_clouds(
    ax: Axes, x: ArrayLike, y: ArrayLike, a: ArrayLike | None = None, b: ArrayLike | None = None, size: float = 9,
    names: Sequence[str] = ("source", "target"),
) -> Axes:  # fmt: skip
    """Source points x (n, 2) filled, target points y (m, 2) open, on ``ax``; areas proportional to the weights.

    ``a`` (n,), ``b`` (m,): weights, None if equal. ``size``: the mean area, in points^2. ``names``: for the legend.
    """
    x, y = as_array("x", x, 2), as_array("y", y, 2)
    areas = [size if w is None else size * np.size(w) * as_array(name, w, 1) for name, w in (("a", a), ("b", b))]
    ax.scatter(*x.T, s=areas[0], c=SOURCE, linewidths=0, zorder=3, label=names[0])
    ax.scatter(*y.T, s=areas[1], c="white", edgecolors=TARGET, linewidths=0.9, zorder=3, label=names[1])
    return planar(ax)


def plot_plan(ax: Axes, x: ArrayLike, y: ArrayLike, plan: ArrayLike | sparray, color: str, every: int = 1) -> Axes:
    """One segment per nonzero of ``plan`` (n, m), opacity proportional to its mass.

    It joins x_i to y_j, x (n, 2), y (m, 2), on ``ax``, in this ``color``. ``every`` thins the sources shown; the
    strongest segment drawn has opacity 0.8.
    """
    x, y, plan = as_array("x", x, 2), as_array("y", y, 2), coo_array(plan)
    if plan.shape != (len(x), len(y)):
        raise ValueError(f"plan: expected shape {(len(x), len(y))}, got {plan.shape}")
    rows, columns = plan.coords
    shown = (rows % every == 0) & (plan.data > 0)
    segments = np.stack([x[rows[shown]], y[columns[shown]]], axis=1)
    mass = plan.data[shown]
    lines = LineCollection(list(segments), colors=color, linewidths=0.8, zorder=2)
    lines.set_alpha(0.8 * mass / mass.max())
    ax.add_collection(lines, autolim=True)
    ax.autoscale_view()
    return planar(ax)


def plot_paths(ax: Axes, paths: ArrayLike, color: str, every: int = 1, size: float = 3) -> Axes:
    """Trajectories ``paths`` (times, n, 2), a pale line each on ``ax``, with a dot where it ends.

    ``color``: one for all; ``every`` thins them; ``size``: that of the dots.
    """
    paths = as_array("paths", paths, 3)[:, ::every]
    lines = LineCollection(list(np.swapaxes(paths, 0, 1)), colors=color, linewidths=0.7, alpha=0.35, zorder=2)
    ax.add_collection(lines, autolim=True)
    ax.scatter(*paths[-1].T, s=size, c=color, linewidths=0, zorder=3)
    ax.autoscale_view()
    return planar(ax)


def plot_moment(
    ax: Axes, S: ArrayLike, color: str, center: ArrayLike = (0, 0), label: str | None = None, **line: Any
) -> Axes:
    """The ellipse {center + S^(1/2) u : |u| = 1} on ``ax``; half-axes: roots of the eigenvalues of S (2, 2).

    ``color``, ``label`` and all else in ``line`` go to ``ax.plot``.
    """
    lam, U = np.linalg.eigh(as_psd("S", S, 2))
    t = np.linspace(0, 2 * np.pi, 181)
    points = (U * np.sqrt(np.maximum(lam, 0))) @ np.array([np.cos(t), np.sin(t)])
    ax.plot(*(points + np.reshape(center, (2, 1))), color=color, label=label, **line)
    return planar(ax)


def plot_unit_ball(
    ax: Axes, gauge: str | Gauge | float, color: str | None = None, label: str | None = None, **line: Any
) -> Axes:
    """The set {(a, b) >= 0 : gamma(diag(a, b)) <= 1}, its boundary drawn on ``ax``.

    ``color`` and ``label``: None for those of the gauge; all else in ``line`` goes to ``ax.plot``.
    """
    gauge = _as_gauge(gauge)
    color = gauge_color(gauge) if color is None else color
    t = np.linspace(0, np.pi / 2, 181)
    rays = np.array([np.cos(t), np.sin(t)]).clip(0)
    points = rays / [gauge.value(np.diag(ray)) for ray in rays.T]
    ax.plot(*points, color=color, label=gauge_label(gauge) if label is None else label, **line)
    ax.set(xlabel="first eigenvalue", ylabel="second eigenvalue", xlim=(0, None), ylim=(0, None))
    ax.set_aspect("equal")
    return ax


def plot_exponents(ax: Axes, exponents: ArrayLike, values: ArrayLike, label: str, **line: Any) -> Axes:
    """values (k,) against Schatten ``exponents`` p (k,), spaced by 1/p and growing to the right, on ``ax``, one dot
    in each gauge's colour.

    ``label``: of the line through them; all else in ``line`` goes to ``ax.plot``.
    """
    exponents = np.asarray(exponents, float)  # infinity is one of them
    values = as_array("values", values, 1, exponents.shape)
    ax.plot(1 / exponents, values, **{"color": SOURCE, "linewidth": 1, "label": label, **line})
    ax.scatter(1 / exponents, values, c=[gauge_color(p) for p in exponents], zorder=3)
    ax.set_xticks(1 / exponents, ["∞" if np.isinf(p) else f"{p:g}" for p in exponents])
    ax.set_xlabel("exponent p of the Schatten gauge")
    ax.xaxis.set_inverted(True)
    return ax
