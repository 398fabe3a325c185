"""`eos`: the equation of state of a crystal, from energies at several volumes."""

import warnings
from typing import Literal, Self

import numpy as np
from pydantic import Field

from app.atoms.structure import Floats, Structure
from app.atoms.warnings import AnswerWarning
from app.errors import NotConverged
from app.relax.options import GPA
from app.tasks.asking import Asking
from app.tasks.crystals.strained import (
    CELLS,
    CrystalOptions,
    at_rest,
    check,
    deformed,
    relaxed_ions,
)
from app.tasks.kind import Done, TaskKind, TaskLimits, TaskValue

FORMS = {"birch_murnaghan": "birchmurnaghan", "vinet": "vinet", "murnaghan": "murnaghan"}
"""Names of ASE's."""
SOUND_DERIVATIVES = (1.0, 12.0)
"""B0' beyond which a fit is doubted; of crystals, 2 to 8 are usual."""
LEFT = 0.05
"""Of the range of the energies, that a fit may leave."""


class EosOptions(CrystalOptions):
    """Relax crystals, change their volume in steps with atoms at rest, and fit an equation of state."""

    form: Literal["birch_murnaghan", "vinet", "murnaghan"] = Field(
        default="birch_murnaghan", description="equation that is fitted, of third order"
    )
    points: int = Field(default=9, ge=5, le=51, description="volumes")
    volume_range: float = Field(
        default=0.06,
        gt=0,
        le=0.3,
        description="largest change of the volume, either way, over that at rest",
    )
    relax_ions: bool = Field(default=True, description="whether atoms come to rest at each volume")

    def bounded(self, limits: TaskLimits) -> Self:
        """See `TaskOptions`."""
        limits.check_evaluations(self.points, CELLS)
        return super().bounded(limits)


class EosValue(TaskValue):
    """The equation of state of a crystal; energies and volumes are of the cell that was sent."""

    form: Literal["birch_murnaghan", "vinet", "murnaghan"]
    volume_A3: float = Field(description="V0, where the energy is lowest")
    volume_per_atom_A3: float
    energy_eV: float = Field(description="E0, there")
    bulk_modulus_GPa: float = Field(description="B0")
    bulk_modulus_derivative: float = Field(description="B0', by the pressure")
    residual_eV: float = Field(description="root mean square of what the fit leaves")
    volumes_A3: list[float]
    energies_eV: list[float]
    pressures_GPa: list[float] = Field(description="of the stress that the model gives there")


async def run(asking: Asking, structure: Structure, options: EosOptions) -> Done:
    """Relax a crystal, and fit its energies at several volumes.

    Raises:
        InvalidStructure: it does not repeat in all directions.
        NotConverged: it has no minimum, or none at one of the volumes, or none within them.
    """
    relaxed, doubts = await at_rest(asking, structure, options)
    ratios = 1.0 + np.linspace(-options.volume_range, options.volume_range, options.points)
    cells = [deformed(relaxed.structure, np.eye(3) * ratio ** (1 / 3)) for ratio in ratios]
    names = [f"{ratio:.3f} times the volume at rest" for ratio in ratios]
    if options.relax_ions:
        ended = await relaxed_ions(asking, cells, names, options.ions)
        predictions = [each.prediction for each in ended]
    else:
        predictions = await asking.predict(cells, CELLS)
    volumes = np.array([cell.volume for cell in cells])
    energies = np.array([prediction.energy for prediction in predictions])
    stress = np.array([prediction.stress for prediction in predictions])
    energy, modulus, derivative, volume, residual = fitted(volumes, energies, options.form)
    if not volumes[0] < volume < volumes[-1]:
        raise NotConverged(
            f"the energy is lowest at {volume:.4g} Å³, outside of the volumes from {volumes[0]:.4g} to "
            f"{volumes[-1]:.4g} Å³; relax the cell first (cell), or state a larger volume_range"
        )
    if modulus <= 0:
        raise NotConverged(
            f"the fit has a bulk modulus of {modulus / GPA:.3g} GPa: the energies have no minimum; relax "
            "the cell first (cell), or state a smaller volume_range"
        )
    value = EosValue(
        form=options.form,
        volume_A3=volume,
        volume_per_atom_A3=volume / len(structure),
        energy_eV=energy,
        bulk_modulus_GPa=modulus / GPA,
        bulk_modulus_derivative=derivative,
        residual_eV=residual,
        volumes_A3=volumes.tolist(),
        energies_eV=energies.tolist(),
        pressures_GPa=(-np.trace(stress, axis1=1, axis2=2) / 3.0 / GPA).tolist(),
    )
    return Done(value, relaxed, (*doubts, *_doubtful(value)))


def _doubtful(value: EosValue) -> tuple[AnswerWarning, ...]:
    """A warning where the fit is none that a crystal has, or leaves much of the energies."""
    least, most = SOUND_DERIVATIVES
    depth = max(value.energies_eV) - min(value.energies_eV)
    told = []
    if not least < value.bulk_modulus_derivative < most:
        told.append(
            f"B0' is {value.bulk_modulus_derivative:.3g}; crystals have {least:g} to {most:g}"
        )
    if value.residual_eV > LEFT * depth:
        told.append(
            f"the fit leaves {value.residual_eV:.2g} eV of energies that differ by {depth:.2g} eV"
        )
    if not told:
        return ()
    why = "; ".join(told)
    return (
        AnswerWarning(
            "doubtful_fit",
            f"{why}: look at energies_eV, and ask with another volume_range or more points",
        ),
    )


def fitted(
    volumes: Floats, energies: Floats, form: str
) -> tuple[float, float, float, float, float]:
    """E0 in eV, B0 in eV/Å³, B0', V0 in Å³, and what the fit leaves, in eV.

    Args:
        volumes: (K,), Å³.
        energies: (K,), eV.
        form: of the equation.

    Raises:
        NotConverged: the equation does not fit.
    """
    from ase import eos
    from scipy.optimize import OptimizeWarning

    fit = eos.EquationOfState(volumes, energies, FORMS[form])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # of a covariance that nobody asks for
            fit.fit(warn=False)
    except (RuntimeError, ValueError) as error:
        raise NotConverged(f"{form} does not fit the energies: {error}") from None
    energy, modulus, derivative, volume = map(float, fit.eos_parameters)
    left = getattr(eos, FORMS[form])(volumes, *fit.eos_parameters) - energies
    return energy, modulus, derivative, volume, float(np.sqrt(np.mean(left**2)))


EOS = TaskKind(
    "eos",
    "equation of state of crystals: equilibrium volume, bulk modulus and its derivative",
    EosOptions,
    EosValue,
    run,
    check,
)
