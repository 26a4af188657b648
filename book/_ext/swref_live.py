"""Pictures that compute in the reader's browser: one classic script made of ``live/``, on pages that ask for it.

A page asks with ``<div data-swref-live data-preset="heaps" data-p="Infinity">what is read without JavaScript</div>``
for a transport problem, with ``data-swref-live="falling"``, ``planes``, ``needles`` or ``circle`` for another picture.
The script is classic, since browsers refuse modules on pages opened from disk, and complete: nothing else is loaded.
``live/`` is outside ``_static``, whose scripts Jupyter Book puts on every page, and outside ``swref``, whose files say
when notebooks must run again.
"""

import re
from pathlib import Path

LIVE = Path(__file__).resolve().parents[2] / "live"
MARK = "data-swref-live"
EXPORT = re.compile(r"^export (?=(?:class|const|function) (\w+))", re.MULTILINE)
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";\n', re.MULTILINE)


def modules(name="page.js", done=()):
    """File names in the order in which they must run: each after what it imports."""
    for imported in IMPORT.findall((LIVE / name).read_text(encoding="utf-8")):
        if imported not in done:
            done = modules(imported, done)
    return (*done, name)


def scope(name):
    """A module as a function that answers what it exports: what it keeps to itself may have any name."""
    source = IMPORT.sub("", (LIVE / name).read_text(encoding="utf-8"))
    exported = ", ".join(EXPORT.findall(source))
    body = EXPORT.sub("", source)
    return f"const {{ {exported} }} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"


def bundle():
    """The modules as one script, in a function of its own; what modules export must have different names."""
    return f'(() => {{\n"use strict";\n{"".join(map(scope, modules()))}}})();\n'


def write(app):
    """Before pages are written, so that their links carry the files' checksums."""
    if app.builder.format == "html":
        static = Path(app.outdir) / "_static"
        static.mkdir(parents=True, exist_ok=True)
        (static / "live.js").write_text(bundle(), encoding="utf-8")
        (static / "live.css").write_text((LIVE / "live.css").read_text(encoding="utf-8"), encoding="utf-8")


def add_script(app, pagename, templatename, context, doctree):
    if MARK in context.get("body", ""):
        app.add_js_file("live.js", loading_method="defer")
        app.add_css_file("live.css")


def setup(app):
    app.connect("builder-inited", write)
    app.connect("html-page-context", add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
