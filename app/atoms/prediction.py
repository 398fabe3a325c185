"""Prediction: what a backend answers for a graph, and how it is handed back by structure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from app.atoms.graph import Graph
from app.atoms.properties import STORED, Property
from app.atoms.ragged import starts_of
from app.atoms.structure import Floats
from app.atoms.uncertainty import energies_spread, forces_spread


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Energies of the B structures of a graph in float64, with derivatives where asked for.

    Attributes:
        energy: (B,), eV.
        forces: (N, 3), eV/Å, −dE/dR; None of energies alone.
        stress: (B, 3, 3), eV/Å³, (1/V) dE/dstrain, positive under tension; NaN where a structure is
            not periodic in all three directions; None of energies alone.
        energies: (N,), eV, the atoms' shares of the energy.
        member_energy: (M, B), eV, of each member of a committee, whose mean is the answer; None of
            a single model.
        member_forces: (M, N, 3), eV/Å, the same; None of energies alone.
        energy_variance: (B,), eV², of a single model that estimates its errors.
        force_errors: (N,), eV/Å, the same: root of the summed variances of a force's components.
        novelty: (N,), the same: how unlike those of the training data an atom's surroundings are;
            1 is as much as hardly any of them is.
    """

    energy: Floats
    energies: Floats
    forces: Floats | None = None
    stress: Floats | None = None
    member_energy: Floats | None = None
    member_forces: Floats | None = None
    energy_variance: Floats | None = None
    force_errors: Floats | None = None
    novelty: Floats | None = None

    @property
    def energy_std(self) -> Floats | None:
        """(B,), eV, the error that is estimated; None where the model does not."""
        if self.energy_variance is not None:
            return np.sqrt(self.energy_variance)
        return None if self.member_energy is None else energies_spread(self.member_energy)

    @property
    def forces_std(self) -> Floats | None:
        """(N,), eV/Å, the same of each atom's force; None of energies alone."""
        if self.forces is None:
            return None
        if self.force_errors is not None:
            return self.force_errors
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
        energy_variance: eV², of a single model that estimates its errors.
        force_errors: (N,), eV/Å, as in `Prediction`.
        novelty: (N,), as in `Prediction`.
    """

    energy: float
    energies: Floats
    forces: Floats | None = None
    stress: Floats | None = None
    member_energy: Floats | None = None
    member_forces: Floats | None = None
    energy_variance: float | None = None
    force_errors: Floats | None = None
    novelty: Floats | None = None

    @property
    def energy_std(self) -> float | None:
        """eV, the error that is estimated; None where the model does not."""
        if self.energy_variance is not None:
            return math.sqrt(self.energy_variance)
        return None if self.member_energy is None else float(energies_spread(self.member_energy))

    @property
    def forces_std(self) -> Floats | None:
        """(N,), eV/Å, the same of each atom's force; None of energies alone."""
        if self.forces is None:
            return None
        if self.force_errors is not None:
            return self.force_errors
        return None if self.member_forces is None else forces_spread(self.member_forces)

    @property
    def is_finite(self) -> bool:
        """Whether every number is finite."""
        values = (getattr(self, row.name) for row in STORED)
        return all(bool(np.isfinite(value).all()) for value in values if value is not None)


class AtomErrors(NamedTuple):
    """What a model estimates of its errors.

    Attributes:
        energies: (N,), eV; the variance of a structure's energy is the sum of their squares.
        forces: (N,), eV/Å, of each atom's force.
        novelty: (N,), as in `Prediction`.
    """

    energies: Floats
    forces: Floats
    novelty: Floats


def from_atoms(
    graph: Graph,
    energies: Floats,
    forces: Floats | None = None,
    virials: Floats | None = None,
    errors: AtomErrors | None = None,
) -> Prediction:
    """Sum per-atom results to structures.

    Args:
        graph: the graph that was evaluated.
        energies: (N,), eV.
        forces: (N, 3), eV/Å.
        virials: (N, 3, 3), eV, the atoms' shares of dE/dstrain; given with the forces, or neither.
        errors: of a model that estimates them.

    Returns:
        The prediction, with sums and stress in float64; the stress is symmetric. What halo atoms
        have is not counted.
    """
    starts = starts_of(graph.n_atoms)[:-1]
    energies = _without_halo(graph, energies).astype(np.float64)
    energy = np.add.reduceat(energies, starts)
    doubts: dict[str, Floats] = {}
    if errors is not None:
        squares = _without_halo(graph, errors.energies) ** 2
        doubts["energy_variance"] = np.add.reduceat(squares, starts)
        doubts |= {"force_errors": errors.forces, "novelty": errors.novelty}
    if forces is None or virials is None:
        return Prediction(energy, energies, **doubts)
    virial = np.add.reduceat(_without_halo(graph, virials).astype(np.float64), starts, axis=0)
    stress = 0.5 * (virial + virial.transpose(0, 2, 1)) / graph.volumes()[:, None, None]
    return Prediction(energy, energies, forces.astype(np.float64), stress, **doubts)


def _without_halo(graph: Graph, values: Floats) -> Floats:
    """(N, ...) values, with zeros for halo atoms."""
    if not graph.halo.any():
        return values
    kept: Floats = np.where(graph.halo.reshape(-1, *[1] * (values.ndim - 1)), 0.0, values)
    return kept


def committee(members: Sequence[Prediction]) -> Prediction:
    """The mean of what M >= 1 models predict for one graph; of several, what each says, too.

    The members are added one after the other, so that no sum depends on what else is in the graph.
    """
    first = members[0]
    if len(members) == 1:
        return first

    predicted = [row.name for row in STORED if getattr(first, row.name) is not None]
    every = {name: np.stack([getattr(member, name) for member in members]) for name in predicted}
    own = {f"member_{name}": every[name] for name in ("energy", "forces") if name in every}
    return Prediction(**{name: _mean(values) for name, values in every.items()}, **own)


def _mean(parts: Floats) -> Floats:
    mean: Floats = sum(parts[1:], start=parts[0]) / len(parts)
    return mean


def split(prediction: Prediction, graph: Graph) -> list[StructurePrediction]:
    """The B structures' own predictions, in the graph's order."""
    bulk: list[bool] = np.all(graph.pbc, axis=1).tolist()
    starts: list[int] = starts_of(graph.n_atoms).tolist()
    stored = [(row, getattr(prediction, row.name)) for row in STORED]
    predicted = [(row, values) for row, values in stored if values is not None]
    return [
        StructurePrediction(
            **{
                row.name: _own(row, values, b, slice(*ends))
                for row, values in predicted
                if bulk[b] or not row.bulk_only
            }
        )
        for b, ends in enumerate(pairwise(starts))
    ]


def _own(row: Property, values: Floats, structure: int, atoms: slice) -> Any:
    """What is a structure's own of the values of a graph."""
    chosen = atoms if row.per == "atom" else structure
    own = values[:, chosen] if row.members else values[chosen]
    return own if isinstance(own, np.ndarray) else float(own)
