"""Prediction: what a backend answers for a graph, and how it is handed back structure by structure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.atoms.graph import Graph
from app.atoms.structure import Booleans, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Energies and, where they were asked for, their derivatives for the B structures of a graph,
    in float64.

    Attributes:
        energy: (B,), eV.
        forces: (N, 3), eV/Å, −dE/dR; None of energies alone.
        stress: (B, 3, 3), eV/Å³, (1/V) dE/dstrain, positive under tension; NaN where a structure is
            not periodic in all three directions; None of energies alone.
        energies: (N,), eV, the atoms' shares of the energy.
        member_energy: (M, B), eV, of each member of a committee, whose mean is the answer; None of
            a single model.
        member_forces: (M, N, 3), eV/Å, the same; None of energies alone.
    """

    energy: Floats
    forces: Floats | None
    stress: Floats | None
    energies: Floats
    member_energy: Floats | None = None
    member_forces: Floats | None = None

    @property
    def energy_std(self) -> Floats | None:
        """(B,), eV, how far the members of a committee disagree; None of a single model."""
        return None if self.member_energy is None else energies_spread(self.member_energy)

    @property
    def forces_std(self) -> Floats | None:
        """(N,), eV/Å, the same of each atom's force; None of energies alone."""
        return None if self.member_forces is None else forces_spread(self.member_forces)


@dataclass(frozen=True, slots=True, eq=False)
class StructurePrediction:
    """Energy and, where they were asked for, derivatives of one structure of N atoms.

    Attributes:
        energy: eV.
        forces: (N, 3), eV/Å; None of energies alone.
        stress: (3, 3), eV/Å³; None of energies alone, and where the structure is not periodic in
            all three directions.
        energies: (N,), eV.
        member_energy: (M,), eV, of each member of a committee; None of a single model.
        member_forces: (M, N, 3), eV/Å, the same; None of energies alone.
    """

    energy: float
    forces: Floats | None
    stress: Floats | None
    energies: Floats
    member_energy: Floats | None = None
    member_forces: Floats | None = None

    @property
    def energy_std(self) -> float | None:
        """eV, how far the members of a committee disagree; None of a single model."""
        return None if self.member_energy is None else float(energies_spread(self.member_energy))

    @property
    def forces_std(self) -> Floats | None:
        """(N,), eV/Å, the same of each atom's force; None of energies alone."""
        return None if self.member_forces is None else forces_spread(self.member_forces)

    @property
    def is_finite(self) -> bool:
        """Whether every number is finite."""
        parts = (self.energy, self.energies, self.forces, self.stress)
        return all(bool(np.isfinite(part).all()) for part in parts if part is not None)


def from_atoms(
    graph: Graph, energies: Floats, forces: Floats | None = None, virials: Floats | None = None
) -> Prediction:
    """Sum per-atom results to structures.

    Args:
        graph: the graph that was evaluated.
        energies: (N,), eV.
        forces: (N, 3), eV/Å.
        virials: (N, 3, 3), eV, the atoms' shares of dE/dstrain; given with the forces, or neither.

    Returns:
        The prediction, with sums and stress in float64; the stress is symmetric. What halo atoms
        have is not counted.
    """
    starts = np.concatenate([[0], np.cumsum(graph.n_atoms[:-1])])
    energies = _without_halo(graph, energies).astype(np.float64)
    energy = np.add.reduceat(energies, starts)
    if forces is None or virials is None:
        return Prediction(energy, None, None, energies)
    virial = np.add.reduceat(_without_halo(graph, virials).astype(np.float64), starts, axis=0)
    stress = 0.5 * (virial + virial.transpose(0, 2, 1)) / graph.volumes()[:, None, None]
    return Prediction(energy, forces.astype(np.float64), stress, energies)


def _without_halo(graph: Graph, values: Floats) -> Floats:
    """(N, ...) values, with zeros for halo atoms."""
    if not graph.halo.any():
        return values
    kept: Floats = np.where(graph.halo.reshape(-1, *[1] * (values.ndim - 1)), 0.0, values)
    return kept


def committee(members: Sequence[Prediction]) -> Prediction:
    """The mean of what M >= 1 models predict for one graph and, of more than one, what each of them
    says.

    The members are added one after the other, so that no sum depends on what else is in the graph.
    """
    first = members[0]
    if len(members) == 1:
        return first

    def every(name: str) -> Floats:
        return np.stack([getattr(member, name) for member in members])

    energy, energies = every("energy"), _mean(every("energies"))
    if first.forces is None:
        return Prediction(_mean(energy), None, None, energies, energy)
    forces = every("forces")
    return Prediction(
        _mean(energy), _mean(forces), _mean(every("stress")), energies, energy, forces
    )


def _mean(parts: Floats) -> Floats:
    mean: Floats = sum(parts[1:], start=parts[0]) / len(parts)
    return mean


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


def split(prediction: Prediction, graph: Graph) -> list[StructurePrediction]:
    """The B structures' own predictions, in the graph's order."""
    bulk: Booleans = np.asarray(graph.pbc.all(axis=1))
    ends = np.cumsum(graph.n_atoms)
    forces, stress = prediction.forces, prediction.stress
    member_energy, member_forces = prediction.member_energy, prediction.member_forces
    return [
        StructurePrediction(
            float(prediction.energy[b]),
            None if forces is None else forces[atoms],
            None if stress is None or not bulk[b] else stress[b],
            prediction.energies[atoms],
            None if member_energy is None else member_energy[:, b],
            None if member_forces is None else member_forces[:, atoms],
        )
        for b, atoms in enumerate(map(slice, ends - graph.n_atoms, ends))
    ]
