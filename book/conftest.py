"""`pytest --nbval-lax book` runs notebooks with the hidden cells that ask for the numbers in their text."""

import sys
from pathlib import Path

import nbval.plugin

sys.path.append(str(Path(__file__).parent / "_ext"))
from swref_numbers import ask


class Page(nbval.plugin.IPyNbFile):
    def collect(self):
        own = {item.cell.id: item for item in super().collect()}  # which reads self.nb
        for number, cell in enumerate(cell for cell in ask(self.nb).cells if cell.cell_type == "code"):
            asked = {"name": cell.id, "cell_num": number, "cell": cell, "options": {"check": False}}
            yield own.get(cell.id) or nbval.plugin.IPyNbCell.from_parent(self, **asked)


nbval.plugin.IPyNbFile = Page
