"""What goes over the wire, as pydantic types; unknown fields are refused by name.

Structures are validated one by one, so that a bad one costs only itself.
"""

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WrapValidator,
    model_validator,
)

from app.atoms.structure import Booleans, Structure, numbers_from_symbols
from app.errors import InvalidRequest, InvalidStructure
from app.protocol.arrays import as_floats, as_integers, as_rows

CellFreedom = Literal["fixed", "full", "isotropic", "lengths"]
Axis = Literal["a", "b", "c"]
Property = Literal["energy", "forces", "stress", "energies"]
PROPERTIES: tuple[Property, ...] = ("energy", "forces", "stress", "energies")
DEFAULT_PROPERTIES: tuple[Property, ...] = ("energy", "forces", "stress")
DERIVATIVES: frozenset[Property] = frozenset({"forces", "stress"})
"""Where none of them is asked for, none is computed."""
UNITS = {
    "energy": "eV",
    "energies": "eV",
    "forces": "eV/Å",
    "stress": "eV/Å³",
    "energy_std": "eV",
    "forces_std": "eV/Å",
    "fmax": "eV/Å",
    "positions": "Å",
    "cell": "Å",
}
ENERGY_STD = "eV, standard deviation over the members; beside `energy`, of a committee only"
FORCES_STD = "(N) eV/Å, standard deviation of each atom's force over the members; beside `forces`, of a committee only"

Vector = Annotated[list[float], Field(min_length=3, max_length=3)]
Matrix = Annotated[list[Vector], Field(min_length=3, max_length=3)]
Flags = Annotated[list[bool], Field(min_length=3, max_length=3)]

WATER: dict[str, JsonValue] = {
    "symbols": ["O", "H", "H"],
    "positions": [[0.0, 0.0, 0.119], [0.0, 0.763, -0.477], [0.0, -0.763, -0.477]],
    "id": "water",
}


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StructureIn(_Wire):
    """Atoms in an optional periodic box; elements either as `symbols` or as `numbers`."""

    model_config = ConfigDict(json_schema_extra={"example": WATER})

    symbols: list[str] | None = Field(default=None, description="(N) chemical symbols")
    numbers: Annotated[list[int], WrapValidator(as_integers)] | None = Field(
        default=None, description="(N) atomic numbers"
    )
    positions: Annotated[list[Vector], WrapValidator(as_rows)] = Field(description="(N, 3) Å")
    cell: Annotated[Matrix, WrapValidator(as_floats)] | None = Field(
        default=None, description="(3, 3) Å, rows are lattice vectors"
    )
    pbc: bool | Flags | None = Field(
        default=None, description="periodicity; true with a cell, false without"
    )
    charge: int = Field(
        default=0, ge=-1000, le=1000, description="total charge, in elementary charges"
    )
    multiplicity: int | None = Field(
        default=None, ge=1, le=1000, description="spin multiplicity 2S+1"
    )
    fixed: list[int] = Field(
        default=[], description="numbers, from 0, of atoms that a relaxation does not move"
    )
    id: str | None = Field(default=None, max_length=1000, description="comes back with the result")

    @model_validator(mode="after")
    def _one_list_of_elements(self) -> Self:
        if (self.symbols is None) == (self.numbers is None):
            raise ValueError("give the elements as either 'symbols' or 'numbers', and not as both")
        return self

    def structure(self) -> Structure:
        """The validated structure.

        Raises:
            InvalidStructure: naming the atom or field, the value, the limit and the remedy.
        """
        numbers = (
            numbers_from_symbols(self.symbols)
            if self.symbols is not None
            else _integers(self.numbers)
        )
        return Structure(
            numbers,
            np.asarray(self.positions),
            np.zeros((3, 3)) if self.cell is None else np.asarray(self.cell),
            np.array(self.cell is not None if self.pbc is None else self.pbc),
            self.charge,
            self.multiplicity,
            _fixed(self.fixed, len(numbers)) if self.fixed else None,
        )


def _freedom(cell: object) -> object:
    return {"true": "full", "false": "fixed"}.get(str(cell).lower(), cell)


class RelaxIn(_Wire):
    """Move the atoms until no force is longer than `fmax`."""

    fmax: float = Field(default=0.05, gt=0, allow_inf_nan=False, description="eV/Å")
    steps: int = Field(default=200, ge=0, description="most optimiser steps")
    optimizer: Literal["fire", "lbfgs"] = "fire"
    cell: Annotated[CellFreedom, BeforeValidator(_freedom)] = Field(
        default="fixed",
        description="what of the cell of a bulk structure may change: nothing (`fixed` or false), everything (`full` "
        "or true), its volume only (`isotropic`), or the lengths of its edges but no angle (`lengths`)",
    )
    fixed_axes: list[Axis] = Field(
        default=[], description="lattice vectors that stay while the others relax"
    )
    pressure: float = Field(
        default=0.0, allow_inf_nan=False, description="eV/Å³, under which the cell relaxes"
    )


