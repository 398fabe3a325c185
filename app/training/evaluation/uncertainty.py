"""How well a committee's standard deviations foretell its errors."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.stats import spearmanr

from app.atoms.structure import Floats
from app.training.data.frames import LabelledFrame
from app.training.evaluation.errors import Values, labels


class Reliability(BaseModel):
    """Errors beside standard deviations σ.

    Attributes:
        count: of the errors.
        spearman: rank correlation of |error| and σ; None where either is constant.
        error_over_std: root mean square error over root mean square σ; above 1 the model is
            overconfident.
        within_std: share of the errors that are smaller than their σ. Of normal errors it is 0.68
            for energies, and 0.61 for the lengths of force errors, whose σ is that of three
            components.
    """

    model_config = ConfigDict(frozen=True)

    count: int
    spearman: float | None
    error_over_std: float | None
    within_std: float


class Uncertainty(BaseModel):
    """Reliability of the standard deviations of energies (per atom) and of atoms' forces."""

    model_config = ConfigDict(frozen=True)

    energy: Reliability | None = None
    forces: Reliability | None = None


def uncertainty(predicted: Values, frames: Sequence[LabelledFrame]) -> Uncertainty | None:
    """Errors beside standard deviations; None where the predictions have none."""
    if predicted.energy_std is None and predicted.forces_std is None:
        return None
    energy = forces = None
    if predicted.energy_std is not None:
        n_atoms = np.array([len(f.structure) for f in frames])
        error = (predicted.energy - labels(frames).energy) / n_atoms
        known = np.isfinite(error)
        stds = (predicted.energy_std / n_atoms)[known]
        energy = reliability(error[known], stds) if known.any() else None
    if predicted.forces_std is not None:
        lengths, stds = force_errors(predicted, frames)
        forces = reliability(lengths, stds) if len(lengths) else None
    return Uncertainty(energy=energy, forces=forces)


def force_errors(predicted: Values, frames: Sequence[LabelledFrame]) -> tuple[Floats, Floats]:
    """(n,) lengths of the force's error and (n,) standard deviations, eV/Å, of the n atoms with a
    label.
    """
    assert predicted.forces_std is not None
    lengths: Floats = np.linalg.norm(predicted.forces - labels(frames).forces, axis=1)
    known = np.isfinite(lengths)
    return lengths[known], predicted.forces_std[known]


def reliability(error: Floats, std: Floats) -> Reliability:
    """Of (n,) errors of any sign beside their (n,) standard deviations, in the same unit."""
    size = np.abs(error)
    constant = np.ptp(size) == 0 or np.ptp(std) == 0
    largest = float(np.sqrt((std**2).mean()))
    return Reliability(
        count=len(size),
        spearman=None if constant else float(spearmanr(size, std).statistic),
        error_over_std=float(np.sqrt((size**2).mean())) / largest if largest else None,
        within_std=float((size <= std).mean()),
    )
