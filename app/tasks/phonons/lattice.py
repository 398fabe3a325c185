"""A crystal as phonopy has it: supercells with displacements, force constants, and what follows.

phonopy is loaded when it is asked for: it is in the extra `phonons`. Methods block.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from ase.cell import Cell

from app.atoms.structure import Floats, Structure
from app.errors import InvalidRequest

CUTOFF_THZ = 0.01
"""Modes below are in no sum: those that move the crystal as a whole, and imaginary ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Frequencies along a path.

    Attributes:
        labels: of special points, in their order along the path.
        at: (L,), Å⁻¹, where along it they are.
        distances: (Q,), Å⁻¹, of all points.
        qpoints: (Q, 3), in reciprocal lattice vectors of the primitive cell.
        frequencies: (Q, 3n), THz; imaginary ones are negative.
    """

    labels: list[str]
    at: list[float]
    distances: Floats
    qpoints: Floats
    frequencies: Floats


class Lattice:
    """A crystal at rest, and its supercell.

    Args:
        structure: N atoms of a cell that repeats in all directions.
        multiples: of its lattice vectors.
        tolerance: Å by which atoms may miss their places in a symmetry.

    Raises:
        InvalidRequest: phonopy is not installed.
    """

    def __init__(self, structure: Structure, multiples: Sequence[int], tolerance: float) -> None:
        try:
            from phonopy import Phonopy
            from phonopy.structure.atoms import PhonopyAtoms
        except ModuleNotFoundError as error:
            raise InvalidRequest(
                f"phonons: {error.name} is not installed; pip install 'equipot[phonons]'"
            ) from None
        unit = PhonopyAtoms(
            numbers=structure.numbers, cell=structure.cell, positions=structure.positions
        )
        with warnings.catch_warnings():
            # That of a conventional cell is not that of phonopy 3.
            warnings.filterwarnings("ignore", message="primitive_matrix defaulted")
            self._phonopy: Any = Phonopy(
                unit, np.diag(multiples), primitive_matrix="auto", symprec=tolerance, log_level=0
            )
        self._structure = structure

    @property
    def space_group(self) -> str:
        """Symbol and number."""
        return str(self._phonopy.symmetry.dataset.international) + (
            f" ({self._phonopy.symmetry.dataset.number})"
        )

    @property
    def primitive_atoms(self) -> int:
        """Of the primitive cell."""
        return len(self._phonopy.primitive)

    def displaced(self, distance: float) -> list[Structure]:
        """Supercells, each with one atom displaced; as few as symmetry allows.

        Args:
            distance: Å.
        """
        self._phonopy.generate_displacements(distance=distance)
        return [
            replace(
                self._structure,
                numbers=np.array(cell.numbers),
                positions=np.array(cell.positions),
                cell=np.array(cell.cell),
                fixed=None,
            )
            for cell in self._phonopy.supercells_with_displacements
        ]

    def take(self, forces: Floats) -> None:
        """Make force constants of forces (K, M, 3) in eV/Å; they obey the sum rules."""
        self._phonopy.forces = forces
        self._phonopy.produce_force_constants(show_drift=False)
        self._phonopy.symmetrize_force_constants(show_drift=False)

    def bands(self, points: int) -> Bands:
        """Along the path of W. Setyawan and S. Curtarolo, Comput. Mater. Sci. 49, 299 (2010).

        Args:
            points: between two special points.
        """
        path = Cell(self._phonopy.primitive.cell).bandpath(npoints=0, eps=1e-3)
        legs = [(a, b) for branch in path.path.split(",") for a, b in pairwise(_labels(branch))]
        lines = [
            np.linspace(path.special_points[a], path.special_points[b], points) for a, b in legs
        ]
        found = self._phonopy.run_band_structure(lines)
        ends = [(float(d[0]), float(d[-1])) for d in found.distances]
        labels, at = [legs[0][0]], [ends[0][0]]
        for (a, b), (first, last) in zip(legs, ends, strict=True):
            if a != labels[-1]:
                labels[-1] = f"{labels[-1]}|{a}"
                at[-1] = first
            labels.append(b)
            at.append(last)
        return Bands(
            labels,
            at,
            np.concatenate(found.distances),
            np.concatenate(lines),
            np.concatenate(found.frequencies),
        )

    def mesh(self, length: float) -> tuple[Floats, Floats]:
        """Points (Q, 3) of a mesh that symmetry tells apart, and frequencies (Q, 3n) in THz.

        Args:
            length: Å; a lattice vector of a Å has length / a points.
        """
        found = self._phonopy.run_mesh(length)
        return np.array(found.qpoints), np.array(found.frequencies)

    def density(self) -> tuple[Floats, Floats]:
        """Frequencies (F,) in THz, and states (F,) of a primitive cell in 1/THz; after `mesh`."""
        found = self._phonopy.run_total_dos()
        return np.array(found.frequency_points), np.array(found.dos)

    def thermal(self, temperatures: Floats) -> Any:
        """Properties at temperatures (T,) in K, in phonopy's units; after `mesh`."""
        return self._phonopy.run_thermal_properties(
            temperatures=temperatures, cutoff_frequency=CUTOFF_THZ
        )

    @property
    def force_constants(self) -> Floats:
        """(M, M, 3, 3), eV/Å², of the supercell."""
        return np.array(self._phonopy.force_constants)

    @property
    def yaml(self) -> str:
        """All of it as phonopy reads it, with displacements and forces."""
        written = self._phonopy.to_phonopy_yaml(
            settings={"force_sets": True, "displacements": True}
        )
        return str(written)


def multiples_for(structure: Structure, length: float) -> tuple[int, int, int]:
    """How often each lattice vector has to be repeated, so that the supercell is nowhere narrower.

    Args:
        structure: with a cell.
        length: Å.
    """
    widths = 1.0 / np.linalg.norm(np.linalg.inv(structure.cell), axis=0)
    a, b, c = np.maximum(1, np.ceil(length / widths - 1e-6)).astype(int).tolist()
    return a, b, c


def width_of(structure: Structure, multiples: Sequence[int]) -> float:
    """Å that the supercell is wide where it is narrowest."""
    widths = 1.0 / np.linalg.norm(np.linalg.inv(structure.cell), axis=0)
    return float((widths * np.array(multiples)).min())


def _labels(branch: str) -> list[str]:
    """Of a path as ASE writes it: letters, some with a number behind."""
    labels: list[str] = []
    for letter in branch:
        if letter.isdigit():
            labels[-1] += letter
        else:
            labels.append(letter)
    return labels
