"""Geometries of one molecule off its minima: turned torsions, stretched and pressed bonds, pieces."""

from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii
from force_field import Array, Bonds, Skipped
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

PRESSED, STRETCHED, BROKEN = (0.6, 0.92), (1.1, 1.7), (1.7, 2.6)
"""Of the length of a bond."""
TORSION = Chem.MolFromSmarts("[*;!$([#1])]~[!$(*#*)&!D1:1]-&!@[!$(*#*)&!D1:2]~[*;!$([#1])]")
ATTEMPTS = 8
CLOSEST = 0.95  # of the sum of covalent radii, between atoms of turned halves


@dataclass(frozen=True)
class Cut:
    """A bond outside of rings, and the side of its second atom.

    Attributes:
        first, second: atoms of the bond.
        side: (N,) whether an atom is on the side of the second one.
        single: whether it is a single bond.
        heavy: whether neither atom is a hydrogen.
    """

    first: int
    second: int
    side: NDArray[np.bool_]
    single: bool
    heavy: bool


def cuts(chemical: Chem.Mol) -> list[Cut]:
    """All bonds outside of rings."""
    found = []
    adjacency = Chem.GetAdjacencyMatrix(chemical).astype(bool)
    for bond in chemical.GetBonds():
        if bond.IsInRing():
            continue
        first, second = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        heavy = min(bond.GetBeginAtom().GetAtomicNum(), bond.GetEndAtom().GetAtomicNum()) > 1
        single = bond.GetBondType() == Chem.BondType.SINGLE
        found.append(Cut(first, second, _side(adjacency, first, second), single, heavy))
    return found


def turned(
    chemical: Chem.Mol, positions: Array, bonds: Bonds, rng: np.random.Generator
) -> Array | None:
    """Positions with one to three torsions turned by any angle; None without a torsion.

    Raises:
        Skipped: all that was tried has atoms that clash.
    """
    torsions = chemical.GetSubstructMatches(TORSION)
    if not torsions:
        return None
    for _ in range(ATTEMPTS):
        moved = Chem.Conformer(chemical.GetConformer(0))
        moved.SetPositions(np.ascontiguousarray(positions))
        for index in rng.permutation(len(torsions))[: rng.integers(1, 4)]:
            rdMolTransforms.SetDihedralDeg(moved, *torsions[index], rng.uniform(-180, 180))
        result = np.array(moved.GetPositions())
        if bonds.ratios(result)[~bonds.bonded].min(initial=np.inf) > CLOSEST:
            return result
    raise Skipped("atoms clash in all turned torsions")


def stretched(
    found: list[Cut], positions: Array, rng: np.random.Generator, pressed: bool
) -> Array | None:
    """Positions with the halves on both sides of a bond moved apart, or together, as they are.

    Only single bonds are stretched; two in three of those between heavy atoms where there are some.
    """
    usable = [cut for cut in found if cut.single or pressed]
    heavy = [cut for cut in usable if cut.heavy]
    if not usable:
        return None
    choice = heavy if heavy and rng.random() < 0.67 else usable
    cut = choice[rng.integers(len(choice))]
    scale = _scale(rng, pressed)
    vector = positions[cut.second] - positions[cut.first]
    return positions + np.outer(cut.side, (scale - 1) * vector)


@dataclass(frozen=True)
class Piece:
    """One half of a molecule whose bond is cut.

    Attributes:
        numbers: (M,) atomic numbers.
        positions: (M, 3) | Å.
        charge: in elementary charges.
        indices: of its atoms in the molecule; the hydrogen that may take the other half's place is
            none of them.
    """

    numbers: list[int]
    positions: Array
    charge: int
    indices: frozenset[int]


def piece(
    chemical: Chem.Mol, found: list[Cut], positions: Array, rng: np.random.Generator
) -> Piece | None:
    """A half as an ion, or with a hydrogen in the place of the other; None where it has one atom."""
    heavy = [cut for cut in found if cut.heavy and cut.single]
    if not heavy:
        return None
    cut = heavy[rng.integers(len(heavy))]
    kept = cut.side if rng.random() < 0.5 else ~cut.side
    inner, outer = (cut.second, cut.first) if kept[cut.second] else (cut.first, cut.second)
    if kept.sum() < 2:
        return None
    indices = frozenset(np.flatnonzero(kept).tolist())
    atoms = [chemical.GetAtomWithIdx(index) for index in sorted(indices)]
    numbers = [atom.GetAtomicNum() for atom in atoms]
    charge = sum(atom.GetFormalCharge() for atom in atoms)
    if rng.random() < 0.5:
        signs = [sign for sign in (1, -1) if abs(charge + sign) <= 2]
        charge += signs[rng.integers(len(signs))]
        return Piece(numbers, positions[kept], charge, indices)
    capped = _capped(chemical, positions, kept, inner, outer)
    return Piece([*numbers, 1], capped, charge, indices)


def _capped(
    chemical: Chem.Mol, positions: Array, kept: NDArray[np.bool_], inner: int, outer: int
) -> Array:
    """(M + 1, 3) positions of a half in Å, and of the hydrogen along the bond that is cut."""
    bond = positions[outer] - positions[inner]
    length = covalent_radii[1] + covalent_radii[chemical.GetAtomWithIdx(inner).GetAtomicNum()]
    hydrogen = positions[inner] + length * bond / np.linalg.norm(bond)
    return np.asarray(np.vstack([positions[kept], hydrogen]))


def _scale(rng: np.random.Generator, pressed: bool) -> float:
    """Of a bond's length; the shorter, the rarer, since forces rise steeply."""
    if pressed:
        return float(PRESSED[0] + (PRESSED[1] - PRESSED[0]) * np.sqrt(rng.random()))
    return float(rng.uniform(*(STRETCHED if rng.random() < 0.6 else BROKEN)))


def _side(adjacency: NDArray[np.bool_], first: int, second: int) -> NDArray[np.bool_]:
    """(N,) atoms that are reached from the second atom without the bond to the first."""
    side = np.zeros(len(adjacency), dtype=bool)
    side[second] = True
    front = [second]
    while front:
        index = front.pop()
        for neighbor in np.flatnonzero(adjacency[index]).tolist():
            if not side[neighbor] and (index, neighbor) != (second, first):
                side[neighbor] = True
                front.append(neighbor)
    return side
