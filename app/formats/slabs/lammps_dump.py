"""LAMMPS dumps from slabs, which hold forces and energies of atoms: https://docs.lammps.org/dump.html."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.atoms.structure import Floats, Structure
from app.errors import InvalidRequest
from app.formats.extxyz.writer import format_frame
from app.formats.slabs.source import Head, Slab

SUFFIXES = (".dump", ".lammpstrj")
NAMES = {
    "species": "element",
    "pos": "xu yu zu",
    "forces": "fx fy fz",
    "energies": "c_energy",
}
"""Columns, by their names in extXYZ; Å, eV/Å and eV, as in the units `metal`."""
Atoms: TypeAlias = Callable[[], Iterable[Slab]]
Predicted: TypeAlias = Iterable[tuple[Slab, Mapping[str, NDArray[Any]]]]


def check_box(head: Head) -> None:
    """Whether the cell of a structure can be a box of LAMMPS.

    Raises:
        InvalidRequest: some directions have a lattice vector and others none, or the three are
            left-handed.
    """
    vectors = int(head.cell.any(axis=1).sum())
    if vectors not in (0, 3):
        raise InvalidRequest(
            f"a LAMMPS box has three vectors, and the structure has {vectors}; state a cell with "
            "three, or write *.xyz or *.columns"
        )
    if np.linalg.det(head.cell) < 0.0:
        raise InvalidRequest(
            "the vectors of a LAMMPS box are right-handed, and those of the structure are left-handed; "
            "exchange two of them, or write *.xyz or *.columns"
        )


def write_lammps_dump(path: Path, head: Head, atoms: Atoms, predicted: Predicted) -> None:
    """Write one snapshot; atoms keep their order as `id`, types are those of the elements in the order
    of their atomic numbers, and positions are not wrapped.

    Args:
        path: of the file.
        head: of all atoms.
        atoms: all in their order; asked for again, since types and a box that encloses atoms without
            a cell stand before them.
        predicted: the same, and by name what is predicted for each.

    Raises:
        InvalidRequest: as `check_box`.
    """
    check_box(head)
    box, types = _box(head, atoms), _types(atoms())
    with path.open("w", encoding="utf-8") as file:
        file.write(
            f"ITEM: UNITS\nmetal\nITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{head.n_atoms}\n"
        )
        file.write(box)
        number = 0
        for slab, values in predicted:
            text = format_frame(Structure(slab.numbers, slab.positions), values)
            _, comment, rows = text.rstrip("\n").split("\n", 2)
            if not number:
                file.write(f"ITEM: ATOMS id type {' '.join(_columns(comment))}\n")
            for kind, row in zip(slab.numbers.tolist(), rows.split("\n"), strict=True):
                number += 1
                file.write(f"{number} {types[kind]} {row}\n")


def _columns(comment: str) -> Iterator[str]:
    """Of the rows of a frame, by the comment line of extXYZ."""
    said = next(word for word in comment.split() if word.startswith("Properties="))
    return map(NAMES.__getitem__, said.partition("=")[2].split(":")[::3])


def _types(slabs: Iterable[Slab]) -> dict[int, int]:
    """From 1, by atomic number."""
    found: set[int] = set()
    for slab in slabs:
        found.update(np.unique(slab.numbers).tolist())
    return {number: kind for kind, number in enumerate(sorted(found), 1)}


def _box(head: Head, atoms: Atoms) -> str:
    """Its lines: of an orthogonal box, of a restricted triclinic one, or of a general one."""
    ends = " ".join("pp" if periodic else "ff" for periodic in head.pbc)
    if not head.cell.any():
        low, high = _extent(atoms())
        return _lines(f"ITEM: BOX BOUNDS {ends}", np.column_stack([low, high]))
    if np.count_nonzero(head.cell - np.diag(np.diag(head.cell))) == 0 and head.cell.min() >= 0:
        edges = np.column_stack([np.zeros(3), np.diag(head.cell)])
        return _lines(f"ITEM: BOX BOUNDS {ends}", edges)
    if not np.triu(head.cell, 1).any() and np.diag(head.cell).min() > 0:
        return _lines(f"ITEM: BOX BOUNDS xy xz yz {ends}", _restricted(head.cell))
    origin = np.zeros((3, 1))
    return _lines(f"ITEM: BOX BOUNDS abc origin {ends}", np.hstack([head.cell, origin]))


def _restricted(cell: Floats) -> Floats:
    """Bounds of what encloses a box with tilt factors, and the factors: (3, 3)."""
    tilts = np.array([cell[1, 0], cell[2, 0], cell[2, 1]])
    corners = np.array([0.0, tilts[0], tilts[1], tilts[0] + tilts[1]])
    low = np.array([corners.min(), min(0.0, tilts[2]), 0.0])
    high = np.diag(cell) + np.array([corners.max(), max(0.0, tilts[2]), 0.0])
    bounds: Floats = np.column_stack([low, high, tilts])
    return bounds


def _extent(slabs: Iterable[Slab]) -> tuple[Floats, Floats]:
    ends = [
        (slab.positions.min(axis=0), slab.positions.max(axis=0))
        for slab in slabs
        if len(slab.numbers)
    ]
    low = np.min([each for each, _ in ends], axis=0)
    return low, np.maximum(np.max([each for _, each in ends], axis=0), low + 1.0)


def _lines(title: str, rows: Floats) -> str:
    return "".join(chain([f"{title}\n"], (" ".join(map(repr, r)) + "\n" for r in rows.tolist())))
