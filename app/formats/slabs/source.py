"""Where the atoms of a long structure come from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from app.atoms.regions import Whole
from app.atoms.structure import Booleans, Floats, Integers, Structure
from app.errors import InvalidFormat

SLAB = 100_000
"""Atoms that are read and written together."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What a file says of all atoms.

    Attributes:
        n_atoms: how many there are.
        cell: (3, 3), Å, rows are lattice vectors; zeros along directions without one.
        pbc: (3,) whether it repeats along each.

    Raises:
        InvalidStructure: no such cell.
        InvalidFormat: no atoms.
    """

    n_atoms: int
    cell: Floats
    pbc: Booleans

    def __post_init__(self) -> None:
        if self.n_atoms < 1:
            raise InvalidFormat(f"{self.n_atoms} atoms; at least one is needed")
        Structure([1], [[0.0, 0.0, 0.0]], self.cell, self.pbc)  # type: ignore[arg-type]

    @property
    def whole(self) -> Whole:
        """What the parts of the structure know of it."""
        return Whole(self.n_atoms, self.cell, self.pbc)


class Slab(NamedTuple):
    """Some atoms, in the order of the file.

    Attributes:
        numbers: (n,) atomic numbers.
        positions: (n, 3), Å.
    """

    numbers: Integers
    positions: Floats


class Source(Protocol):
    """A long structure, of which a slab at a time is read."""

    @property
    def head(self) -> Head:
        """What it says of all atoms."""
        ...

    def slabs(self) -> Iterator[Slab]:
        """All atoms, from the first one, each time it is asked for.

        Raises:
            InputError: what is no structure; names file, line or atom.
        """
        ...


def open_source(path: Path, kind: str | None = None) -> Source:
    """A file or folder of one long structure.

    Args:
        path: `*.columns` is a folder of columns, `*.data`, `*.lammps` and `*.lmp` are LAMMPS data, all
            else extXYZ.
        kind: `columns`, `lammps-data` or `xyz`, in the place of what the name says.

    Raises:
        InvalidFormat: it cannot be read; says why.
    """
    from app.formats.slabs.columns import SUFFIX, Columns
    from app.formats.slabs.extxyz import ExtXyz
    from app.formats.slabs.lammps_data import SUFFIXES, LammpsData

    name = path.name.lower()
    kind = kind or (
        "columns" if name.endswith(SUFFIX) else "lammps-data" if name.endswith(SUFFIXES) else "xyz"
    )
    kinds: dict[str, Callable[[Path], Source]] = {
        "columns": Columns,
        "lammps-data": LammpsData,
        "xyz": ExtXyz,
    }
    if kind not in kinds:
        raise InvalidFormat(
            f"{path}: format '{kind}' is not read slab by slab; choose one of: {', '.join(kinds)}"
        )
    try:
        return kinds[kind](path)
    except OSError as error:
        raise InvalidFormat(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidFormat(
            f"{path}: no text at byte {error.start}; if it is compressed, unpack it first"
        ) from None
