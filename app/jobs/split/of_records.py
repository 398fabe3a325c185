"""Items of SDF and MOL2: records that a line with a mark ends, or begins."""

from collections.abc import Iterator
from mmap import mmap

from app.formats import mol2
from app.formats.sdf import reader as sdf
from app.jobs.parts import Item, PartLimits
from app.jobs.split.lines import BEGINNING, BOM

END = sdf.END.encode()
MARK = mol2.MARK.encode()


def sdf_items(data: mmap, limits: PartLimits) -> Iterator[Item]:
    """Records of an SDF, each with the line that ends it.

    Raises:
        StructureTooLarge: a record is over the limit.
    """
    start = lines = count = 0
    while start < len(data):
        found = _line(data, END, start, limits, count)
        stop = len(data) if found is None else _end(data, found)
        text = data[start:stop]
        if found is None and not text.strip():
            return
        yield Item(start, stop, lines)
        start, lines, count = stop, lines + text.count(b"\n"), count + 1


def mol2_items(data: mmap, limits: PartLimits) -> Iterator[Item]:
    """Molecules of a MOL2, each from the line that begins it; what stands before the first is none's.

    Raises:
        StructureTooLarge: a molecule is over the limit.
    """
    start = _molecule(data, 0, limits, 0)
    lines, count = data[: start or 0].count(b"\n"), 0
    while start is not None:
        following = _molecule(data, start + 1, limits, count)
        stop = len(data) if following is None else following
        yield Item(start, stop, lines)
        lines += data[start:stop].count(b"\n")
        start, count = following, count + 1


def _molecule(data: mmap, start: int, limits: PartLimits, number: int) -> int | None:
    """Where the next molecule begins."""
    found = _line(data, MARK, start, limits, number)
    while found is not None:
        name = data[found + len(MARK) : min(_end(data, found), found + BEGINNING)]
        if name.strip().upper() == b"MOLECULE":
            return found
        found = _line(data, MARK, found + 1, limits, number)
    return None


def _line(data: mmap, mark: bytes, start: int, limits: PartLimits, number: int) -> int | None:
    """Where the next line begins that begins with a mark; None where there is none.

    Raises:
        StructureTooLarge: it is not there within the size of a structure.
    """
    if start <= len(BOM) and data[: len(BOM) + len(mark)].removeprefix(BOM).startswith(mark):
        first = 0 if data[: len(mark)] == mark else len(BOM)
        if start <= first:
            return first
    found = data.find(b"\n" + mark, max(0, start - 1), start + limits.structure_bytes)
    if found < 0:
        limits.check_size(number, len(data) - start)
        return None
    return found + 1


def _end(data: mmap, start: int) -> int:
    """The byte after the end of a line."""
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end + 1
