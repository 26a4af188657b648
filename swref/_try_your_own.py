"""The last cell of a chapter: its picture and its certificate for any gauge that is registered."""

from __future__ import annotations

import ast
import base64
import html
import inspect
import io
from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from .gauges import Gauge, get_gauge, list_gauges
from .gauges.registry import gauge_class

# What the fields say first for parameters that have no default; right for points in the plane.
SUGGESTED = {"blocks": "[1, 1]", "Q0": "[[1, 0], [0, 1]]"}
HINT = "Runs in JupyterLab, where menus choose them."


class _KeepKeys(anywidget.AnyWidget):
    """Nothing to see. It tells JupyterLab that arrow keys in the menus beside it are not the notebook's."""

    _esm = """export default { render({ el }) {
      requestAnimationFrame(() => {
        const menus = el.closest(".widget-vbox")?.querySelectorAll("select") ?? [];
        for (const menu of menus) menu.setAttribute("data-lm-suppress-shortcuts", "true");
      });
    } };"""


class TryYourOwn:
    """Menus over picture(gauge, data): every gauge of ``list_gauges()`` with its parameters, and the data by name.

    picture: a function of a Gauge and one of the values of data. It returns a matplotlib figure, an object that shows
    itself in HTML, as every result does with its certificate, anything with a text, or a tuple of these.
    data: names and values, {"two heaps": (x, y)}; the first is drawn first.
    gauge, parameters: the first gauge, by name, as ``get_gauge`` takes them.

    With a kernel, each change draws anew, and what is wrong with a parameter is said in place of the picture. The
    fields take Python numbers, "inf", lists and names; an empty one leaves the parameter out. A page without a kernel
    shows the first picture. Raises ValueError on bad arguments; an error inside the first picture passes through.

    Example::

        def picture(gauge, data):
            return swref.transport(*data, gauge)

        TryYourOwn(picture, {"two heaps": (x, y)}, gauge="schatten", p=2)
    """

    def __init__(
        self, picture: Callable[[Gauge, Any], Any], data: Mapping[str, Any], *, gauge: str = "operator",
        **parameters: Any,
    ):  # fmt: skip
        if not callable(picture):
            raise ValueError(f"picture: must be a function of a gauge and data, got {picture!r}")
        if not isinstance(data, Mapping) or not data or not all(isinstance(name, str) for name in data):
            raise ValueError(f'data: must be a nonempty mapping such as {{"two heaps": (x, y)}}, got {data!r}')
        if not isinstance(gauge, str):
            raise ValueError(f"gauge: must be the name of a registered gauge, got {gauge!r}")
        self._picture, self._data = picture, dict(data)
        self._first = self._draw(get_gauge(gauge, **parameters), next(iter(data)))
        self._gauge = ipywidgets.Dropdown(options=list_gauges(), value=gauge, description="gauge")
        self._which = ipywidgets.Dropdown(options=list(data), description="data")
        self._fields = ipywidgets.VBox()
        self._shown = ipywidgets.HTML(self._first)
        self._set_fields({name: _written(value) for name, value in parameters.items()})
        self._gauge.observe(self._other_gauge, "value")
        self._which.observe(self._update, "value")
        self._box = ipywidgets.VBox([self._gauge, self._fields, self._which, self._shown, _KeepKeys()])

    def _draw(self, gauge, name):
        before = plt.get_fignums()
        try:
            shown = self._picture(gauge, self._data[name])
            parts = shown if isinstance(shown, tuple) else (shown,)
            return "".join(_html(part, f"{gauge}, {name}") for part in parts)
        finally:  # else the notebook would show the figure once more
            for number in set(plt.get_fignums()) - set(before):
                plt.close(number)

    def _set_fields(self, given):
        parameters = inspect.signature(gauge_class(str(self._gauge.value))).parameters.values()
        self._fields.children = [
            ipywidgets.Text(given.get(one.name, _first_text(one)), description=one.name, continuous_update=False)
            for one in parameters
            if one.kind is not one.VAR_KEYWORD
        ]
        for field in self._fields.children:
            field.observe(self._update, "value")

    def _other_gauge(self, _):
        self._set_fields({})
        self._update()

    def _update(self, _=None):
        try:
            written = {field.description: field.value.strip() for field in self._fields.children}
            parameters = {name: _read(text) for name, text in written.items() if text}
            self._shown.value = "<p>computing …</p>"
            self._shown.value = self._draw(get_gauge(str(self._gauge.value), **parameters), self._which.value)
        except Exception as error:  # shown where the picture was: a menu must not print tracebacks
            words = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            self._shown.value = f'<p role="alert">{html.escape(words)}</p>'

    def _repr_mimebundle_(self, **kwargs):
        data = self._box._repr_mimebundle_(**kwargs) or {}
        chosen = html.escape(f"Gauge {self._gauge.value!r}, data {self._which.value!r}.")
        return {**data, "text/plain": repr(self), "text/html": f"{self._first}<p>{chosen} {HINT}</p>"}

    def __repr__(self):
        return f"TryYourOwn(gauge={self._gauge.value!r}, data={self._which.value!r})"


def _html(part, words):
    """A figure as an image, what has an HTML form in that form, anything else as text."""
    if isinstance(part, Figure):
        buffer = io.BytesIO()
        part.savefig(buffer, format="png")
        source = base64.b64encode(buffer.getvalue()).decode()
        width = round(96 * part.get_figwidth())
        return (
            f'<img alt="{html.escape(words)}" src="data:image/png;base64,{source}" '
            f'style="width:{width}px;max-width:100%">'
        )
    if hasattr(part, "_repr_html_"):
        return part._repr_html_()
    return f"<pre>{html.escape(str(part))}</pre>"


def _first_text(parameter):
    if parameter.default is not parameter.empty:
        return _written(parameter.default)
    return SUGGESTED.get(parameter.name, "")


def _written(value):
    return "" if value is None else str(value)


def _read(text):
    """What was written: a Python literal, "inf", or else a name."""
    text = text.replace("∞", "inf")
    for read in (ast.literal_eval, float):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError):
            pass
    return text