class PredictRequest(_Wire):
    """Structures to evaluate.

    The fields of a single structure may stand here in place of `structures`.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"structures": [dict(WATER)]}})

    model: str | None = Field(
        default=None, description="`name` for the newest version, or `name@version`"
    )
    structures: Annotated[
        list[Any], Field(min_length=1, json_schema_extra={"items": {"$ref": "StructureIn"}})
    ]
    properties: list[Property] | None = Field(
        default=None, description="default: energy, forces, and stress of bulk"
    )
    relax: RelaxIn | None = None


class ModelRef(_Wire):
    """Which model answered."""

    name: str
    version: int
    digest: str = Field(
        description="sha256 of the model's card, which holds those of all its files"
    )


class ErrorOut(_Wire):
    """What went wrong, for programs and for people."""

    code: str
    message: str


class ErrorBody(_Wire):
    """The body of every answer without results."""

    error: ErrorOut


class RelaxedOut(_Wire):
    """Where the relaxation ended; whether it converged, on what, and why it stopped."""

    positions: list[Vector]
    cell: Matrix | None = None
    energy: float
    forces: list[Vector]
    stress: Matrix | None = None
    energy_std: float | None = Field(default=None, description=ENERGY_STD)
    forces_std: list[float] | None = Field(default=None, description=FORCES_STD)
    fmax: float
    steps: int
    converged: bool
    criterion: str
    reason: str = Field(description="`converged`, `steps`, or `exploded: ...`")


class ResultOut(_Wire):
    """The answer for one structure: numbers with status `ok`, or an error with status `error`."""

    id: str | None
    status: Literal["ok", "error"]
    energy: float | None = Field(default=None, description="eV")
    forces: list[Vector] | None = Field(default=None, description="(N, 3) eV/Å")
    stress: Matrix | None = Field(
        default=None, description="(3, 3) eV/Å³, positive under tension; bulk only"
    )
    energies: list[float] | None = Field(default=None, description="(N) eV, the atoms' shares")
    energy_std: float | None = Field(default=None, description=ENERGY_STD)
    forces_std: list[float] | None = Field(default=None, description=FORCES_STD)
    relaxed: RelaxedOut | None = None
    error: ErrorOut | None = None


class PredictAnswer(_Wire):
    """Results in the order asked."""

    model: ModelRef
    units: dict[str, str]
    results: list[ResultOut]
    error: ErrorOut | None = Field(
        default=None, description="only where no structure could be answered"
    )


def parse_request(body: object) -> PredictRequest:
    """The request in a decoded JSON body.

    Raises:
        InvalidRequest: naming the field and what it may be.
    """
    if not isinstance(body, dict):
        raise InvalidRequest(
            "the body must be a JSON object with 'structures', or with the fields of one structure"
        )
    if "structures" not in body:
        single = {
            key: value for key, value in body.items() if key not in PredictRequest.model_fields
        }
        body = {key: value for key, value in body.items() if key in PredictRequest.model_fields}
        body["structures"] = [single]
    try:
        return PredictRequest.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(explain(error, PredictRequest)) from None


def parse_structure(value: object) -> Structure:
    """The structure in one element of `structures`.

    Raises:
        InputError: naming the field or atom, the value, the limit and the remedy.
    """
    try:
        return StructureIn.model_validate(value).structure()
    except ValidationError as error:
        raise InvalidRequest(explain(error, StructureIn)) from None


def structure_id(value: object) -> str | None:
    """The `id` that a structure was sent with, whether or not the rest of it is sound."""
    given = value.get("id") if isinstance(value, dict) else None
    return given if isinstance(given, str) else None


def explain(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first fault that pydantic found, as `field: what is wrong`; unknown fields with the known
    ones.
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown field; known are {', '.join(schema.model_fields)}"
    if first["type"] == "missing":
        return f"{place}: this field is required"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"{place or 'a structure'}: must be an object with the fields {', '.join(schema.model_fields)}"
    message = first["msg"].removeprefix("Value error, ")
    shown = repr(first["input"])
    suffix = f", not {shown}" if len(shown) <= 80 and first["type"] != "value_error" else ""
    return f"{place}: {message}{suffix}" if place else message + suffix


def _fixed(atoms: list[int], n_atoms: int) -> Booleans:
    fixed = np.zeros(n_atoms, dtype=bool)
    for atom in atoms:
        if not 0 <= atom < n_atoms:
            raise InvalidStructure(
                f"fixed: there is no atom {atom}; the structure has atoms 0 to {n_atoms - 1}"
            )
        fixed[atom] = True
    return fixed


def _integers(values: Any) -> Any:
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        raise InvalidStructure(
            "numbers: an atomic number is far out of range; expected 1 to 118"
        ) from None
