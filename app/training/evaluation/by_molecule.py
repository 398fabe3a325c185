"""Errors of each molecule, composition, charge, size or other group of a set of frames."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase.symbols import Symbols
from pydantic import BaseModel, ConfigDict

from app.atoms.structure import Floats, Integers
from app.errors import InvalidData
from app.training.data.frames import LabelledFrame
from app.training.evaluation.errors import Values, labels, p99

FORMULA = "formula"
SIZES = (1, 10, 20, 30, 50, 70, 100)
"""Atoms from which on groups of `size` begin."""


class GroupErrors(BaseModel):
    """Errors of the frames that share a name: energies in meV/atom, forces in meV/Å per component."""

    model_config = ConfigDict(frozen=True)

    name: str
    frames: int
    atoms: int
    energy_per_atom_mae: float | None = None
    energy_per_atom_rmse: float | None = None
    energy_per_atom_p99: float | None = None
    forces_mae: float | None = None
    forces_rmse: float | None = None
    forces_p99: float | None = None

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
        key: of the comment lines, whose value names the group; where they have none, `charge` and
            `size` are those of the structures; the chemical formula where not given.

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
    energies = _statistics(energy[labelled], group[labelled], len(names))
    of_components = np.repeat(group, n_atoms)[known].repeat(3)
    components = _statistics(forces[known].ravel(), of_components, len(names))
    groups = [
        GroupErrors(
            name=str(name),
            frames=int(count[i]),
            atoms=int(atoms[i]),
            energy_per_atom_mae=energies[i].mae,
            energy_per_atom_rmse=energies[i].rmse,
            energy_per_atom_p99=energies[i].p99,
            forces_mae=components[i].mae,
            forces_rmse=components[i].rmse,
            forces_p99=components[i].p99,
        )
        for i, name in enumerate(names)
    ]
    return sorted(groups, key=lambda errors: errors.severity, reverse=True)


def _name(frame: LabelledFrame, key: str | None) -> str:
    if key is None:
        return str(Symbols(frame.structure.numbers).get_chemical_formula())
    if key in frame.info:
        return str(frame.info[key])
    if key == "charge":
        return f"{frame.structure.charge:+d}" if frame.structure.charge else "0"
    if key == "size":
        return _size(len(frame.structure))
    known = ", ".join(frame.info) or "none besides the labels"
    raise InvalidData(f"--by {key}: {frame.origin} has no such key; its comment line has {known}")


def _size(atoms: int) -> str:
    last = bisect_right(SIZES, atoms) - 1
    if last + 1 == len(SIZES):
        return f"{SIZES[last]} atoms or more"
    return f"{SIZES[last]} to {SIZES[last + 1] - 1} atoms"


class _Statistics(NamedTuple):
    """Of the errors of one group; None where it has none."""

    mae: float | None = None
    rmse: float | None = None
    p99: float | None = None


def _statistics(errors: Floats, group: Integers, groups: int) -> list[_Statistics]:
    """Those of each group, of errors that are in any order."""
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=groups))[:-1]
    return [
        _Statistics(float(np.abs(own).mean()), float(np.sqrt((own**2).mean())), p99(own))
        if own.size
        else _Statistics()
        for own in np.split(errors[order], ends)
    ]
