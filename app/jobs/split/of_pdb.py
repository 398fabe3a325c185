"""Items of PDB: models, and the cell that holds for those without one of their own."""

from collections.abc import Iterator
from mmap import mmap

from app.jobs.parts import Item, PartLimits
from app.jobs.split.lines import Lines

ATOMS = (b"ATOM", b"HETATM")
CELL = b"CRYST1"
ENDS = (b"MODEL", b"ENDMDL", b"END")


def prefix(data: mmap, limits: PartLimits) -> bytes:
    """The cell that stands before the end of the first model, as each part has it before itself."""
    lines = Lines(data)
    has_atoms = False
    while lines.next() and lines.stop <= limits.structure_bytes:
        record = _record(lines)
        if record == CELL:
            return lines.whole().strip() + b"\nEND\n"
        if has_atoms and record in ENDS:
            break
        has_atoms = has_atoms or record in ATOMS
    return b""


def items(data: mmap, limits: PartLimits) -> Iterator[Item]:
    """Models, each with what stands before it; those that take over the cell of a model before them,
    which is not that of the prefix, are one item with it.
    """
    common = prefix(data, limits).partition(b"\n")[0]
    cell: bytes = common
    pending: Item | None = None
    for model, own in _models(Lines(data)):
        takes_over = own is None and cell != common
        cell = cell if own is None else own
        if pending is None:
            pending = model
        elif takes_over:
            pending = pending._replace(stop=model.stop)
        else:
            yield pending
            pending = model
    if pending is not None:
        yield pending


def _models(lines: Lines) -> Iterator[tuple[Item, bytes | None]]:
    """Models as the reader finds them, and the line of the cell that stands in each."""
    start, first, cell = 0, 0, None
    has_atoms = announced = False
    while lines.next():
        record = _record(lines)
        if record in ATOMS:
            has_atoms = True
        elif record == CELL:
            cell = lines.whole().strip()
        elif record in ENDS:
            is_next = record == b"MODEL"
            if has_atoms or (announced and record != b"END"):
                stop = lines.start if is_next else lines.stop
                yield Item(start, stop, first), cell
                start, first = stop, lines.number + (not is_next)
                has_atoms, cell = False, None
            announced = is_next
    if has_atoms or announced:
        yield Item(start, lines.stop, first), cell


def _record(lines: Lines) -> bytes:
    return lines.beginning()[:6].rstrip().upper()
