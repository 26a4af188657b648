"""Write the mathematics macros of _config.yml into the first cell of every notebook.

The built book takes them from _config.yml and drops the cell (tag remove-cell). JupyterLab, which never reads
_config.yml, takes them from the cell and shows nothing in its place.
"""

from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[2]


def macros_cell():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    macros = config["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]
    texts = {name: value if isinstance(value, str) else value[0] for name, value in macros.items()}
    lines = [f"  '\\{name}': '{text}'" for name, text in texts.items()]
    source = "\n".join(["---", "math:", *lines, "---"])
    return nbformat.v4.new_markdown_cell(source, id="macros", metadata={"tags": ["remove-cell"]})


def main():
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        cells = [cell for cell in notebook.cells if cell.id != "macros"]
        if notebook.cells != [macros_cell(), *cells]:
            notebook.cells = [macros_cell(), *cells]
            nbformat.write(notebook, path)
            print(f"macros written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
