"""How far the members of a committee disagree."""

import numpy as np

from app.atoms.structure import Floats


def energies_spread(energy: Floats) -> Floats:
    """(...), eV: standard deviation over the M members of (M, ...) energies, √⟨(E − ⟨E⟩)²⟩."""
    spread: Floats = energy.std(axis=0)
    return spread


def forces_spread(forces: Floats) -> Floats:
    """(N,), eV/Å: √⟨|F − ⟨F⟩|²⟩ over the M members of (M, N, 3) forces.

    The model deviation of Zhang et al., Comput. Phys. Commun. 253, 107206 (2020), of each atom.
    """
    spread: Floats = np.sqrt(forces.var(axis=0).sum(axis=-1))
    return spread
