"""What is known of an exported artifact's correctness: its certificate, and the probe that whoever
opens it compares.
"""

from typing import Annotated, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.atoms.structure import MAX_ATOMIC_NUMBER, MAX_CHARGE, Structure
from app.errors import InvalidStructure

Vector: TypeAlias = tuple[float, float, float]


class Part(BaseModel):
    """A part of a card: frozen, with nothing unknown in it, and all of its numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Deviations(Part):
    """Largest differences, of an artifact from its model or allowed between batches."""

    energy_per_atom: float = Field(ge=0, description="eV per atom")
    forces: float = Field(ge=0, description="eV/Å, per component")
    stress: float = Field(ge=0, description="eV/Å³, per component")


class Certificate(Part):
    """What the exported artifact was found to deviate from the eager float64 model, and on what.

    Deviations are absolute on frames that the training held out. Those on synthetic structures are
    in proportion to the structure's largest energy of an atom without its reference, force or
    stress, where it exceeds 1 eV, 1 eV/Å or 1 eV/Å³.
    """

    tolerance: Deviations
    largest: Deviations = Field(description="over all structures")
    held_out: Deviations | None = Field(
        default=None, description="over the held-out frames alone, if there were any"
    )
    systems: int = Field(ge=1, description="structures that were compared")
    repeats: int = Field(ge=1, description="runs of each batch, to catch races")


class Calibration(Part):
    """How well estimated errors agree with those on frames to which they were not fitted."""

    count: int = Field(ge=1, description="of the errors")
    spearman: float | None = Field(description="rank correlation of |error| and estimate")
    error_over_std: float | None = Field(
        description="root mean square error over root mean square estimate"
    )
    within_std: float = Field(description="share of the errors that are smaller than the estimate")


class Uncertainty(Part):
    """The estimates of a single model's errors, and how far to trust them."""

    energy: Calibration = Field(description="per atom, eV")
    forces: Calibration = Field(description="lengths of the error of an atom's force, eV/Å")
    false_alarms: float = Field(
        ge=0,
        le=1,
        description="share of held-out structures with an atom of novelty above 1, or beyond usual_forces",
    )
    usual_forces: float | None = Field(
        default=None,
        gt=0,
        description="eV/Å, of the estimated errors of a structure's forces, root mean square over its "
        "atoms, what 99 % of held-out structures are below; none on cards of before there was any",
    )


class Probe(Part):
    """A structure and what the model in float64 says of it; whoever opens the model compares."""

    numbers: tuple[Annotated[int, Field(ge=1, le=MAX_ATOMIC_NUMBER)], ...] = Field(max_length=1000)
    positions: tuple[Vector, ...] = Field(max_length=1000, description="Å")
    cell: tuple[Vector, Vector, Vector] = Field(description="Å, rows are lattice vectors")
    pbc: tuple[bool, bool, bool]
    charge: int = Field(default=0, ge=-MAX_CHARGE, le=MAX_CHARGE)
    energy: float = Field(description="eV")
    forces: tuple[Vector, ...] = Field(max_length=1000, description="eV/Å")
    tolerance: Deviations = Field(
        description="the certificate's, in proportion where the structure's values are large"
    )

    @property
    def structure(self) -> Structure:
        """Its atoms.

        Raises:
            InvalidStructure: they are none.
        """
        return Structure(
            np.array(self.numbers, dtype=np.int64),
            np.array(self.positions),
            np.array(self.cell),
            np.array(self.pbc),
            self.charge,
        )

    @model_validator(mode="after")
    def _is_a_structure(self) -> Self:
        try:
            atoms = len(self.structure)
        except InvalidStructure as error:
            raise ValueError(str(error)) from None
        if len(self.forces) != atoms:
            raise ValueError(f"{len(self.forces)} forces for {atoms} atoms")
        return self
