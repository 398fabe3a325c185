"""Prediction: what a backend answers for a graph, and how it is handed back structure by structure."""

from collections.abc import Sequence
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
        energy_std: (B,), eV, how far the members of a committee disagree; None where there is one model only.
        forces_std: (N,), eV/Å, the same of each atom's force.
    """

    energy: Floats
    forces: Floats
    stress: Floats
    energies: Floats
    energy_std: Floats | None = None
    forces_std: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StructurePrediction:
    """Energy and derivatives of one structure of N atoms.

    Attributes:
        energy: eV.
        forces: (N, 3), eV/Å.
        stress: (3, 3), eV/Å³, or None where the structure is not periodic in all three directions.
        energies: (N,), eV.
        energy_std: eV, how far the members of a committee disagree; None where there is one model only.
        forces_std: (N,), eV/Å, the same of each atom's force.
    """

    energy: float
    forces: Floats
    stress: Floats | None
    energies: Floats
    energy_std: float | None = None
    forces_std: Floats | None = None

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
        The prediction, with sums and stress in float64; the stress is symmetric.
    """
    starts = np.concatenate([[0], np.cumsum(graph.n_atoms[:-1])])
    virial = np.add.reduceat(virials.astype(np.float64), starts, axis=0)
    stress = 0.5 * (virial + virial.transpose(0, 2, 1)) / graph.volumes()[:, None, None]
    energies = energies.astype(np.float64)
    return Prediction(np.add.reduceat(energies, starts), forces.astype(np.float64), stress, energies)


def committee(members: Sequence[Prediction]) -> Prediction:
    """The mean of what M >= 1 models predict for one graph and, of more than one, how far they disagree."""
    if len(members) == 1:
        return members[0]
    energy, forces, stress, energies = (
        np.stack([getattr(member, name) for member in members]) for name in ("energy", "forces", "stress", "energies")
    )
    return Prediction(
        energy.mean(axis=0),
        forces.mean(axis=0),
        stress.mean(axis=0),
        energies.mean(axis=0),
        energies_spread(energy),
        forces_spread(forces),
    )


def energies_spread(energy: Floats) -> Floats:
    """(B,), eV: standard deviation over the M members of (M, B) energies, √⟨(E − ⟨E⟩)²⟩."""
    spread: Floats = energy.std(axis=0)
    return spread


def forces_spread(forces: Floats) -> Floats:
    """(N,), eV/Å: √⟨|F − ⟨F⟩|²⟩ over the M members of (M, N, 3) forces.

    The model deviation of Zhang et al., Comput. Phys. Commun. 253, 107206 (2020), of each atom.
    """
    spread: Floats = np.sqrt(forces.var(axis=0).sum(axis=-1))
    return spread


def split(prediction: Prediction, graph: Graph) -> list[StructurePrediction]:
    """The B structures' own predictions, in the graph's order."""
    bulk: Booleans = np.asarray(graph.pbc.all(axis=1))
    ends = np.cumsum(graph.n_atoms)
    energy_std, forces_std = prediction.energy_std, prediction.forces_std
    return [
        StructurePrediction(
            float(prediction.energy[b]),
            prediction.forces[atoms],
            prediction.stress[b] if bulk[b] else None,
            prediction.energies[atoms],
            None if energy_std is None else float(energy_std[b]),
            None if forces_std is None else forces_std[atoms],
        )
        for b, atoms in enumerate(map(slice, ends - graph.n_atoms, ends))
    ]
