"""Tables of QM9 with a row a molecule, total energies in Hartree and geometries in Å.

Two layouts have geometries: the tables of `qm9pack`, with columns `Elements` and `XYZ_Ang`; and
that of MoleculeNet, `gdb9.sdf` with `gdb9.sdf.csv` beside it. MoleculeNet's `qm9.csv` has SMILES
only.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import ArrayLike

from app.atoms.structure import Structure
from app.errors import InputError, InvalidData
from app.formats.registry import iter_frames
from app.training.data.config import Source
from app.training.data.frames import Geometry

PACKED = {
    "U0": "InternalEnergy_0K_au",
    "U": "InternalEnergy_298K_au",
    "H": "Enthalphy_298K_au",
    "G": "GibbsFreeEnergy_298K_au",
}
"""Columns of the total energies in the tables of `qm9pack`."""
MOLECULE_NET = {"U0": "u0", "U": "u298", "H": "h298", "G": "g298"}
"""The same in MoleculeNet's; its `u0_atom` and others are atomization energies in kcal/mol, and not
read.
"""
OPEN = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


class Molecule(NamedTuple):
    """A molecule of QM9.

    Attributes:
        number: its number in QM9, from 1.
        smiles: as the file writes it; empty where it does not.
        geometry: in Å.
        energy: Hartree, total.
    """

    number: int
    smiles: str
    geometry: Geometry
    energy: float


def read_table(source: Source, path: Path) -> Iterator[Molecule]:
    """The molecules of a table, in its order.

    Raises:
        InvalidData: naming file and line; or a table without geometries.
    """
    layout = _molecule_net if path.suffix.lower() == ".sdf" else _packed
    try:
        yield from layout(source, path)
    except (OSError, UnicodeDecodeError, csv.Error, InputError) as error:
        raise InvalidData(f"{source.path}: cannot be read: {error}") from error


def open_molecule(numbers: ArrayLike, positions: ArrayLike) -> Geometry:
    """The geometry of a molecule without a box: (N,) atomic numbers, (N, 3) positions in Å."""
    return Geometry(numbers, positions, OPEN, (False, False, False))


def _packed(source: Source, path: Path) -> Iterator[Molecule]:
    energy = PACKED[source.keys.energy or "U0"]
    for line, row in _rows(source, path, ("Index", "Elements", "XYZ_Ang", energy)):
        try:
            numbers = [
                atomic_numbers[symbol] for symbol in json.loads(row["Elements"].replace("'", '"'))
            ]
            text = row["XYZ_Ang"].translate({ord("["): None, ord("]"): None})
            positions = np.array(text.split(","), dtype=np.float64).reshape(-1, 3)
            smiles = row.get("SMILES", "")
            yield Molecule(
                int(row["Index"]), smiles, open_molecule(numbers, positions), float(row[energy])
            )
        except (ValueError, LookupError, TypeError) as error:
            raise InvalidData(f"{source.path}, line {line}: not a row of QM9: {error}") from error


def _molecule_net(source: Source, path: Path) -> Iterator[Molecule]:
    energy = MOLECULE_NET[source.keys.energy or "U0"]
    table = path.with_name(f"{path.name}.csv")
    if not table.exists():
        raise InvalidData(
            f"{source.path}: its energies are in {table.name}, which is not beside it"
        )
    frames = list(iter_frames(path.read_bytes(), "sdf"))
    rows = list(_rows(source, table, ("mol_id", energy)))
    if len(rows) != len(frames):
        raise InvalidData(
            f"{source.path}: {len(frames)} molecules, but {len(rows)} rows in {table.name}"
        )
    for frame, (line, row) in zip(frames, rows, strict=True):
        at = f"{source.path}, line {line} of {table.name}"
        if not isinstance(frame.structure, Structure):
            raise InvalidData(f"{at}: {row['mol_id']}: {frame.structure}")
        if frame.id != row["mol_id"]:
            raise InvalidData(
                f"{at}: {row['mol_id']}, but the molecule in this place is {frame.id}"
            )
        try:
            number, value = int(row["mol_id"].removeprefix("gdb_")), float(row[energy])
        except (ValueError, TypeError) as error:
            raise InvalidData(f"{at}: not a row of QM9: {error}") from error
        yield Molecule(
            number, "", open_molecule(frame.structure.numbers, frame.structure.positions), value
        )


def _rows(
    source: Source, path: Path, needed: tuple[str, ...]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a table, with the numbers of their lines."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing and {"XYZ_Ang", "Elements"} & set(missing):
            raise InvalidData(
                f"{source.path}: no columns Elements and XYZ_Ang: a table without geometries cannot be trained on; "
                "MoleculeNet's geometries are in gdb9.sdf, so give the path of that"
            )
        if missing:
            raise InvalidData(f"{source.path}: {path.name} has no column {missing[0]}")
        yield from ((reader.line_num, row) for row in reader)
