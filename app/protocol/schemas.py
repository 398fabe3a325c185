"""What goes over the wire, as pydantic types; unknown fields are refused by name.

Structures are validated one by one, so that a bad one costs only itself.
"""

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.atoms.elements import Elements, read_symbols
from app.atoms.properties import ANSWERED, DEFAULT, NAMES, Name, Property, answered
from app.atoms.structure import Booleans, Structure
from app.atoms.warnings import AnswerWarning, Code
from app.backends.domain import OnOod
from app.errors import InvalidStructure
from app.protocol.arrays import as_floats, as_integers, as_rows
from app.protocol.wire import Wire as _Wire
from app.relax import RelaxOptions
from app.store.card import ModelCard

UNITS = {row.name: row.unit for row in ANSWERED} | {
    "fmax": "eV/Å",
    "positions": "Å",
    "cell": "Å",
}

Vector = Annotated[list[float], Field(min_length=3, max_length=3, fail_fast=True)]
Matrix = Annotated[list[Vector], Field(min_length=3, max_length=3)]
Flags = Annotated[list[bool], Field(min_length=3, max_length=3)]

WATER: dict[str, JsonValue] = {
    "symbols": ["O", "H", "H"],
    "positions": [[0.0, 0.0, 0.119], [0.0, 0.763, -0.477], [0.0, -0.763, -0.477]],
    "id": "water",
}


LONGEST_ID = 1000


