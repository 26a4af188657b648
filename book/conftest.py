"""`pytest --nbval-lax book` runs notebooks with the hidden cells that ask for the numbers in their text."""

from collections import defaultdict

from nbval.plugin import IPyNbCell, IPyNbFile
from swref_numbers import ask

collect = IPyNbFile.collect


def collect_numbers_too(page):
    own = {item.cell.id: item for item in collect(page)}  # which reads page.nb
    for number, cell in enumerate(cell for cell in ask(page.nb).cells if cell.cell_type == "code"):
        asked = {"name": cell.id, "cell_num": number, "cell": cell, "options": defaultdict(bool)}
        yield own.get(cell.id) or IPyNbCell.from_parent(page, **asked)


IPyNbFile.collect = collect_numbers_too
