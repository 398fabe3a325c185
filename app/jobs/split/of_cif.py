"""Items of CIF: data blocks with atoms, each with those without that follow."""

import re
from collections.abc import Iterator
from mmap import mmap

from app.jobs.parts import Item, PartLimits
from app.jobs.split.lines import Lines

BLOCK = re.compile(rb"[ \t]*data_", re.IGNORECASE)
ATOMS = re.compile(rb"(?:^|\s)_(?:atom_site[_.]|cell[_.]length)", re.IGNORECASE)
"""Names of which a block has some where the reader makes a structure of it."""


NAMES = 4096
"""Bytes of a line in which they are looked for."""


def items(data: mmap, _: PartLimits) -> Iterator[Item]:
    """Data blocks that begin a line and have atoms; a text between lines that begin with `;` begins
    none.
    """
    lines = Lines(data)
    pending: Item | None = None
    start, first = -1, 0
    has_atoms = in_text = False
    while lines.next():
        line = lines.beginning()
        if line.startswith(b";"):
            in_text = not in_text
        elif not in_text and BLOCK.match(line):
            if has_atoms:
                if pending is not None:
                    yield pending
                pending, start = Item(start, lines.start, first), -1
            if start < 0:
                start, first, has_atoms = lines.start, lines.number, False
        if not in_text and start >= 0 and not has_atoms:
            has_atoms = ATOMS.search(lines.beginning(NAMES)) is not None
    if has_atoms and pending is not None:
        yield pending
    if has_atoms:
        yield Item(start, lines.stop, first)
    elif pending is not None:
        yield pending._replace(stop=lines.stop)
