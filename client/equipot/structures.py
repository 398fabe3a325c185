"""What may be asked about, as items of a request: ASE's atoms, pymatgen's structures, RDKit's
molecules, files, SMILES, and the service's own fields.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from equipot.arrays import shown
from equipot.errors import InvalidRequest, InvalidStructure, ServiceError
from equipot.files import format_of, records

if TYPE_CHECKING:
    from ase import Atoms

    AnyStructure: TypeAlias = (
        "Atoms | Smiles | Path | str | Mapping[str, Any] | Any"  # of pymatgen and RDKit
    )
else:
    AnyStructure: TypeAlias = Any

CHARGE, MULTIPLICITY = "charge", "multiplicity"
"""Keys of `Atoms.info`."""
OTHER_KEYS = frozenset(
    {
        *("total_charge", "net_charge", "formal_charge", "molecular_charge", "q", "qtot", "chrg"),
        *("spin", "mult", "spin_multiplicity", "total_spin", "spin_state", "uhf", "unpaired"),
        *("unpaired_electrons", "magmom", "total_magmom", "units", "length_unit"),
    }
)
"""Keys of `Atoms.info`, in lower case, that say something of charge, spin or units in another way."""


@dataclass(frozen=True, slots=True)
class Smiles:
    """A molecule by its SMILES; the service makes its geometry.

    Attributes:
        text: one word.
        conformers: how many; each has a result.
        seed: of random numbers; the same, the same geometries.
        id: comes back with the result, as `id:0`, `id:1`, … of several conformers.
    """

    text: str
    conformers: int = 1
    seed: int = 1
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a request.

    Attributes:
        fields: as the service takes them.
        single: whether it has exactly one result.
        error: why it cannot be sent; its result.
    """

    fields: Mapping[str, Any] = field(repr=False)
    single: bool = True
    error: ServiceError | None = None


def items_of(structures: AnyStructure | Iterable[AnyStructure]) -> Iterator[Item]:
    """One structure, or many, as items; a file of many is many. What cannot be sent has its error.

    Raises:
        TypeError: something that is no structure.
        FileNotFoundError: no such file.
    """
    is_many = isinstance(structures, Iterable) and not is_one(structures)
    many: Any = structures if is_many else [structures]
    for structure in many:
        yield from items_of_one(structure)


def items_of_one(structure: AnyStructure) -> Iterator[Item]:
    """See `items_of`."""
    try:
        yield from _items(structure)
    except ServiceError as error:
        yield Item({}, error=error)


def end_points(ends: Any) -> list[Mapping[str, Any]]:
    """Ends of paths, one or many, as options of a task hold them: ASE's atoms, or fields.

    Raises:
        InvalidRequest: something else.
        InvalidStructure: see `item_of_atoms`.
    """
    if is_one(ends):
        return [_end_point(ends, "ends")]
    if not isinstance(ends, Iterable):
        raise _no_end(ends, "ends")
    return [_end_point(end, f"ends.{number}") for number, end in enumerate(ends)]


def _no_end(end: Any, where: str) -> InvalidRequest:
    return InvalidRequest(
        "invalid_request",
        f"{where}: {shown(end)} is no end of a path that can be sent; state ASE Atoms, or a dict with "
        "symbols and positions, or several of them",
    )


def _end_point(end: Any, where: str) -> Mapping[str, Any]:
    if isinstance(end, Mapping):
        return end
    if not _is_ase(end):
        raise _no_end(end, where)
    fields: dict[str, Any] = {
        "symbols": end.get_chemical_symbols(),
        "positions": end.positions.tolist(),
    }
    if end.pbc.any():
        fields |= {"cell": np.asarray(end.cell).tolist(), "pbc": end.pbc.tolist()}
    return fields | state_of(end) | _fixed(end)


def is_one(structures: Any) -> bool:
    """Whether it is one structure, and not many."""
    return (
        isinstance(structures, str | os.PathLike | Mapping | Smiles)
        or _is_ase(structures)
        or _is_rdkit(structures)
        or _is_pymatgen(structures)
    )


