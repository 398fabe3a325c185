"""What `thermo` is asked for."""

from typing import Literal, Self

from pydantic import Field, model_validator

from app.tasks.kind import TaskOptions

OF_GASES = ("pressure_Pa", "symmetry_number", "symmetry_tolerance_A")


class ThermoOptions(TaskOptions):
    """Relax structures, and say what statistical thermodynamics makes of their vibrations."""

    temperature_K: float = Field(default=298.15, ge=1, le=10_000, description="K")
    pressure_Pa: float = Field(
        default=101_325.0, ge=1e-6, allow_inf_nan=False, description="Pa, of an ideal gas; 1 atm"
    )
    treatment: Literal["auto", "ideal_gas", "harmonic"] = Field(
        default="auto",
        description="`ideal_gas`: a molecule that moves, turns and vibrates; `harmonic`: vibrations "
        "alone, as of an adsorbate; `auto`: an ideal gas of what neither repeats nor has fixed atoms",
    )
    symmetry_number: int | None = Field(
        default=None,
        ge=1,
        le=120,
        description="rotations that lead the molecule onto itself; found where not stated",
    )
    symmetry_tolerance_A: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description="Å by which atoms may miss each other's places when the number is found",
    )
    low_modes: Literal["harmonic", "quasi_rrho"] = Field(
        default="harmonic",
        description="entropy of low modes: as of oscillators, or, by Grimme, more and more as of "
        "rotors",
    )
    rotor_cutoff_per_cm: float = Field(
        default=100.0, gt=0, le=1000, description="cm⁻¹, where a mode is half a rotor (quasi_rrho)"
    )
    displacement_A: float = Field(
        default=0.005, ge=0.001, le=0.1, description="Å by which atoms are moved for the Hessian"
    )
    normal_modes: bool = Field(default=False, description="whether the modes' shapes are told")
    hessian: bool = Field(default=False, description="whether the Hessian is told")

    @model_validator(mode="after")
    def _are_of_the_treatment(self) -> Self:
        stated = self.model_fields_set
        if self.treatment == "harmonic" and (of_gases := self.of_gases):
            raise ValueError(
                f"{of_gases[0]}: is of an ideal gas, and treatment harmonic is asked for"
            )
        if self.low_modes == "harmonic" and "rotor_cutoff_per_cm" in stated:
            raise ValueError(
                "rotor_cutoff_per_cm: is of quasi_rrho, and low_modes harmonic is asked for"
            )
        if self.symmetry_number is not None and "symmetry_tolerance_A" in stated:
            raise ValueError("symmetry_tolerance_A: the symmetry_number is stated; leave one out")
        return self

    @property
    def of_gases(self) -> list[str]:
        """The stated options that only an ideal gas has."""
        return [name for name in OF_GASES if name in self.model_fields_set]
