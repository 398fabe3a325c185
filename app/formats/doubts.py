"""Doubts about the structure of a molecule: hydrogens that were left out, and drawings in a plane.

Both are judged from bonds, those of the file or, where it has none, pairs of atoms as close as bonds
are. What no carbon's bonds cast a doubt on passes by a glance at the composition.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from app.atoms.structure import Floats, Integers, Structure
from app.atoms.warnings import AnswerWarning

STRETCH = 1.25
"""Atoms are bonded where they are closer than this multiple of their radii's sum."""
LENGTHS = {
    6: ((1.27, 1.37, 1.43, 1.48), (3.0, 2.0, 1.5, 1.2, 1.0)),
    7: ((1.19, 1.31, 1.37, 1.42), (4.0, 2.0, 1.5, 1.2, 1.0)),
    8: ((1.19, 1.27, 1.31, 1.38), (4.0, 2.0, 1.5, 1.2, 1.0)),
    16: ((1.58, 1.70, 1.76), (4.0, 2.0, 1.4, 1.0)),
}
"""Limits in Å, and the order of a carbon's bond to an element below each of them and beyond."""
VALENCE = 4.0
OPEN = 0.75
"""Valence that is left to a carbon which needs a hydrogen."""
EDGES = np.array([1 << 42, 1 << 21, 1])
"""From the numbers of a cube along x, y and z to one number."""
CROWDED = 40
"""Candidates of a partner per atom; a molecule has fewer, and what has more is none."""
SHARE = 1.0 / 3.0
"""Of a molecule's carbons that have no hydrogen and need one, where all are believed left out."""
SAME_LENGTH = 0.005
"""Relative spread of the bonds of a drawing, where all have the same length."""


class Bonds(NamedTuple):
    """The bonds of a molecule.

    Attributes:
        pairs: (M, 2) numbers of the atoms.
        orders: (M,) 1, 2, 3, or 1.5 where aromatic; an estimate where the file names none.
    """

    pairs: Integers
    orders: Floats


def doubts(
    structure: Structure, bonds: Bonds | None = None, drawn: bool | None = None
) -> tuple[AnswerWarning, ...]:
    """What is doubtful about a molecule's geometry.

    Args:
        structure: of a file.
        bonds: those that the file states; None where it states none.
        drawn: whether it may be a drawing; None where the file does not say.
    """
    numbers = structure.numbers.tolist()
    carbons = numbers.count(6)
    flat = drawn is not False and carbons > 0 and _is_flat(structure.positions)
    complete = 2 * numbers.count(1) >= carbons and not flat
    if complete or len(numbers) < 2 or structure.pbc.any():
        return ()
    known = bonds or _near(structure)
    bare = _bare_carbons(structure.numbers, known)
    warnings = []
    if len(bare) >= SHARE * carbons:
        warnings.append(_hydrogens_missing(bare))
    if flat and (warnings or _is_drawing(structure, known)):
        warnings.append(
            AnswerWarning(
                "flat_sketch",
                "all atoms have the same z, and their bonds are those of a drawing; make 3D "
                "coordinates with all hydrogens first",
            )
        )
    return tuple(warnings)


def _hydrogens_missing(bare: Sequence[int]) -> AnswerWarning:
    return AnswerWarning(
        "hydrogens_missing",
        f"{len(bare)} carbons, the first of them atom {bare[0]}, have no hydrogen and fewer bonds "
        "than they need; add the hydrogens",
    )


def _is_flat(positions: Floats) -> bool:
    """Whether all z are the same; most molecules show at the first atoms that they are not."""
    first = positions[0, 2]
    return bool(
        len(positions) > 3 and positions[1, 2] == first and (positions[:, 2] == first).all()
    )


def _near(structure: Structure) -> Bonds:
    """Pairs that are as close as bonds are, with the orders that fit their lengths."""
    numbers, positions = structure.numbers, structure.positions
    radii = STRETCH * covalent_radii[numbers]
    found = [
        pairs[_lengths(positions, pairs) < radii[pairs].sum(axis=1)]
        for pairs in _candidates(positions, 2 * float(radii.max()))
    ]
    pairs = np.concatenate(found)
    lengths, orders = _lengths(positions, pairs), np.ones(len(pairs))
    elements = np.sort(numbers[pairs], axis=1)
    for partner, (limits, values) in LENGTHS.items():
        both = (elements == sorted((6, partner))).all(axis=1)
        orders[both] = np.array(values)[np.searchsorted(limits, lengths[both], side="right")]
    return Bonds(pairs, orders)


def _lengths(positions: Floats, pairs: Integers) -> Floats:
    steps = positions[pairs[:, 0]] - positions[pairs[:, 1]]
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", steps, steps))
    return lengths


def _candidates(positions: Floats, reach: float) -> Iterator[Integers]:
    """Pairs of atoms in the same cube of that edge or in neighbouring ones, each pair once, as
    (M, 2) for each direction. In a soup of atoms, where they would be too many, there are none.
    """
    cubes = np.floor((positions - positions.min(axis=0)) / reach).astype(np.int64) + 1
    keys = cubes @ EDGES
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    for offset in product((-1, 0, 1), repeat=3):
        if offset < (0, 0, 0):
            continue
        first = np.searchsorted(ordered, keys + EDGES @ offset, side="left")
        counts = np.searchsorted(ordered, keys + EDGES @ offset, side="right") - first
        counts *= bool(counts.sum() <= CROWDED * len(keys))
        one = np.repeat(np.arange(len(keys)), counts)
        within = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
        other = order[np.repeat(first, counts) + within]
        pairs = np.stack([one, other], axis=1)
        yield pairs if any(offset) else pairs[one < other]


def _bare_carbons(numbers: Integers, bonds: Bonds) -> list[int]:
    """Carbons without a hydrogen whose bonds leave at least one valence open."""
    used, partners = np.zeros(len(numbers)), np.zeros(len(numbers), dtype=np.int64)
    for ends in (bonds.pairs, bonds.pairs[:, ::-1]):
        np.add.at(used, ends[:, 0], bonds.orders)
        np.add.at(partners, ends[:, 0], numbers[ends[:, 1]] == 1)
    open_valence = VALENCE - used
    bare = (numbers == 6) & (partners == 0) & (open_valence >= OPEN)
    return np.flatnonzero(bare).tolist()


def _is_drawing(structure: Structure, bonds: Bonds) -> bool:
    """Whether a flat molecule cannot be one: a carbon with four bonds, or bonds of several kinds
    that are all of the same length.
    """
    ends = bonds.pairs.ravel()
    counts = np.bincount(ends, minlength=len(structure))
    if ((counts >= 4) & (structure.numbers == 6)).any():
        return True
    lengths = _lengths(structure.positions, bonds.pairs)
    kinds = {
        (*sorted(chemical_symbols[z] for z in structure.numbers[pair]), order)
        for pair, order in zip(bonds.pairs, bonds.orders, strict=True)
    }
    return len(kinds) > 1 and bool(np.ptp(lengths) <= SAME_LENGTH * lengths.max())
