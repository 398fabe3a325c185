"""Errors of a model on labelled frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase.data import chemical_symbols
from pydantic import BaseModel, ConfigDict

from app.atoms.ragged import ranges, starts_of
from app.atoms.structure import Floats
from app.training.data.batches import BatchSize, Collator, batches
from app.training.data.frames import LabelledFrame
from app.training.evaluation.forward import predict
from app.training.models.network import Network


@dataclass(frozen=True, slots=True)
class Values:
    """Energies, forces and stresses of F frames with N atoms, predicted or labelled.

    Attributes:
        energy: (F,), eV, total; NaN where there is no label.
        forces: (N, 3), eV/Å; NaN where there is no label.
        stress: (F, 3, 3), eV/Å³; NaN where there is none.
        energy_std: (F,), eV; standard deviation of the energy over a committee's members.
        forces_std: (N,), eV/Å; that of each atom's force: root of the summed variances of its
            components.
    """

    energy: Floats
    forces: Floats
    stress: Floats
    energy_std: Floats | None = None
    forces_std: Floats | None = None


class Errors(BaseModel):
    """Mean absolute errors, root mean square errors and 99th percentiles over a set of frames.

    Energies in meV (per structure) and meV/atom, forces in meV/Å per component, stress in meV/Å³
    per component.
    """

    model_config = ConfigDict(frozen=True)

    frames: int
    atoms: int
    energy_mae: float | None = None
    energy_rmse: float | None = None
    energy_per_atom_mae: float | None = None
    energy_per_atom_rmse: float | None = None
    energy_per_atom_p99: float | None = None
    forces_mae: float | None = None
    forces_rmse: float | None = None
    forces_p99: float | None = None
    stress_mae: float | None = None
    stress_rmse: float | None = None
    forces_mae_by_element: dict[str, float] = {}
    forces_rmse_by_element: dict[str, float] = {}
    forces_p99_by_element: dict[str, float] = {}


def labels(frames: Sequence[LabelledFrame]) -> Values:
    """The reference values of some frames."""
    missing = np.full((3, 3), np.nan)
    return Values(
        np.array([f.energy for f in frames]),
        np.concatenate([f.forces for f in frames]),
        np.array([missing if f.stress is None else f.stress for f in frames]),
    )


def predict_frames(
    model: Network, collator: Collator, size: BatchSize, device: torch.device
) -> Values:
    """What a model says about all frames of a data set, in their order."""
    data = collator.dataset
    order = np.argsort(data.n_atoms, kind="stable")
    parts = []
    for indices in batches(data, order, size):
        outputs = predict(model, collator(indices).to(device), create_graph=False)
        parts.append([t.double().cpu().numpy() for t in outputs])
    energy, forces, stress = (np.concatenate(column) for column in zip(*parts, strict=True))
    back = np.argsort(order)
    atoms = ranges(starts_of(data.n_atoms[order])[back], data.n_atoms)
    stress = np.where(np.isnan(collator.volume)[:, None, None], np.nan, stress[back])
    return Values(energy[back] + collator.references, forces[atoms], stress)


def errors(predicted: Values, frames: Sequence[LabelledFrame]) -> Errors:
    """Errors of predictions for frames, in their order."""
    expected = labels(frames)
    n_atoms = np.array([len(f.structure) for f in frames])
    labelled = np.isfinite(expected.energy)
    energy = 1e3 * (predicted.energy - expected.energy)[labelled]
    energy_per_atom = energy / n_atoms[labelled]
    forces = 1e3 * (predicted.forces - expected.forces)
    stress = 1e3 * (predicted.stress - expected.stress)
    stress = stress[np.isfinite(stress)]
    numbers = np.concatenate([f.structure.numbers for f in frames])
    known = np.isfinite(expected.forces).all(axis=1)
    numbers, forces = numbers[known], forces[known]
    by_element = {chemical_symbols[z]: forces[numbers == z] for z in np.unique(numbers)}
    return Errors(
        frames=len(frames),
        atoms=int(n_atoms.sum()),
        energy_mae=_mae(energy),
        energy_rmse=_rmse(energy),
        energy_per_atom_mae=_mae(energy_per_atom),
        energy_per_atom_rmse=_rmse(energy_per_atom),
        energy_per_atom_p99=p99(energy_per_atom),
        forces_mae=_mae(forces),
        forces_rmse=_rmse(forces),
        forces_p99=p99(forces),
        stress_mae=_mae(stress),
        stress_rmse=_rmse(stress),
        forces_mae_by_element=_known({symbol: _mae(part) for symbol, part in by_element.items()}),
        forces_rmse_by_element=_known({symbol: _rmse(part) for symbol, part in by_element.items()}),
        forces_p99_by_element=_known({symbol: p99(part) for symbol, part in by_element.items()}),
    )


def _known(values: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


def _mae(values: Floats) -> float | None:
    """None where there are no values."""
    return float(np.abs(values).mean()) if values.size else None


def _rmse(values: Floats) -> float | None:
    return float(np.sqrt((values**2).mean())) if values.size else None


def p99(values: Floats) -> float | None:
    """What 99 % of the absolute values are below; None where there are no values."""
    return float(np.quantile(np.abs(values), 0.99)) if values.size else None