def _periodicity(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        raise PydanticCustomError("pbc", "expected true, false or three of them") from None


class StructureIn(_Wire):
    """Atoms in an optional periodic box; elements either as `symbols` or as `numbers`."""

    model_config = ConfigDict(json_schema_extra={"example": WATER})

    symbols: Annotated[list[str], Field(fail_fast=True)] | None = Field(
        default=None, description="(N) chemical symbols"
    )
    numbers: Annotated[list[int], Field(fail_fast=True), WrapValidator(as_integers)] | None = Field(
        default=None, description="(N) atomic numbers"
    )
    positions: Annotated[list[Vector], Field(fail_fast=True), WrapValidator(as_rows)] = Field(
        description="(N, 3) Å"
    )
    cell: Annotated[Matrix, WrapValidator(as_floats)] | None = Field(
        default=None, description="(3, 3) Å, rows are lattice vectors"
    )
    pbc: Annotated[bool | Flags | None, WrapValidator(_periodicity)] = Field(
        default=None, description="periodicity; true with a cell, false without"
    )
    charge: int = Field(
        default=0, ge=-1000, le=1000, description="total charge, in elementary charges"
    )
    multiplicity: int | None = Field(
        default=None, ge=1, le=1000, description="spin multiplicity 2S+1"
    )
    fixed: Annotated[list[int], Field(fail_fast=True)] = Field(
        default=[], description="numbers, from 0, of atoms that a relaxation does not move"
    )
    id: str | None = Field(
        default=None, max_length=LONGEST_ID, description="comes back with the result"
    )

    @model_validator(mode="after")
    def _one_list_of_elements(self) -> Self:
        if (self.symbols is None) == (self.numbers is None):
            raise ValueError("give the elements as either 'symbols' or 'numbers', and not as both")
        return self

    def structure(self) -> tuple[Structure, tuple[AnswerWarning, ...]]:
        """The validated structure, and what of it is read with a doubt.

        Raises:
            InvalidStructure: naming the atom or field, the value, the limit and the remedy.
        """
        numbers, warnings = (
            read_symbols(self.symbols)
            if self.symbols is not None
            else Elements(integers(self.numbers))
        )
        structure = Structure(
            numbers,
            np.asarray(self.positions),
            np.zeros((3, 3)) if self.cell is None else np.asarray(self.cell),
            np.array(self.cell is not None if self.pbc is None else self.pbc),
            self.charge,
            self.multiplicity,
            _fixed(self.fixed, len(numbers)) if self.fixed else None,
        )
        return structure, warnings


def _switched(relax: object) -> object:
    return {True: {}, False: None}[relax] if isinstance(relax, bool) else relax


class AskBody(_Wire):
    """Structures, and by which model and how they are answered."""

    model: str | None = Field(
        default=None,
        description="`name` for the newest version, `name@version`, or an alias; the service's default "
        "where not given, or of several the one that is made for each structure",
    )
    structures: Annotated[
        list[Any], Field(min_length=1, json_schema_extra={"items": {"$ref": "StructureIn"}})
    ]
    strict: bool = Field(default=False, description="whether a warning is an error")
    on_ood: OnOod = Field(
        default="warn",
        description="whether what the model's training data never held is answered with a warning or "
        "refused",
    )
    allow_odd_electrons: bool = Field(
        default=False,
        description="whether models of closed shells answer for radicals, with a warning",
    )


class PredictBody(AskBody):
    """Structures to evaluate.

    The fields of a single structure may stand here in place of `structures`.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"structures": [dict(WATER)]}})

    properties: (
        Annotated[list[Name], Field(min_length=1, max_length=len(NAMES), fail_fast=True)] | None
    ) = Field(default=None, description="default: energy, forces, and stress of bulk")
    relax: Annotated[RelaxOptions | None, BeforeValidator(_switched)] = Field(
        default=None, description="how to relax; true takes the defaults, false relaxes nothing"
    )


class ModelOut(_Wire):
    """Which model answered."""

    name: str
    version: int
    digest: str = Field(
        description="sha256 of the model's card, which holds those of all its files"
    )


class ModelSummary(_Wire):
    """A model of the store: what it is, or why it is not served."""

    name: str
    version: int | None = Field(description="none where it could not be told")
    status: Literal["ready", "refused"]
    default: bool | None = Field(
        default=None, description="whether it answers requests that name no model"
    )
    digest: str | None = None
    runs_on: str | None = Field(default=None, description="name and version of what computes")
    description: str | None = None
    architecture: str | None = None
    elements: tuple[str, ...] | None = None
    cutoff: float | None = Field(default=None, description="Å")
    takes_charge: bool | None = None
    reason: str | None = Field(default=None, description="why it is refused")


class ModelsAnswer(_Wire):
    """The models of the store."""

    models: list[ModelSummary]
    defaults: list[str] = Field(
        description="`name@version` of those that answer requests which name none: of several, in this "
        "order, each structure has the first that is made for it; of several versions of an alias, "
        "the one that the caller has"
    )
    aliases: dict[str, dict[str, float]] = Field(
        description="further names, or names of models, and the percent of callers that each "
        "`name@version` behind them answers"
    )


class BudgetOut(_Wire):
    """The largest batch, as it is now."""

    atoms: int
    edges: int
    structures: int
    seconds: float | None = Field(
        description="of the longest batch; none where nothing is known of the model's speed"
    )
    source: str = Field(description="where it comes from: setting, measured, cached, default, ...")


class ModelAnswer(_Wire):
    """All that is known of a model that is served."""

    status: Literal["ready"]
    digest: str
    runs_on: str = Field(description="name and version of what computes")
    summary: tuple[str, ...] = Field(description="what it is for, in sentences")
    plots: tuple[str, ...] = Field(
        description="pictures of how good it is, at `/models/{name}/plots/{plot}`"
    )
    budget: BudgetOut
    card: ModelCard


class Index(_Wire):
    """What is served at an address."""

    service: Literal["equipot"]
    version: str
    docs: str = Field(description="path of the interactive page")
    smiles: bool = Field(
        description="whether RDKit is installed, which makes the geometries of SMILES"
    )


class Alive(_Wire):
    """The process is there."""

    status: Literal["alive"]


class Ready(_Wire):
    """The service may be asked."""

    status: Literal["ready"]
    service: Literal["equipot"] = "equipot"
    version: str
    process: int = Field(description="number of the process that answers")
    models: list[str] = Field(description="`name@version` of those that are served")


REQUEST_ID = "by which the service's log knows the request, as `X-Request-ID`"


class ErrorOut(_Wire):
    """What went wrong, for programs and for people."""

    code: str
    message: str


class WarningOut(_Wire):
    """A doubt about an answer, for programs and for people."""

    code: Code
    message: str


class ErrorBody(_Wire):
    """The body of every answer without results."""

    error: ErrorOut
    request_id: str | None = Field(default=None, description=REQUEST_ID)


def _fields(rows: tuple[Property, ...], required: bool) -> dict[str, Any]:
    """Types and descriptions of what is predicted, by name, as `create_model` takes them."""
    return {row.name: _field(row, required and not (row.bulk_only or row.beside)) for row in rows}


def _field(row: Property, required: bool) -> tuple[Any, Any]:
    value: Any = {(): float, (3,): Vector, (3, 3): Matrix}[row.shape]
    sizes = ["N"] * (row.per == "atom") + [str(size) for size in row.shape]
    shape = f"({', '.join(sizes)}) " if sizes else ""
    description = shape + row.unit + (f", {row.text}" if row.text else "")
    kind = list[value] if row.per == "atom" else value
    if required:
        return kind, Field(description=description)
    return kind | None, Field(default=None, description=description)


class _RelaxedHead(_Wire):
    """Where the relaxation ended; whether it converged, on what, and why it stopped."""

    positions: list[Vector]
    cell: Matrix | None = None


RelaxedOut = create_model(
    "RelaxedOut",
    __base__=_RelaxedHead,
    __doc__=_RelaxedHead.__doc__,
    **_fields(answered(DEFAULT), required=True),
    fmax=(float, ...),
    steps=(int, ...),
    converged=(bool, ...),
    criterion=(str, ...),
    reason=(str, Field(description="`converged`, `steps`, or `exploded: ...`")),
)


class StructureOut(_Wire):
    """A structure that its sender does not know atom by atom: of a file, or of a SMILES."""

    symbols: list[str]
    positions: list[Vector] = Field(description="(N, 3) Å")
    cell: Matrix | None = Field(default=None, description="(3, 3) Å, rows are lattice vectors")
    pbc: Flags | None = None
    charge: int | None = Field(default=None, description="where it is not 0")
    multiplicity: int | None = Field(default=None, description="where it was stated")


class _ResultHead(_Wire):
    """The answer for one structure: numbers with status `ok`, or an error with status `error`."""

    id: str | None
    status: Literal["ok", "error"]
    item: int | None = Field(
        default=None,
        description="number, from 0, of the item of `structures`, or of the uploaded file, that it "
        "comes from, where that may hold several structures",
    )
    model: ModelOut | None = Field(
        default=None, description="which answered, where several models did"
    )
    structure: StructureOut | None = Field(
        default=None, description="what was read or made of a file or a SMILES"
    )


ResultOut = create_model(
    "ResultOut",
    __base__=_ResultHead,
    __doc__=_ResultHead.__doc__,
    **_fields(ANSWERED, required=False),
    relaxed=(RelaxedOut | None, None),
    warnings=(list[WarningOut] | None, Field(default=None, description="doubts, if any")),
    error=(ErrorOut | None, None),
)


class PredictAnswer(_Wire):
    """Results in the order asked."""

    model: ModelOut | None = Field(
        description="none where several models answered, and each result has its own"
    )
    units: dict[str, str]
    results: list[ResultOut]
    error: ErrorOut | None = Field(
        default=None, description="only where no structure could be answered"
    )
    request_id: str | None = Field(default=None, description=f"{REQUEST_ID}; beside `error`")


def _fixed(atoms: list[int], n_atoms: int) -> Booleans:
    fixed = np.zeros(n_atoms, dtype=bool)
    for atom in atoms:
        if not 0 <= atom < n_atoms:
            raise InvalidStructure(
                f"fixed: there is no atom {atom}; the structure has atoms 0 to {n_atoms - 1}"
            )
        fixed[atom] = True
    return fixed


def integers(values: Any) -> Any:
    """(N,) atomic numbers of a list.

    Raises:
        InvalidStructure: one that does not fit into 64 bits.
    """
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        raise InvalidStructure(
            "numbers: an atomic number is far out of range; expected 1 to 118"
        ) from None
