"""Masses that a file states, which make no difference to energies and forces."""

import numpy as np
from ase.data import atomic_masses

from app.atoms.elements import isotopes_ignored
from app.atoms.structure import Floats, Integers
from app.atoms.warnings import AnswerWarning

RELATIVE, ABSOLUTE = 1e-3, 0.01
"""How far a mass may be from the standard one, in u, rounded as they are in files."""


def unusual_masses(numbers: Integers, masses: Floats) -> tuple[AnswerWarning, ...]:
    """The warning that atoms with other masses than the standard ones are computed as their element.

    Args:
        numbers: (N,) atomic numbers, 1 to 118.
        masses: (N,) in u.
    """
    usual = atomic_masses[numbers]
    near = np.abs(masses - usual) <= np.maximum(ABSOLUTE, RELATIVE * usual)
    atoms = np.flatnonzero(~near).tolist()
    return (isotopes_ignored(atoms),) if atoms else ()
