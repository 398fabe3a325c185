"""`elastic`: the elastic tensor of a crystal, from stresses of strained cells."""

from typing import Self

import numpy as np
from pydantic import Field

from app.atoms.structure import Floats, Structure
from app.atoms.warnings import AnswerWarning
from app.relax.options import GPA
from app.tasks.asking import Asking
from app.tasks.crystals.moduli import Moduli
from app.tasks.crystals.strained import (
    CELLS,
    CrystalOptions,
    at_rest,
    check,
    deformed,
    relaxed_ions,
)
from app.tasks.kind import Done, TaskKind, TaskLimits, TaskValue

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Components in the order of Voigt: xx, yy, zz, yz, xz, xy."""
NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")
STEPS = (-1.0, -0.5, 0.5, 1.0)
"""Strains of each component, over the largest one."""


class ElasticOptions(CrystalOptions):
    """Relax crystals, strain their cells in six ways with atoms at rest, and fit the stresses."""

    strain: float = Field(
        default=0.01,
        gt=0,
        le=0.05,
        description="largest strain, either way; of shears the angle, 2ε",
    )
    relax_ions: bool = Field(default=True, description="whether atoms come to rest under strain")

    def bounded(self, limits: TaskLimits) -> Self:
        """See `TaskOptions`."""
        limits.check_evaluations(len(STEPS) * len(VOIGT), CELLS)
        return super().bounded(limits)


class ElasticValue(TaskValue):
    """The elastic tensor of a crystal at rest, in the Cartesian axes of its cell, and what is made of it.

    In Voigt's order xx, yy, zz, yz, xz, xy, with shears 2ε; positive stresses are tension.
    """

    elastic_tensor_GPa: list[list[float]] = Field(description="(6, 6), symmetric")
    compliance_tensor_per_GPa: list[list[float]] | None = Field(
        default=None, description="(6, 6), its inverse; none where it has none"
    )
    bulk_modulus_voigt_GPa: float
    bulk_modulus_reuss_GPa: float | None = None
    bulk_modulus_hill_GPa: float | None = None
    shear_modulus_voigt_GPa: float
    shear_modulus_reuss_GPa: float | None = None
    shear_modulus_hill_GPa: float | None = None
    youngs_modulus_GPa: float | None = Field(default=None, description="of Hill's moduli")
    poisson_ratio: float | None = Field(default=None, description="of Hill's moduli")
    universal_anisotropy: float | None = Field(default=None, description="0 where isotropic")
    eigenvalues_GPa: list[float] = Field(description="(6) of the tensor, the lowest first")
    is_stable: bool = Field(description="whether all of them are positive (Born's criterion)")
    asymmetry_GPa: float = Field(
        description="largest difference between elements that should be the same"
    )
    residual_GPa: float = Field(description="root mean square of the stresses that the fit leaves")
    strained_cells: int


async def run(asking: Asking, structure: Structure, options: ElasticOptions) -> Done:
    """Relax a crystal, and fit its stresses under strain.

    Raises:
        InvalidStructure: it does not repeat in all directions.
        NotConverged: it has no minimum, or none under one of the strains.
    """
    relaxed, doubts = await at_rest(asking, structure, options)
    strains = np.array([options.strain * step * axis for axis in np.eye(6) for step in STEPS])
    cells = [deformed(relaxed.structure, np.eye(3) + full_strain(strain)) for strain in strains]
    names = [f"strain {NAMES[i // len(STEPS)]} {strains[i].sum():g}" for i in range(len(strains))]
    if options.relax_ions:
        ended = await relaxed_ions(asking, cells, names, options.ions)
        predictions = [each.prediction for each in ended]
    else:
        predictions = await asking.predict(cells, CELLS)
    stress = np.array([p.stress for p in predictions if p.stress is not None])
    tensor, asymmetry, residual = fitted(strains, in_voigt(stress) / GPA)
    moduli = Moduli.of(tensor)
    value = ElasticValue(
        elastic_tensor_GPa=tensor.tolist(),
        eigenvalues_GPa=moduli.eigenvalues.tolist(),
        is_stable=moduli.is_stable,
        asymmetry_GPa=asymmetry,
        residual_GPa=residual,
        strained_cells=len(cells),
        **moduli.named(),
    )
    return Done(value, relaxed, (*doubts, *_unstable(moduli)))


def full_strain(strain: Floats) -> Floats:
    """(3, 3), symmetric, of a strain (6,) in Voigt's order with shears 2ε."""
    full = np.zeros((3, 3))
    for value, (i, j) in zip(strain, VOIGT, strict=True):
        full[i, j] = full[j, i] = value if i == j else 0.5 * value
    return full


def in_voigt(stress: Floats) -> Floats:
    """(K, 6), stresses (K, 3, 3) in Voigt's order."""
    return np.stack([stress[:, i, j] for i, j in VOIGT], axis=1)


def fitted(strains: Floats, stresses: Floats) -> tuple[Floats, float, float]:
    """The tensor C of σ = σ0 + C ε by least squares.

    Args:
        strains: (K, 6), shears 2ε.
        stresses: (K, 6).

    Returns:
        (6, 6), made symmetric; the largest difference between elements that should be the same; and
        the root mean square of what is left; all in units of the stresses.
    """
    known = np.column_stack([np.ones(len(strains)), strains])
    solution = np.linalg.lstsq(known, stresses, rcond=None)[0]
    left = stresses - known @ solution
    raw = solution[1:].T
    asymmetry = float(np.abs(raw - raw.T).max())
    return 0.5 * (raw + raw.T), asymmetry, float(np.sqrt(np.mean(left**2)))


def _unstable(moduli: Moduli) -> tuple[AnswerWarning, ...]:
    if moduli.is_stable:
        return ()
    told = (
        f"the lowest eigenvalue of the elastic tensor is {moduli.eigenvalues[0]:.3g} GPa: the crystal "
        "gains energy by that strain, and is no minimum; averages of Reuss and Hill mean nothing of it"
    )
    return (AnswerWarning("mechanically_unstable", told),)


ELASTIC = TaskKind(
    "elastic",
    "elastic tensor of crystals, moduli of Voigt, Reuss and Hill, mechanical stability",
    ElasticOptions,
    ElasticValue,
    run,
    check,
)