def item_of_atoms(atoms: "Atoms") -> Item:
    """Atoms of ASE, with the charge and multiplicity that they state.

    The charge is that of `info["charge"]`, else the sum of the initial charges; `info["multiplicity"]`,
    else one more than the sum of the initial magnetic moments.

    Raises:
        InvalidStructure: charge or multiplicity is no whole number, or is stated under another key;
            sites that are occupied in part; a constraint other than `FixAtoms`.
    """
    return Item(fields_of(atoms) | _fixed(atoms) | _id(atoms.info.get("id")))


def state_of(atoms: "Atoms") -> dict[str, int]:
    """Charge and multiplicity that atoms state, as fields.

    Raises:
        InvalidStructure: see `item_of_atoms`.
    """
    for key in atoms.info:
        if str(key).lower() in OTHER_KEYS:
            raise InvalidStructure(
                "invalid_structure",
                f"info['{key}']: its meaning is not clear; state info['charge'] and "
                "info['multiplicity'] instead, in Å and elementary charges",
            )
    stated = {
        name: _whole(f"info['{name}']", atoms.info[name])
        for name in (CHARGE, MULTIPLICITY)
        if atoms.info.get(name) is not None
    }
    if CHARGE not in stated and atoms.has("initial_charges"):
        charges = atoms.get_initial_charges()
        stated[CHARGE] = _whole("sum of the initial charges", float(np.sum(charges)))
    if MULTIPLICITY not in stated and atoms.has("initial_magmoms"):
        moments = np.asarray(atoms.get_initial_magnetic_moments())
        if moments.any():
            unpaired = abs(float(moments.sum()))
            stated[MULTIPLICITY] = _whole("sum of the initial magnetic moments", unpaired) + 1
    return stated


def _items(structure: AnyStructure) -> Iterator[Item]:
    if isinstance(structure, Smiles):
        yield _of_smiles(structure)
    elif isinstance(structure, str | os.PathLike):
        yield from _of_text(structure)
    elif isinstance(structure, Mapping):
        yield Item(structure, "content" not in structure and structure.get("conformers", 1) == 1)
    elif _is_ase(structure):
        yield item_of_atoms(structure)
    elif _is_rdkit(structure):
        yield from _of_rdkit(structure)
    elif _is_pymatgen(structure):
        yield _of_pymatgen(structure)
    else:
        raise TypeError(
            f"a {type(structure).__name__} is no structure that can be sent; send ASE Atoms, a "
            "pymatgen Structure or Molecule, an RDKit molecule, a file name, a SMILES, or a dict of "
            "the service's fields"
        )


def _of_text(text: "str | os.PathLike[str]") -> Iterator[Item]:
    """A file, where there is one or the name says so; else a SMILES."""
    path = Path(text)
    kind = format_of(path)
    if isinstance(text, str) and kind is None and not path.is_file():
        yield _of_smiles(Smiles(text))
        return
    one_each = kind in ("sdf", "xyz", "smiles")
    for fields in records(path, kind):
        yield Item(fields, one_each)


def _of_smiles(smiles: Smiles) -> Item:
    many = {"conformers": smiles.conformers} if smiles.conformers != 1 else {}
    fields = {"smiles": smiles.text, "seed": smiles.seed, **many, **_id(smiles.id)}
    return Item(fields, smiles.conformers == 1)


def fields_of(atoms: "Atoms") -> dict[str, Any]:
    """What atoms are, without names and constraints.

    Raises:
        InvalidStructure: see `item_of_atoms`.
    """
    _refuse_partial(atoms)
    _warn_of_masses(atoms)
    fields: dict[str, Any] = {"numbers": atoms.numbers, "positions": atoms.positions}
    if atoms.cell.any():
        fields["cell"] = np.asarray(atoms.cell)
    if atoms.pbc.any() or "cell" in fields:
        fields["pbc"] = atoms.pbc.tolist()
    return fields | state_of(atoms)


