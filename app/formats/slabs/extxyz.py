"""The first and only frame of an extXYZ file, slab by slab; and a file of one frame from slabs."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from app.atoms.structure import Structure
from app.errors import InvalidFormat
from app.formats.extxyz.comment_line import write_pairs
from app.formats.extxyz.reader import is_count, iter_frames
from app.formats.extxyz.writer import format_frame
from app.formats.slabs.source import SLAB, Head, Slab


class ExtXyz:
    """A file of one frame.

    Args:
        path: of the file, which is not compressed.

    Attributes:
        head: of all atoms.

    Raises:
        InvalidFormat: no such file, or none that begins with a frame.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as lines:
            count, self._comment = lines.readline().strip(), lines.readline()
            if not is_count(count):
                raise InvalidFormat(
                    f"{path}, line 1: '{count[:40]}' is not a number of atoms; only extXYZ that is "
                    "not compressed, LAMMPS data and columns are read slab by slab"
                )
            first = self._structure(int(bool(int(count))), islice(lines, 1), 0)
        self.head = Head(int(count), first.cell, first.pbc)

    def slabs(self) -> Iterator[Slab]:
        """See `Source`."""
        with self._open() as lines:
            for _ in islice(lines, 2):
                pass
            for start in range(0, self.head.n_atoms, SLAB):
                count = min(SLAB, self.head.n_atoms - start)
                slab = self._structure(count, islice(lines, count), start)
                yield Slab(slab.numbers, slab.positions)
            if any(line.strip() for line in lines):
                raise InvalidFormat(
                    f"{self._path}: more follows after {self.head.n_atoms} atoms; one structure is "
                    "read slab by slab, several are files of their own"
                )

    def _open(self) -> TextIO:
        return self._path.open(encoding="utf-8-sig", errors="strict")

    def _structure(self, count: int, rows: Iterable[str], start: int) -> Structure:
        """Some rows as a frame of their own, by the one reader of frames."""
        text = f"{count}\n{self._comment.rstrip()}\n{''.join(rows)}"
        frame = next(iter_frames(text, before=start), None)
        structure = None if frame is None else frame.structure
        if not isinstance(structure, Structure):
            where = f"of the atoms from {start}: " if start else ""
            raise InvalidFormat(f"{self._path}: {where}{structure or 'no frame'}")
        if structure.charge or structure.multiplicity not in (None, 1):
            stated = {"charge": structure.charge, "multiplicity": structure.multiplicity}
            words = " and ".join(f"{name} {value}" for name, value in stated.items() if value)
            raise InvalidFormat(
                f"{self._path}: {words} stated; what is read slab by slab is neutral and has closed "
                "shells; have it answered in memory, into a file *.xyz"
            )
        return structure


def write_extxyz(
    path: Path, head: Head, slabs: Iterable[tuple[Slab, Mapping[str, NDArray[Any]]]], **said: Any
) -> None:
    """Write one frame.

    Args:
        path: of the file.
        head: of all atoms.
        slabs: atoms, and by name what is predicted for each, all in their order.
        said: further pairs of the comment line.
    """
    with path.open("w", encoding="utf-8") as file:
        for index, (slab, values) in enumerate(slabs):
            # the words of a frame without a cell, which is that of the head
            text = format_frame(Structure(slab.numbers, slab.positions), values)
            _, comment, rows = text.split("\n", 2)
            if not index:
                file.write(f"{head.n_atoms}\n{_comment(head, comment, said)}\n")
            file.write(rows)


def _comment(head: Head, comment: str, said: Mapping[str, Any]) -> str:
    properties = next(word for word in comment.split() if word.startswith("Properties="))
    pairs: dict[str, Any] = {"Lattice": head.cell.ravel()} if head.cell.any() else {}
    return " ".join(
        part
        for part in (
            write_pairs(pairs.items()),
            properties,
            write_pairs([("pbc", np.asarray(head.pbc)), *said.items()]),
        )
        if part
    )
