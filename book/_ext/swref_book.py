"""What no ready extension gives the book: an honest cache, MathJax from disk, docstrings in plain text."""

import hashlib
import importlib.util
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from sphinx.util import logging
from sphinx.util.fileutil import copy_asset
from swref_numbers import ask

ROOT = Path(__file__).resolve().parents[2]
MATHJAX = "tex-chtml.js"
# What tex-chtml.js can ask for: 1 MB of fonts and TeX packages. The speech engine (4 MB) stays behind.
MATHJAX_PARTS = (MATHJAX, "output/chtml/fonts", "input/tex/extensions")
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
log = logging.getLogger(__name__)


def fingerprint():
    """Hash of what outputs depend on besides the cells themselves: swref, stored figures, pinned packages, Python."""
    files = [p for p in (ROOT / "swref").rglob("*") if p.suffix in (".py", ".js")]
    files += (ROOT / "book" / "_static" / "figures").glob("*.json")
    digest = hashlib.sha256(platform.python_version().encode())
    for path in sorted([*files, ROOT / "requirements.txt"]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def choose_cache(app, config):
    """One execution cache per fingerprint: outputs made with another swref cannot come back."""
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / fingerprint())


def outdated(app, env, added, changed, removed):
    """Pages to read again although their source is the same: all of them when the fingerprint changed."""
    before, env.swref_fingerprint = getattr(env, "swref_fingerprint", None), fingerprint()
    return env.found_docs if before != env.swref_fingerprint else []


def execute_ahead(app):
    """Run the notebooks that the cache lacks, two at a time: myst-nb would run them one after the other.

    myst-nb then finds them in the cache. One that fails is left to it: it runs it again and reports it.
    """
    cache = get_cache(app.config.nb_execution_cache_path)
    todo = []
    for document in app.config.external_site_map:
        path = Path(app.srcdir, document).with_suffix(".ipynb")
        if path.exists():
            notebook = ask(nbformat.read(path, as_version=4))
            try:
                cache.match_cache_notebook(notebook)
            except KeyError:
                todo.append((path, notebook))

    def run(job):
        path, notebook = job
        return single_nb_execution(notebook, str(path.parent), app.config.nb_execution_timeout, allow_errors=False)

    with ThreadPoolExecutor(max_workers=2) as pool:
        for (path, notebook), result in zip(todo, pool.map(run, todo), strict=True):
            log.info("ran %s in %.1f s", path.name, result.time or 0)
            if result.err is None:
                bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    cache.db.dispose()


def drop_widget_state(app, pagename, templatename, context, doctree):
    """Leave out the notebooks' widget state: Explore's static form does not read it."""
    scripts = context.get("script_files", [])
    context["script_files"] = [s for s in scripts if getattr(s, "attributes", {}).get("type") != WIDGET_STATE]


def fill_column(app, doctree):
    """Figures of the text take the whole column, as those of cells do, and so get the link in which they may scroll."""
    for figure in doctree.findall(nodes.figure):
        for image in figure.findall(nodes.image):
            image.setdefault("width", "100%")


def keep_together(app, doctree):
    """A formula and the punctuation after it: browsers would break the line between them."""
    for math in [*doctree.findall(nodes.math)]:
        after = math.next_node(descend=False, siblings=True)
        if isinstance(after, nodes.Text) and (mark := re.match(r"[.,;:!?)’”]+", after)):
            parent, at = math.parent, math.parent.index(math)
            pair = nodes.inline("", "", math, nodes.Text(mark[0]), classes=["together"])
            parent[at : at + 2] = [pair, nodes.Text(after[mark.end() :])]


def escape_docstring(app, what, name, obj, options, lines):
    """Docstrings are plain text with formulas: keep |x|, x* and x_ from being read as markup. Code is indented."""
    for i, line in enumerate(lines):
        if line.startswith("    "):
            continue
        parts = re.split(r"(``.*?``)", line)
        parts[::2] = [re.sub(r"(?<!\\)[|*]|_(?=\W|$)", r"\\\g<0>", part) for part in parts[::2]]
        lines[i] = "".join(parts)


def copy_mathjax(app, error):
    if error is not None or app.builder.format != "html":
        return
    source = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    for part in MATHJAX_PARTS:
        target = Path(app.outdir) / "_static" / "mathjax" / part
        if not target.exists():
            copy_asset(source / part, target if (source / part).is_dir() else target.parent)


def setup(app):
    app.add_config_value("comments_config", {}, "")  # Jupyter Book sets it for sphinx_comments, which is left out
    app.connect("config-inited", choose_cache, priority=0)
    app.connect("builder-inited", execute_ahead, priority=900)
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-read", fill_column)
    app.connect("doctree-read", keep_together)
    app.connect("html-page-context", drop_widget_state, priority=900)
    app.connect("autodoc-process-docstring", escape_docstring, priority=0)
    app.connect("build-finished", copy_mathjax)
    app.config.mathjax_path = f"mathjax/{MATHJAX}"
    app.config.html_static_path.append(str(ROOT / "book" / "_static"))
    app.add_css_file("book.css")
    app.add_js_file("book.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