def _refuse_partial(atoms: "Atoms") -> None:
    """Refuse sites that ASE's readers take for full ones, though the file says otherwise."""
    occupancy = atoms.info.get("occupancy")
    for site, species in occupancy.items() if isinstance(occupancy, dict) else ():
        for symbol, share in species.items() if isinstance(species, dict) else ():
            if share < 1:
                raise InvalidStructure(
                    "invalid_structure",
                    f"site {site}: {symbol} with an occupancy of {share}; make a structure of whole "
                    "atoms first",
                )


def _warn_of_masses(atoms: "Atoms") -> None:
    if atoms.has("masses"):
        warnings.warn(
            "the masses of the atoms are not sent: isotopes are computed as their elements; energies and "
            "forces do not depend on masses, dynamics, frequencies and thermochemistry do",
            stacklevel=2,
        )


def _fixed(atoms: "Atoms") -> dict[str, Any]:
    fixed: set[int] = set()
    for constraint in atoms.constraints:
        if type(constraint).__name__ != "FixAtoms":
            raise InvalidStructure(
                "invalid_structure",
                f"constraint {type(constraint).__name__}: only whole atoms can be fixed (FixAtoms); "
                "remove the others",
            )
        fixed.update(np.arange(len(atoms))[constraint.index].tolist())
    return {"fixed": sorted(fixed)} if fixed else {}


def _of_pymatgen(structure: Any) -> Item:
    """A `Structure` or a `Molecule`."""
    if not structure.is_ordered:
        raise InvalidStructure(
            "invalid_structure", "sites are occupied in part; make a structure of whole atoms first"
        )
    fields: dict[str, Any] = {
        "symbols": [site.specie.symbol for site in structure],
        "positions": np.asarray(structure.cart_coords),
    }
    if hasattr(structure, "lattice"):
        fields["cell"] = np.asarray(structure.lattice.matrix)
        fields["pbc"] = [bool(axis) for axis in structure.lattice.pbc]
        charge, multiplicity = structure.charge, None
    else:
        charge, multiplicity = structure.charge, structure.spin_multiplicity
    if charge:
        fields[CHARGE] = _whole("charge", charge)
    if multiplicity is not None:
        fields[MULTIPLICITY] = _whole("spin_multiplicity", multiplicity)
    return Item(fields)


def _of_rdkit(molecule: Any) -> Iterator[Item]:
    """A molecule with its conformers, each an item; the service makes one where there is none."""
    from rdkit import Chem

    named = _id(molecule.GetProp("_Name") if molecule.HasProp("_Name") else None)
    if not molecule.GetNumConformers():
        yield Item({"smiles": Chem.MolToSmiles(Chem.RemoveHs(molecule)), **named})
        return
    if Chem.AddHs(molecule).GetNumAtoms() != molecule.GetNumAtoms():
        raise InvalidStructure(
            "invalid_structure",
            "the molecule has hydrogens that are not among its atoms; add them with "
            "Chem.AddHs(molecule, addCoords=True)",
        )
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
    state = {CHARGE: Chem.GetFormalCharge(molecule)}
    if unpaired:
        state[MULTIPLICITY] = unpaired + 1
    for conformer in molecule.GetConformers():
        yield Item({"numbers": numbers, "positions": conformer.GetPositions(), **state, **named})


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or abs(float(value) - round(float(value))) > 1e-3:
        raise InvalidStructure("invalid_structure", f"{name}: {value!r} is no whole number")
    return round(float(value))


def _id(value: object) -> dict[str, str]:
    return {} if value is None or value == "" else {"id": str(value)}


def _module(value: object) -> str:
    return " ".join(base.__module__ for base in type(value).__mro__)


def _is_ase(value: object) -> bool:
    return any(base.__module__ == "ase.atoms" for base in type(value).__mro__)


def _is_pymatgen(value: object) -> bool:
    return hasattr(value, "cart_coords") and "pymatgen." in _module(value)


def _is_rdkit(value: object) -> bool:
    return hasattr(value, "GetConformers") and "rdkit." in _module(value)
