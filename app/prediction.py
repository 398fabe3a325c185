"""Prediction: what a backend answers for a graph, and how it is handed back structure by structure."""

from dataclasses import dataclass

import numpy as np

from app.graph import Graph
from app.structure import Booleans, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Energies and their derivatives for the B structures of a graph, in float64.

    Attributes:
        energy: (B,), eV.
        forces: (N, 3), eV/Å, −dE/dR.
        stress: (B, 3, 3), eV/Å³, (1/V) dE/dstrain, positive under tension; NaN where a structure is not
            periodic in all three directions.
        energies: (N,), eV, the atoms' shares of the energy.
    """

    energy: Floats
    forces: Floats
    stress: Floats
    energies: Floats


@dataclass(frozen=True, slots=True, eq=False)
class StructurePrediction:
    """Energy and derivatives of one structure of N atoms.

    Attributes:
        energy: eV.
        forces: (N, 3), eV/Å.
        stress: (3, 3), eV/Å³, or None where the structure is not periodic in all three directions.
        energies: (N,), eV.
    """

    energy: float
    forces: Floats
    stress: Floats | None
    energies: Floats

    @property
    def is_finite(self) -> bool:
        """Whether every number is finite."""
        parts = (self.energies, self.forces, self.stress if self.stress is not None else 0.0)
        return bool(np.isfinite(self.energy) and all(np.isfinite(part).all() for part in parts))


def from_atoms(graph: Graph, energies: Floats, forces: Floats, virials: Floats) -> Prediction:
    """Sum per-atom results to structures.

    Args:
        graph: the graph that was evaluated.
        energies: (N,), eV.
        forces: (N, 3), eV/Å.
        virials: (N, 3, 3), eV, the atoms' shares of dE/dstrain.

    Returns:
        The prediction, with sums and stress in float64; the stress is symmetric. What halo atoms have is not
        counted.
    """
    if graph.halo.any():
        energies = np.where(graph.halo, 0.0, energies)
        virials = np.where(graph.halo[:, None, None], 0.0, virials)
    starts = np.concatenate([[0], np.cumsum(graph.n_atoms[:-1])])
    virial = np.add.reduceat(virials.astype(np.float64), starts, axis=0)
    stress = 0.5 * (virial + virial.transpose(0, 2, 1)) / graph.volumes()[:, None, None]
    energies = energies.astype(np.float64)
    return Prediction(np.add.reduceat(energies, starts), forces.astype(np.float64), stress, energies)


def split(prediction: Prediction, graph: Graph) -> list[StructurePrediction]:
    """The B structures' own predictions, in the graph's order."""
    bulk: Booleans = np.asarray(graph.pbc.all(axis=1))
    cuts = np.cumsum(graph.n_atoms)[:-1]
    parts = zip(np.split(prediction.forces, cuts), np.split(prediction.energies, cuts), strict=True)
    return [
        StructurePrediction(float(prediction.energy[b]), forces, prediction.stress[b] if bulk[b] else None, energies)
        for b, (forces, energies) in enumerate(parts)
    ]
