"""How far two answers that should be equal may differ, by the dtype that the model computes in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """Absolute tolerances; those of derivatives grow with the largest force or stress beyond 1.

    Attributes:
        energy_per_atom: eV.
        forces: eV/Å.
        stress: eV/Å³.
        gradient: eV/Å, between forces and finite differences of the energy, also per unit of stress
            times volume.
        step: Å, of finite differences.
    """

    energy_per_atom: float
    forces: float
    stress: float
    gradient: float
    step: float


TOLERANCES = {
    "float64": Tolerance(
        energy_per_atom=1e-10, forces=1e-9, stress=1e-10, gradient=1e-6, step=2e-3
    ),
    "float32": Tolerance(energy_per_atom=1e-5, forces=5e-5, stress=1e-5, gradient=2e-3, step=1e-2),
}
