"""From a QCSchema input to the request that it holds."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.units import Bohr
from numpy.typing import NDArray

from app.atoms.elements import read_symbols
from app.atoms.structure import Structure
from app.errors import InvalidRequest, InvalidStructure
from app.protocol import counts, json_text
from app.protocol.qcschema.schemas import INPUTS, InputV2, Molecule, Specification
from app.protocol.request import Entry, Message, PredictRequest, RequestLimits
from app.protocol.validation import validate

MARK = b'"schema_name"'
"""In each document of QCSchema, and in hardly another one."""
PROGRAM = "equipot"


@dataclass(frozen=True, slots=True)
class Asked:
    """An AtomicInput that was sent.

    Attributes:
        document: as it was sent; a result repeats it.
        version: of the schema.
    """

    document: dict[str, Any]
    version: int


def document_of(message: Message, limits: RequestLimits) -> Asked | None:
    """The AtomicInput that a message is; None where it is none.

    Raises:
        InputError: the body is no JSON, over the limits, or another document of QCSchema.
    """
    if message.kind != "json":
        return None
    counts.check_json(message.body, limits.structures, limits.atoms)
    document = json_text.parse(message.body)
    if not isinstance(document, dict) or not isinstance(document.get("schema_name"), str):
        return None
    name = document["schema_name"]
    if name not in INPUTS:
        raise InvalidRequest(
            f"schema_name: '{name[:80]}' is not answered; known are {', '.join(INPUTS)}"
        )
    if message.query:
        names = ", ".join(name for name, _ in message.query)
        raise InvalidRequest(f"query parameters ({names}): put them into keywords")
    if message.accepts != "json":
        raise InvalidRequest(f"format: {message.accepts}; a document of QCSchema is JSON")
    return Asked(document, 2 if INPUTS[name] is InputV2 else 1)


def read(asked: Asked, limits: RequestLimits) -> PredictRequest:
    """The request of an AtomicInput.

    Raises:
        InputError: it is none, asks for what a model does not have, or is over a limit.
    """
    given = validate(INPUTS[asked.document["schema_name"]], asked.document)
    specification: Specification = given.specification
    _check(specification)
    limits.check_atoms(len(given.molecule.symbols))
    structure, warnings = _structure(given.molecule)
    keywords = specification.keywords
    return PredictRequest(
        entries=[Entry(given.id, structure, warnings=warnings)],
        model=specification.model.method,
        properties=("energy", "forces") if specification.driver == "gradient" else ("energy",),
        relax=None,
        explicit=True,
        strict=keywords.strict,
        on_ood=keywords.on_ood,
        allow_odd_electrons=keywords.allow_odd_electrons,
    )


def _check(specification: Specification) -> None:
    if specification.driver not in ("energy", "gradient"):
        raise InvalidRequest(
            f"driver: {specification.driver} is not computed; ask for energy or gradient"
        )
    if specification.model.basis not in (None, ""):
        raise InvalidRequest("model.basis: models have no basis sets; leave it out")
    if specification.program.lower() not in ("", PROGRAM):
        raise InvalidRequest(
            f"specification.program: '{specification.program[:80]}'; this is {PROGRAM}"
        )


def _structure(molecule: Molecule) -> tuple[Structure, Any]:
    numbers, warnings = read_symbols(molecule.symbols)
    if molecule.real is not None and not all(molecule.real):
        raise InvalidStructure(
            f"molecule.real: atom {molecule.real.index(False)} is a ghost; leave it out, since models "
            "have no basis sets"
        )
    if molecule.atomic_numbers is not None and molecule.atomic_numbers != numbers.tolist():
        raise InvalidStructure("molecule.atomic_numbers: not those of the symbols")
    if molecule.fragment_charges is not None:
        _check_fragments(molecule.fragment_charges, molecule.molecular_charge)
    multiplicity = molecule.molecular_multiplicity
    structure = Structure(
        numbers,
        _positions(molecule.geometry, len(numbers)),
        np.zeros((3, 3)),
        np.zeros(3, dtype=bool),
        _whole("molecular_charge", molecule.molecular_charge),
        None if multiplicity is None else _whole("molecular_multiplicity", multiplicity),
    )
    return structure, warnings


def _check_fragments(charges: list[float], total: float) -> None:
    if abs(math.fsum(charges) - total) > 1e-6:
        raise InvalidStructure(
            f"molecule.fragment_charges: add up to {math.fsum(charges):g}, but molecular_charge is {total:g}"
        )


def _positions(geometry: list[Any], atoms: int) -> NDArray[np.float64]:
    """(N, 3) Å."""
    try:
        array = np.asarray(geometry)
    except ValueError:
        array = np.zeros(0, dtype=object)
    if array.dtype.kind not in "fiu" or array.shape not in ((3 * atoms,), (atoms, 3)):
        raise InvalidStructure(
            f"molecule.geometry: expected {3 * atoms} numbers in bohr, for {atoms} symbols"
        )
    positions: NDArray[np.float64] = array.reshape(-1, 3) * Bohr
    return positions


def _whole(name: str, value: float) -> int:
    if not float(value).is_integer() or abs(value) > 1000:
        raise InvalidStructure(f"molecule.{name}: {value:g}; expected a whole number up to 1000")
    return int(value)
