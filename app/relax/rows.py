"""Many structures' coordinates in one array: rows of their atoms and of their cells.

Cell relaxation follows ASE's `UnitCellFilter` (Tadmor et al., Phys. Rev. B 59, 235 (1999)). Each
structure has N rows for its atoms, in the frame of its first cell, and three rows with N times the
deformation gradient G: the positions are x Gᵀ, and the cell is C₀ Gᵀ. Where the cell is fixed, no
force acts on its rows.
"""

import numpy as np

from app.atoms.ragged import parts, rows_of, starts_of
from app.atoms.structure import Floats, Integers


class Rows:
    """Where the N + 3 rows of each of B structures stand in an (M, 3) array, and sums over them.

    Args:
        n_atoms: (B,) atoms of each structure.

    Attributes:
        n_atoms: as given.
        lengths: (B,) rows of each structure.
        starts: (B,) first row of each structure.
        first_atoms: (B,) first of each structure's atoms, among atoms alone.
        cell: (B, 3) the rows of each cell.
        is_atom: (M,) whether a row is an atom's.
        structure: (M,) the structure of each row.
        of_atom: (N,) the structure of each atom.
    """

    def __init__(self, n_atoms: Integers) -> None:
        self.n_atoms = n_atoms
        self.lengths: Integers = n_atoms + 3
        starts = starts_of(self.lengths)
        self.starts = starts[:-1]
        self.first_atoms = starts_of(n_atoms)[:-1]
        self.cell = starts[1:, None] + np.arange(-3, 0)
        self.is_atom = np.ones(int(starts[-1]), dtype=bool)
        self.is_atom[self.cell] = False
        self.structure = rows_of(self.lengths)
        self.of_atom = rows_of(n_atoms)

    def dot(self, left: Floats, right: Floats) -> Floats:
        """(B,) scalar products of each structure's rows in two (M, 3) arrays."""
        products: Floats = np.add.reduceat(np.einsum("ij,ij->i", left, right), self.starts)
        return products

    def longest(self, values: Floats) -> Floats:
        """(B,) length of the longest row of each structure in an (M, 3) array."""
        squares = np.maximum.reduceat(np.einsum("ij,ij->i", values, values), self.starts)
        lengths: Floats = np.sqrt(squares)
        return lengths

    def spread(self, values: Floats) -> Floats:
        """(M, 1) a value of each structure, on all its rows."""
        spread: Floats = values[self.structure, None]
        return spread

    def split(self, values: Floats) -> list[Floats]:
        """Each structure's own rows of an (M, 3) array, as views."""
        return parts(values, self.starts)

    def split_atoms(self, values: Floats) -> list[Floats]:
        """Each structure's part of an (N, 3) array of atoms, as views."""
        return parts(values, self.first_atoms)

    def deformations(self, x: Floats) -> Floats:
        """(B, 3, 3), without unit: deformation gradients G at x (M, 3)."""
        gradients: Floats = x[self.cell] / self.n_atoms[:, None, None]
        return gradients

    def positions(self, x: Floats) -> Floats:
        """(N, 3), Å: where the atoms are at x (M, 3)."""
        deformations = self.deformations(x)[self.of_atom]
        positions: Floats = np.einsum("na,nba->nb", x[self.is_atom], deformations)
        return positions

    def forces(self, x: Floats, on_atoms: Floats, on_cells: Floats) -> Floats:
        """(M, 3), eV/Å: what acts on the rows.

        Args:
            x: (M, 3), Å, where they are.
            on_atoms: (N, 3), eV/Å.
            on_cells: (B, 3, 3), eV, the forces on the deformation gradients.
        """
        forces = np.empty_like(x)
        forces[self.is_atom] = np.einsum("na,nab->nb", on_atoms, self.deformations(x)[self.of_atom])
        forces[self.cell] = on_cells / self.n_atoms[:, None, None]
        return forces


def first_rows(positions: Floats) -> Floats:
    """(N + 3, 3) rows of a structure that is not deformed yet."""
    rows: Floats = np.concatenate([positions, len(positions) * np.eye(3)])
    return rows
