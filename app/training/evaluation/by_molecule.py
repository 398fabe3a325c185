"""Errors of each molecule, or of each composition, of a set of frames."""

from collections.abc import Sequence

import numpy as np
from ase.symbols import Symbols
from pydantic import BaseModel, ConfigDict

from app.atoms.structure import Floats, Integers
from app.errors import InvalidData
from app.training.data.frames import LabelledFrame
from app.training.evaluation.errors import Values, labels

FORMULA = "formula"


class GroupErrors(BaseModel):
    """Errors of the frames that share a name: energies in meV/atom, forces in meV/Å per component."""

    model_config = ConfigDict(frozen=True)

    name: str
    frames: int
    atoms: int
    energy_per_atom_mae: float | None = None
    energy_per_atom_rmse: float | None = None
    forces_mae: float | None = None
    forces_rmse: float | None = None

    @property
    def severity(self) -> tuple[float, float]:
        """What groups are ordered by: the forces' mean absolute error, then the energy's."""
        forces, energy = (
            -1.0 if mae is None else mae for mae in (self.forces_mae, self.energy_per_atom_mae)
        )
        return forces, energy


def by_molecule(
    predicted: Values, frames: Sequence[LabelledFrame], key: str | None = None
) -> list[GroupErrors]:
    """Errors of each group of frames, the worst first.

    Args:
        predicted: what a model says about the frames, in their order.
        frames: labelled.
        key: of the comment lines, whose value names the group; the chemical formula where not
            given.

    Raises:
        InvalidData: a frame has no such key.
    """
    names, group = np.unique([_name(frame, key) for frame in frames], return_inverse=True)
    expected = labels(frames)
    n_atoms = np.array([len(f.structure) for f in frames])
    energy = 1e3 * (predicted.energy - expected.energy) / n_atoms
    forces = 1e3 * (predicted.forces - expected.forces)
    known = np.isfinite(expected.forces).all(axis=1)
    count, atoms = (np.bincount(group, weights=w, minlength=len(names)) for w in (None, n_atoms))
    labelled = np.isfinite(expected.energy)
    energies = _means(energy[labelled], group[labelled], len(names))
    components = _means(
        forces[known].ravel(), np.repeat(group, n_atoms)[known].repeat(3), len(names)
    )
    groups = [
        GroupErrors(
            name=str(name),
            frames=int(count[i]),
            atoms=int(atoms[i]),
            energy_per_atom_mae=energies[0][i] if energies[2][i] else None,
            energy_per_atom_rmse=energies[1][i] if energies[2][i] else None,
            forces_mae=components[0][i] if components[2][i] else None,
            forces_rmse=components[1][i] if components[2][i] else None,
        )
        for i, name in enumerate(names)
    ]
    return sorted(groups, key=lambda errors: errors.severity, reverse=True)


def _name(frame: LabelledFrame, key: str | None) -> str:
    if key is None:
        return str(Symbols(frame.structure.numbers).get_chemical_formula())
    if key not in frame.info:
        known = ", ".join(frame.info) or "none besides the labels"
        raise InvalidData(
            f"--by {key}: {frame.origin} has no such key; its comment line has {known}"
        )
    return str(frame.info[key])


def _means(errors: Floats, group: Integers, groups: int) -> tuple[Floats, Floats, Integers]:
    """Mean absolute error, root mean square error and number of the errors of each group."""
    count = np.bincount(group, minlength=groups)
    several = np.maximum(count, 1)
    absolute, square = (
        np.bincount(group, weights=w, minlength=groups) / several
        for w in (np.abs(errors), errors**2)
    )
    return absolute, np.sqrt(square), count
