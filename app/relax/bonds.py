"""Bonds that broke or formed while a molecule was relaxed, by its atoms' covalent radii.

Radii: Cordero et al., Dalton Trans., 2832 (2008), as ASE has them. Between the two limits nothing is
said, so that a long bond that got a little longer is not told.
"""

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from app.atoms.structure import Floats, Structure
from app.atoms.warnings import AnswerWarning

BONDED = 1.15
"""Times the sum of two radii; pairs that are closer are bonded."""
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


def _stretch(structure: Structure) -> Floats:
    """(N, N): distances over the sums of the radii."""
    radii = covalent_radii[structure.numbers]
    vectors = structure.positions[:, None] - structure.positions[None]
    distances = np.sqrt(np.einsum("ija,ija->ij", vectors, vectors))
    stretch: Floats = distances / (radii[:, None] + radii[None])
    return stretch


def _named(structure: Structure, atom: int) -> str:
    return f"atom {atom} ({chemical_symbols[structure.numbers[atom]]})"
