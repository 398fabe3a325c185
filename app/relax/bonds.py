"""Bonds that broke or formed while a molecule was relaxed, by its atoms' covalent radii.

Radii: Cordero et al., Dalton Trans., 2832 (2008), as ASE has them. Between the two limits nothing is
said, so that a long bond that got a little longer is not told.
"""

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from app.atoms.structure import Booleans, Floats, Integers, Structure
from app.atoms.warnings import AnswerWarning

BONDED = 1.15
"""Times the sum of two radii; pairs that are closer are bonded."""
SLACK = 0.45
"""Å, beyond the sum of two radii: pairs that are closer hold a molecule together, whose bonds may be
long (Meng and Lewis, J. Comput. Chem. 12, 891 (1991))."""
APART = 1.5
"""Times the sum of two radii; pairs that are further apart are not."""
MOST_ATOMS = 500
"""Larger molecules are not looked at: all pairs are."""
TOLD = 3
"""Pairs that a warning names."""


def changed_bonds(before: Structure, after: Structure) -> tuple[AnswerWarning, ...]:
    """A warning where bonds of a molecule broke or formed; none for what is periodic.

    Args:
        before: as it was given.
        after: the same atoms, relaxed.
    """
    if before.pbc.any() or len(before) > MOST_ATOMS:
        return ()
    old, new = _stretch(before), _stretch(after)
    changes = [
        f"{what} between {_named(before, i)} and {_named(before, j)}"
        for what, pairs in (
            ("broke", (old < BONDED) & (new > APART)),
            ("formed", (old > APART) & (new < BONDED)),
        )
        for i, j in np.argwhere(np.triu(pairs, 1)).tolist()
    ]
    if not changes:
        return ()
    more = f" and {len(changes) - TOLD} more" if len(changes) > TOLD else ""
    return (AnswerWarning("bonds_changed", f"bonds {', '.join(changes[:TOLD])}{more}"),)


def joined(structure: Structure) -> Booleans:
    """(N, N), which atoms are bonded to each other; of what does not repeat."""
    distances, radii = _distances(structure)
    bonded = distances < radii + SLACK
    np.fill_diagonal(bonded, False)
    return bonded


def molecules(structure: Structure) -> Integers:
    """(N,), the number of the molecule of each atom, from 0: of atoms that bonds join."""
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(joined(structure), directed=False)[1])


def kinds_of(structure: Structure) -> list[int]:
    """A number for each atom, the same of those that bonds alone do not tell apart (H. L. Morgan, J.
    Chem. Doc. 5, 107 (1965)); of what does not repeat.
    """
    neighbours = [np.flatnonzero(row).tolist() for row in joined(structure)]
    kinds: list[int] = structure.numbers.tolist()
    count = 0
    while len(set(kinds)) > count:
        count = len(set(kinds))
        seen = [(kinds[i], *sorted(kinds[j] for j in near)) for i, near in enumerate(neighbours)]
        order = {kind: number for number, kind in enumerate(sorted(set(seen)))}
        kinds = [order[kind] for kind in seen]
    return kinds


def _stretch(structure: Structure) -> Floats:
    """(N, N): distances over the sums of the radii."""
    distances, radii = _distances(structure)
    stretch: Floats = distances / radii
    return stretch


def _distances(structure: Structure) -> tuple[Floats, Floats]:
    """(N, N) each, Å: distances, and sums of the radii."""
    radii = covalent_radii[structure.numbers]
    vectors = structure.positions[:, None] - structure.positions[None]
    return np.sqrt(np.einsum("ija,ija->ij", vectors, vectors)), radii[:, None] + radii[None]


def _named(structure: Structure, atom: int) -> str:
    return f"atom {atom} ({chemical_symbols[structure.numbers[atom]]})"
