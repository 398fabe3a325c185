"""The part of a training config that says where labelled frames come from."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

from ase.data import atomic_numbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.training.data import units

Item = TypeVar("Item")
ENDINGS = {
    "npz": "npz",
    "xyz": "extxyz",
    "extxyz": "extxyz",
    "db": "db",
    "aselmdb": "lmdb",
    "lmdb": "lmdb",
}


class Section(BaseModel):
    """A part of the config; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _one_of(quantity: str) -> AfterValidator:
    def check(unit: str) -> str:
        if unit not in units.TABLES[quantity]:
            raise ValueError(f"choose one of: {', '.join(units.TABLES[quantity])}")
        return unit

    return AfterValidator(check)


def _slice(text: str) -> str:
    if not re.fullmatch(r"(-?\d*):(-?\d*)(:-?[1-9]\d*|:)?", text):
        raise ValueError("write a slice such as ':', ':100', '-50:' or '::10'")
    return text


def _symbols(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for symbol in values or ():
        if atomic_numbers.get(symbol, 0) < 1:
            raise ValueError(f"'{symbol}' is no chemical symbol")
    if values is not None and len(set(values)) < len(values):
        raise ValueError("an element stands twice")
    return values


class Units(Section):
    """Units of the labels in a file.

    A file may not contradict them (`energy_unit`, `forces_unit`, …).
    """

    energy: Annotated[str, _one_of("energy")] = "eV"
    length: Annotated[str, _one_of("length")] = "Å"
    force: Annotated[str, _one_of("force")] | None = Field(
        None, description="by default energy over length"
    )
    stress: Annotated[str, _one_of("stress")] = "eV/Å³"

    @property
    def force_factor(self) -> float:
        """eV/Å in one unit of force."""
        if self.force is not None:
            return units.FORCE[self.force]
        return units.ENERGY[self.energy] / units.LENGTH[self.length]


class Keys(Section):
    """Names under which a file holds the labels; by default those of its format."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    numbers: str | None = Field(None, description="npz only")
    positions: str | None = Field(None, description="npz only")


class Source(Section):
    """A file, or a folder, of labelled frames; or several files that match a pattern."""

    path: str = Field(
        min_length=1,
        description="absolute, or relative to the data root or to the config file; may hold *, ? and []",
    )
    format: Literal["auto", "extxyz", "ase", "db", "lmdb", "npz", "deepmd", "qm9"] = Field(
        "auto", description="auto goes by the file's name"
    )
    index: Annotated[str, AfterValidator(_slice)] = Field(
        ":", description="which frames, as a Python slice"
    )
    units: Units | None = Field(
        None, description="must be stated for npz; elsewhere eV, Å and eV/Å³"
    )
    keys: Keys = Keys()
    weight: float = Field(
        1.0, gt=0, description="how many times the errors of these frames count in the loss"
    )
    missing_forces: bool = Field(
        False, description="frames may have no forces, and then teach energies only"
    )
    missing_stress: bool = Field(
        False, description="bulk frames may have no stress though the loss counts stresses"
    )
    leave_out: str | None = Field(
        None, description="qm9: file with numbers of molecules that are not to be used"
    )

    @property
    def label_units(self) -> Units:
        """Units of the labels."""
        return self.units or Units(energy="Hartree" if self.kind == "qm9" else "eV")

    @property
    def lacks_forces(self) -> bool:
        """Whether frames may have no forces."""
        return self.missing_forces or self.kind == "qm9"

    @property
    def lacks_energy(self) -> bool:
        """Whether frames may have no energy."""
        return False

    @property
    def kind(self) -> str:
        """The format: `extxyz`, `ase`, `db`, `lmdb`, `npz`, `deepmd` or `qm9`."""
        if self.format != "auto":
            return self.format
        ending = self.path.rsplit(".", 1)[-1].lower()
        return ENDINGS.get(ending, "ase")

    @property
    def frames(self) -> slice:
        """The slice that `index` writes."""
        return slice(*(int(part) if part else None for part in self.index.split(":")))

    def chosen(self, items: Iterable[Item]) -> Iterator[tuple[int, Item]]:
        """The items that `index` chooses, with their places; one at a time, unless it counts from
        the end.
        """
        which = self.frames
        if any(part is not None and part < 0 for part in (which.start, which.stop, which.step)):
            return iter(list(enumerate(items))[which])
        return islice(enumerate(items), which.start, which.stop, which.step)

    @model_validator(mode="after")
    def _npz_states_units(self) -> "Source":
        if self.kind == "npz" and self.units is None:
            raise ValueError(
                "npz files carry no units; add units, for example {energy: kcal/mol, length: Å}"
            )
        return self

    @model_validator(mode="after")
    def _format_has_these_keys(self) -> "Source":
        if self.kind == "deepmd" and self.keys != Keys():
            raise ValueError("deepmd folders have fixed names; leave keys out")
        if self.kind == "qm9" and self.units is not None:
            raise ValueError("QM9 is in Hartree and Å; leave units out")
        if self.kind == "qm9" and self.keys.energy not in (None, "U0", "U", "H", "G"):
            raise ValueError("keys.energy of QM9: choose one of U0, U, H, G")
        if self.kind != "qm9" and self.leave_out is not None:
            raise ValueError("leave_out is for the format qm9 only")
        return self


class PartlyLabelled(Source):
    """A file whose frames are not trained on: each may have an energy or forces alone, unless the
    label's key is stated.
    """

    @property
    def lacks_forces(self) -> bool:
        """Whether frames may have no forces."""
        return self.keys.forces is None or super().lacks_forces

    @property
    def lacks_energy(self) -> bool:
        """Whether frames may have no energy."""
        return self.keys.energy is None


def _many(value: Any) -> Any:
    if value is None:
        return ()
    parts = value if isinstance(value, (list, tuple)) else [value]
    return tuple({"path": part} if isinstance(part, str) else part for part in parts)


Sources = Annotated[tuple[Source, ...], BeforeValidator(_many)]
Share = Annotated[int, Field(ge=0, strict=True)] | Annotated[float, Field(ge=0, lt=1, strict=True)]


class Split(Section):
    """How frames of `data.train` are set aside for sets that have no files of their own."""

    validation: Share = Field(0.1, description="a count of frames, or a fraction below 1")
    test: Share = Field(0, description="a count of frames, or a fraction below 1")
    seed: int = Field(0, ge=0)
    by: str | None = Field(None, description="info key; frames that share its value stay together")


class Data(Section):
    """Where labelled frames come from."""

    train: Annotated[Sources, Field(min_length=1)]
    validation: Sources = ()
    test: Sources = ()
    split: Split = Split()
    elements: Annotated[tuple[str, ...] | None, AfterValidator(_symbols)] = Field(
        None, min_length=1, description="those of the training frames by default; others are errors"
    )
