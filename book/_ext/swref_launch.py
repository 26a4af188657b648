"""Each notebook's page says where it runs: in Colab, on Binder, or from a file to download.

All links follow from one setting, ``repository`` in ``_config.yml``. Colab and the file to download take the notebook
as a reader without the repository needs it: written to ``notebooks/`` of the built book, with a first cell that
installs what is missing, in plain Markdown, and with the book's macros spelled out. Colab finds it on the branch where
the built book is published. Binder takes the repository itself. The file to download is in its link, so that it can be
saved from a page opened from disk as well, where browsers show a linked notebook as text.
"""

import base64
import re
from pathlib import Path

import nbformat
from sphinx.errors import ExtensionError

PLACEHOLDER = "https://github.com/OWNER/swref"  # until the repository has an address
PAGES = "gh-pages"  # the branch of the built book, pushed by .github/workflows/book.yml
INSTALL = """\
# Where swref is missing, as in Colab, this gets the book and installs what its chapters need, in a minute or two.
import importlib.util
from pathlib import Path

if importlib.util.find_spec("swref") is None:
    !git clone --quiet --depth 1 --branch {branch} {url} swref-book
    %pip install --quiet "./swref-book[chapters]"
if Path("swref-book/book").is_dir():
    %cd -q swref-book/book"""


def repository(config):
    """(url, owner/name, branch) as set under ``repository`` in ``_config.yml``."""
    options = config.html_theme_options
    url, branch = options["repository_url"].rstrip("/"), options["repository_branch"]
    if not (found := re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", url)):
        raise ExtensionError(f"_config.yml, repository: url: expected https://github.com/owner/name, got {url!r}")
    return url, found[1], branch


def argument(text, start):
    """(argument, end) of a TeX command, from ``start`` on: what stands in braces, or one character or command."""
    start += len(text[start:]) - len(text[start:].lstrip())
    if text[start] != "{":
        end = start + len(re.match(r"\\[A-Za-z]+|\\?.", text[start:])[0])
        return text[start:end], end
    depth, end = 0, start
    while depth or end == start:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 2 if text[end] == "\\" else 1
    return text[start + 1 : end - 1], end


def spelled_out(text, macros):
    """TeX with the book's macros replaced by what they stand for: a name, or [body, number of arguments]."""
    for name, macro in sorted(macros.items(), key=lambda item: isinstance(item[1], str)):  # first those with arguments
        body, count = (macro, 0) if isinstance(macro, str) else macro
        if body.startswith(r"\math"):
            body = f"{{{body}}}"  # as an exponent it needs braces; an operator would lose its spacing in them
        command = re.compile(rf"\\{name}(?![A-Za-z])")
        while found := command.search(text):
            filled, end = body, found.end()
            for k in range(count):
                one, end = argument(text, end)
                filled = filled.replace(f"#{k + 1}", one)
            text = text[: found.start()] + filled + text[end:]
    return text


FENCE = re.compile(r" *(`{3,}|:{3,})(?:{([\w:-]+)} *(.*))?$")
ROLE = re.compile(r"{([\w:-]+)}`([^`]*)`")
TITLES = {"grid": "", "grid-item-card": "{title}", "dropdown": "{title}", "solution": "Solution"}


def heading(kind, title):
    """What stands for the first line of a directive, in bold."""
    kind = kind.removeprefix("prf:")
    text = TITLES.get(kind, "{kind}" if not title else "{kind}: {title}").format(kind=kind.capitalize(), title=title)
    return f"**{text}**" if text else ""


def readable(text, page):
    """MyST as plain Markdown: directives lose their fences and options, roles keep their text, {doc} becomes a link.

    ``page`` is an address in which {stem} stands for a chapter.
    """
    lines, fences, options = [], [], False
    for line in text.splitlines():
        fence = FENCE.match(line)
        if fence and fence[2]:
            fences.append(fence[1])
            lines += [heading(fence[2], fence[3]), ""]
            options = True
        elif fence and fences and fence[1] == fences[-1]:
            fences.pop()
            lines.append("")
        elif not (options and re.match(r" *:[\w-]+:", line)) and not re.fullmatch(r"\([\w-]+\)=", line):
            options = False
            lines.append(re.sub(r"^\$\$ \([\w-]+\)$", "$$", line))

    def role(found):
        kind, text = found.groups()
        named = re.fullmatch(r"(.*?)\s*<([\w-]+)>", text, flags=re.DOTALL)
        title, target = named.groups() if named else (text, text)
        return f"[{title}]({page.format(stem=target)})" if kind == "doc" else f"`{title}`"

    return re.sub(r"\n{3,}", "\n\n", ROLE.sub(role, "\n".join(lines))).strip("\n")


def portable(notebook, stem, config):
    """The notebook for a reader who has nothing but it: where it is set in type, then how it installs what it needs."""
    url, name, branch = repository(config)
    owner, project = name.split("/")
    page = f"https://{owner.lower()}.github.io/{project}/book/{{stem}}.html"
    macros = config.mathjax3_config["tex"]["macros"]
    address = page.format(stem=stem)
    about = f"This notebook runs as it is. Its page, with theorems and references set in type: [{stem}]({address})."
    cells = [nbformat.v4.new_markdown_cell(about, id="about-this-file")]
    cells += [nbformat.v4.new_code_cell(INSTALL.format(url=url, branch=branch), id="install")]
    for cell in notebook.cells:
        if cell.id != "macros":
            cells.append(cell.copy())
            if cell.cell_type == "markdown":
                cells[-1].source = spelled_out(readable(cell.source, page), macros)
    return nbformat.from_dict({**notebook, "cells": cells})


def line(stem, text, config):
    """The links, as HTML: ``text`` is the portable notebook."""
    url, name, branch = repository(config)
    file = f"{stem}.ipynb"
    data = base64.b64encode(text.encode()).decode()
    waiting = " (both work once the book is published)" if url == PLACEHOLDER else ""
    return (
        f'<p class="launch">Run this page: '
        f'<a href="https://colab.research.google.com/github/{name}/blob/{PAGES}/notebooks/{file}">Colab</a>, '
        f'<a href="https://mybinder.org/v2/gh/{name}/{branch}?urlpath=lab/tree/book/{file}">Binder</a>{waiting}, or '
        f'<a download="{file}" href="data:application/x-ipynb+json;base64,{data}">download the notebook</a>.</p>'
    )


def add_line(app, pagename, templatename, context, doctree):
    """Under the title of a notebook's page: where it runs. The theme's own link, to the bare source, goes."""
    if pagename not in app.env.found_docs or not (path := app.env.doc2path(pagename)).endswith(".ipynb"):
        return
    stem = Path(path).stem
    text = nbformat.writes(portable(nbformat.read(path, as_version=4), stem, app.config))
    folder = Path(app.outdir) / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.ipynb").write_text(text, encoding="utf-8")
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{line(stem, text, app.config)}", 1)
    for group in context["header_buttons"]:
        if group.get("label") == "download-buttons":
            group["buttons"] = [b for b in group["buttons"] if b["label"] != "download-source-button"]


def setup(app):
    app.connect("html-page-context", add_line, priority=900)  # after the theme has made its buttons
    app.add_css_file("front.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
