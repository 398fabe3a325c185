"""An ideal gas of one molecule: what its motions as a whole add to its vibrations."""

from dataclasses import dataclass
from typing import Self

from app.atoms.structure import Floats, Structure
from app.tasks.thermo.options import ThermoOptions
from app.tasks.thermo.rigid import Rotor
from app.tasks.thermo.statistics import Part, electrons, rotation, translation
from app.tasks.thermo.symmetry import symmetry_number


@dataclass(frozen=True, slots=True, eq=False)
class Gas:
    """What the statistics of a molecule takes.

    Attributes:
        mass: amu.
        rotor: how it turns.
        symmetry_number: rotations that lead it onto itself.
        multiplicity: of its spin, as stated; where it is not, the lowest one.
    """

    mass: float
    rotor: Rotor
    symmetry_number: int
    multiplicity: int

    @classmethod
    def of(cls, structure: Structure, masses: Floats, options: ThermoOptions) -> Self:
        """That of a minimum whose atoms have some masses, (N,) in amu."""
        electrons = int(structure.numbers.sum()) - structure.charge
        found = (structure.numbers, structure.positions, options.symmetry_tolerance_A)
        return cls(
            float(masses.sum()),
            Rotor.of(structure.positions, masses),
            options.symmetry_number or symmetry_number(*found),
            structure.multiplicity or 1 + electrons % 2,
        )

    def parts(self, options: ThermoOptions) -> dict[str, Part]:
        """What each of its motions adds."""
        temperature = options.temperature_K
        return {
            "translation": translation(self.mass, temperature, options.pressure_Pa),
            "rotation": rotation(self.rotor, self.symmetry_number, temperature),
            "electrons": electrons(self.multiplicity),
        }
