"""Harmonic modes: what a Hessian says of vibrations.

E. B. Wilson, J. C. Decius, P. C. Cross, Molecular Vibrations (1955); the rigid motions are projected
out as in J. W. Ochterski, Vibrational Analysis in Gaussian (1999).
"""

from dataclasses import dataclass

import numpy as np
from ase import units

from app.atoms.structure import Booleans, Floats

QUANTUM = units._hbar * 1e10 / np.sqrt(units._e * units._amu)
"""eV of a quantum of a mode whose mass-weighted force constant is 1 eV/(Å² amu)."""


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """M vibrations of F atoms, the lowest first.

    Attributes:
        quanta: (M,), eV, ħω; of imaginary modes, negative.
        shapes: (M, F, 3), displacements of the atoms; each has the length 1 in all.
        masses: (M,), amu, reduced masses of such shapes.
    """

    quanta: Floats
    shapes: Floats
    masses: Floats

    @property
    def wavenumbers(self) -> Floats:
        """(M,), cm⁻¹; of imaginary modes, negative."""
        wavenumbers: Floats = self.quanta / units.invcm
        return wavenumbers

    @property
    def is_real(self) -> Booleans:
        """(M,), which of them are not imaginary."""
        real: Booleans = self.quanta > 0.0
        return real


def modes_of(hessian: Floats, masses: Floats, rigid: Floats) -> Modes:
    """The vibrations of a Hessian.

    Args:
        hessian: (3F, 3F), eV/Å².
        masses: (F,), amu.
        rigid: (3F, K), motions that are none (`rigid_motions`); M is 3F − K.
    """
    roots = np.sqrt(np.repeat(masses, 3))
    complement = np.linalg.svd(rigid)[0][:, rigid.shape[1] :]
    weighted = complement.T @ (hessian / np.outer(roots, roots)) @ complement
    constants, vectors = np.linalg.eigh(weighted)
    shapes = (complement @ vectors).T / roots
    lengths = np.linalg.norm(shapes, axis=1)
    return Modes(
        np.sign(constants) * QUANTUM * np.sqrt(np.abs(constants)),
        (shapes / lengths[:, None]).reshape(-1, len(masses), 3),
        1.0 / lengths**2,
    )
