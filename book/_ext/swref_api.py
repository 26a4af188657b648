"""The API page: formulas, tables of fields and of gauges, made from the package as it is.

A formula of ``formulas.py`` stands below the first line of its docstring. A class that calls return shows a table of
its fields, whose meanings are the comments beside them in the source, in place of a constructor that nobody calls.
``.. gauges::`` is a table of the built-in gauges, made from the registry.
"""

import dataclasses
import inspect
import io
import re
import tokenize

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from swref_formulas import FORMULAS, GAUGES

import swref
from swref.gauges.registry import gauge_class

NARROW = 70  # characters of LaTeX that stay on one line


def comments(cls):
    """{field: comment}: what stands behind a field in the source of a dataclass, or alone above it."""
    found, above, last = {}, [], None
    tokens = tokenize.generate_tokens(io.StringIO(inspect.getsource(cls)).readline)
    names = {field.name for field in dataclasses.fields(cls)}
    for token in tokens:
        text = token.string.removeprefix("# ")
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#"):
            above.append(text)
        elif token.type == tokenize.COMMENT and last:
            found[last] = text
        elif token.type == tokenize.NAME and token.line.startswith(f"    {token.string}:") and token.string in names:
            last = token.string
            found[last], above = " ".join(above), []
        elif token.type == tokenize.NAME and token.string == "def":
            last = None
    return found


def fields(cls):
    """[(name, meaning)] of what a result holds: its public fields, then its public properties."""
    told = {
        name: text
        for base in reversed(cls.__mro__)
        if dataclasses.is_dataclass(base)
        for name, text in comments(base).items()
    }
    rows = [(field.name, told[field.name]) for field in dataclasses.fields(cls) if not field.name.startswith("_")]
    properties = inspect.getmembers(cls, lambda member: isinstance(member, property))
    return rows + [(name, inspect.getdoc(member).splitlines()[0]) for name, member in properties if name[0] != "_"]


def returned(thing):
    """Whether calls return this class: a result, or another frozen dataclass that no user makes."""
    return dataclasses.is_dataclass(thing) and not issubclass(thing, swref.Gauge) and not hasattr(thing, "value")


def table(head, rows, widths):
    """The lines of a list-table."""
    lines = [".. list-table::", "   :header-rows: 1", "   :class: api", f"   :widths: {' '.join(map(str, widths))}", ""]
    for row in (head, *rows):
        lines += [f"   {'-' if k else '* -'} {cell}" if k == 0 else f"     - {cell}" for k, cell in enumerate(row)]
    return [*lines, ""]


def parameters(cls):
    """The parameters of a gauge with their defaults, as one writes them; ** parameters are left out."""
    chosen = [one for one in inspect.signature(cls).parameters.values() if one.kind is not one.VAR_KEYWORD]
    return ", ".join(one.name if one.default is one.empty else f"{one.name}={one.default!r}" for one in chosen)


def gauges():
    """[(names, class, parameters, and the four cells of ``formulas.GAUGES``)] of the built-in gauges."""
    named = {}
    for name in swref.list_gauges():
        cls = gauge_class(name)
        if cls.__module__.startswith("swref.gauges."):
            named.setdefault(cls, []).append(name)
    order = sorted(named, key=lambda cls: list(GAUGES).index(cls.__name__))
    return [(named[cls], cls, parameters(cls), GAUGES[cls.__name__]) for cls in order]


class GaugeTable(SphinxDirective):
    """The built-in gauges: name, class and parameters, formula, representing set, dual norm."""

    def run(self):
        rows = []
        for names, cls, chosen, formulas in gauges():
            call = f", ``{chosen}``" if chosen else ""
            name = ", ".join(f'``"{one}"``' for one in names)
            rows.append((f":class:`~swref.gauges.{cls.__name__}`: {name}{call}", *formulas))
        head = (
            "class: name, parameters",
            r":math:`\gamma(S)`",
            r"representing set :math:`\K`",
            r"dual norm :math:`N^*(G)`",
        )
        lines = table(head, rows, (30, 25, 25, 25))
        node = nodes.container()
        self.state.nested_parse(StringList(lines, "gauges"), self.content_offset, node)
        return node.children


def explain(app, what, name, obj, options, lines):
    """Formula and fields, into the docstring."""
    formula = FORMULAS.get(name)
    if formula:
        end = lines.index("") if "" in lines else len(lines)
        lines[end:end] = ["", ".. math::", "", *(f"   {line.strip()}" for line in stacked(formula).splitlines()), ""]
    if what == "class" and returned(obj):
        shown = [(f"``{field}``", literal(text)) for field, text in fields(obj)]
        lines += ["", *table(("field", "meaning"), shown, (25, 75))]


def stacked(formula):
    """Statements of a long formula one below the other: a phone's column is narrow."""
    if len(formula) < NARROW:
        return formula.strip()
    parts = re.split(r"\\qquad|\\quad(?=\\text)", formula.strip())
    return r"\begin{gathered}" + r"\\ ".join(parts) + r"\end{gathered}"


def literal(text):
    """Plain text in reStructuredText: names in double backticks stay code, nothing else is markup."""
    parts = re.split(r"(``.*?``)", text)
    parts[::2] = [re.sub(r"([|*_`\\])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def indented_blocks(app, what, name, obj, options, lines):
    """A block indented by four columns after a colon is shown as it is written."""
    for k in range(len(lines) - 2):
        if re.search(r"[^:]:$", lines[k]) and not lines[k + 1] and lines[k + 2].startswith("    "):
            lines[k] += ":"


def signature(app, what, name, obj, options, text, annotation):
    """No constructor of a class that calls return, whose fields may be private."""
    return ("", annotation) if what == "class" and returned(obj) else None


def setup(app):
    app.add_directive("gauges", GaugeTable)
    app.connect("autodoc-process-docstring", indented_blocks, priority=1)
    app.connect("autodoc-process-docstring", explain, priority=900)  # after the rest is escaped
    app.connect("autodoc-process-signature", signature)
    app.add_css_file("api.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
