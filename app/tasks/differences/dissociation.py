"""Dissociation of bonds: into radicals, or into ions."""

from collections.abc import Iterator, Sequence

import numpy as np

from app.atoms.structure import Booleans, Structure
from app.errors import InvalidRequest, InvalidStructure, UnsupportedCharge
from app.relax.bonds import joined, kinds_of
from app.tasks.asking import Asking
from app.tasks.conformers.conformers import molecule_of
from app.tasks.differences.forms import Found
from app.tasks.differences.options import EnergiesOfOptions
from app.tasks.differences.parts import (
    Asked,
    Difference,
    Part,
    difference,
    failed,
    found,
    of_atoms,
    of_relaxed,
)

WHOLE = "molecule"
BARE = UnsupportedCharge(
    "a bare proton, whose energy no model knows: it is another one in each method, and not 0"
)


async def dissociation(asking: Asking, structure: Structure, options: EnergiesOfOptions) -> Found:
    """Energies of the parts that bonds leave, above that of the molecule.

    Raises:
        InvalidStructure: it repeats, a bond is in a ring or none, or there is no bond to look at.
        InvalidRequest: bonds are not stated, and there is no RDKit that tells single ones.
        NotConverged: the molecule has no minimum.
    """
    if structure.pbc.any():
        raise InvalidStructure("the structure repeats (pbc); bonds are those of molecules")
    bonds = await _bonds(asking, structure, options)
    whole, doubts = await asking.minimum(structure, options.relaxation, asking.course)
    minimum = whole.structure
    pieces = {bond: _sides(joined(minimum), bond) for bond in bonds}
    splits = {
        bond: list(_splits(minimum, sides, options.cleavage == "heterolytic"))
        for bond, sides in pieces.items()
    }
    asked: dict[str, Asked] = {}
    for bond, sides in pieces.items():
        for charges in splits[bond]:
            for atoms, charge in zip(sides, charges, strict=True):
                name = _name(minimum, atoms, charge)
                asked[name] = Asked(name, of_atoms(minimum, atoms, charge), True, atoms)
    protons = [each for each in asked.values() if _is_proton(each.structure)]
    rest = [each for each in asked.values() if not _is_proton(each.structure)]
    parts = [
        of_relaxed(WHOLE, whole, doubts),
        *(failed(each, BARE) for each in protons),
        *await found(asking, rest, options.relaxation),
    ]
    differences = [_lowest(minimum, bond, pieces[bond], splits[bond], parts) for bond in bonds]
    return differences, parts, whole, doubts


def check_bonds(structure: Structure, bonds: Sequence[tuple[int, int]]) -> None:
    """Whether the structure has these bonds, and falls into two parts without one of them.

    Raises:
        InvalidStructure: it does not.
    """
    bonded = joined(structure)
    for i, j in bonds:
        if not (0 <= i < len(structure) and 0 <= j < len(structure)) or i == j:
            raise InvalidStructure(
                f"bonds: {i}-{j}; expected two of the atoms 0 to {len(structure) - 1}"
            )
        if not bonded[i, j]:
            raise InvalidStructure(f"bonds: atoms {i} and {j} are too far apart for a bond")
        if _sides(bonded, (i, j))[1] == _sides(bonded, (i, j))[0]:
            raise InvalidStructure(f"bonds: {i}-{j} is in a ring, and leaves no two parts")


async def _bonds(
    asking: Asking, structure: Structure, options: EnergiesOfOptions
) -> list[tuple[int, int]]:
    """Those that are looked at; the lower atom first."""
    if options.bonds is not None:
        check_bonds(structure, options.bonds)
        return [(min(bond), max(bond)) for bond in options.bonds]
    bonded = joined(structure)
    if asking.chemist is None:
        raise InvalidRequest("bonds: state them; there is no RDKit here that tells single ones")
    told = await asking.chemist({"do": "bonds", **molecule_of(asking, structure)}, "bonds")
    kinds, seen = kinds_of(structure), dict[tuple[int, int], tuple[int, int]]()
    for kind, i, j in told["bonds"]:
        sides = _sides(bonded, (i, j))
        if kind == 1 and bonded[i, j] and sides[0] != sides[1]:
            alike = (min(kinds[i], kinds[j]), max(kinds[i], kinds[j]))
            seen.setdefault(alike, (min(i, j), max(i, j)))
    if not seen:
        raise InvalidStructure("the molecule has no single bond outside of rings; state bonds")
    return list(seen.values())[: options.most]


def _sides(bonded: Booleans, bond: tuple[int, int]) -> tuple[list[int], list[int]]:
    """Atoms on each side of a bond; the same ones where it is in a ring."""
    from scipy.sparse.csgraph import connected_components

    i, j = bond
    cut = bonded.copy()
    cut[i, j] = cut[j, i] = False
    part_of = connected_components(cut, directed=False)[1]
    return (
        np.flatnonzero(part_of == part_of[i]).tolist(),
        np.flatnonzero(part_of == part_of[j]).tolist(),
    )


def _splits(
    structure: Structure, sides: tuple[list[int], list[int]], ions: bool
) -> Iterator[tuple[int, int]]:
    """Charges of the two sides: of radicals each has an odd number of electrons, of ions an even one;
    those with the least charges.
    """
    total = structure.charge
    protons = [int(structure.numbers[side].sum()) for side in sides]
    most = abs(total) + 1
    fitting = [
        (q, total - q)
        for q in range(-most, most + 1)
        if all(
            (z - c) % 2 == (not ions) and z >= c
            for z, c in zip(protons, (q, total - q), strict=True)
        )
    ]
    least = min((abs(a) + abs(b) for a, b in fitting), default=0)
    yield from (split for split in fitting if abs(split[0]) + abs(split[1]) == least)


def _lowest(
    structure: Structure,
    bond: tuple[int, int],
    sides: tuple[list[int], list[int]],
    splits: list[tuple[int, int]],
    parts: list[Part],
) -> Difference:
    """The difference of the charges that take the least energy."""
    symbols = structure.symbols
    name = f"{bond[0]}-{bond[1]} ({symbols[bond[0]]}-{symbols[bond[1]]})"
    if not splits:
        told = "no charges of the two parts fit; ask for the other cleavage"
        return Difference(name=name, plus=[], minus=[WHOLE], error=told)
    found = [
        difference(
            name,
            parts,
            [_name(structure, atoms, q) for atoms, q in zip(sides, charges, strict=True)],
            [WHOLE],
        )
        for charges in splits
    ]
    bare = [each for each in found if str(BARE) in (each.error or "")]
    return min(bare or found, key=lambda d: np.inf if d.energy_eV is None else d.energy_eV)


def _name(structure: Structure, atoms: list[int], charge: int) -> str:
    """By which a part is known: its atoms, and its charge where it has one."""
    told = (
        ",".join(map(str, atoms))
        if len(atoms) <= len(structure) // 2
        else "all but " + ",".join(map(str, sorted(set(range(len(structure))) - set(atoms))))
    )
    return f"{told}{f' ({charge:+d})' if charge else ''}"


def _is_proton(structure: Structure) -> bool:
    """Whether it has no electrons, and no energy."""
    return len(structure) == 1 and int(structure.numbers[0]) == structure.charge
