"""From a request of tensors to the request that they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.atoms.properties import DEFAULT, NAMES, Name, Property
from app.atoms.ragged import starts_of
from app.atoms.structure import Integers, Structure
from app.errors import InputError, InvalidFormat, InvalidRequest
from app.protocol import counts, json_text
from app.protocol.open_inference.model import INPUTS, REQUIRED
from app.protocol.open_inference.schemas import InferRequest, InputTensor
from app.protocol.open_inference.tensors import array_of
from app.protocol.request import Entry, PredictRequest, RequestLimits
from app.protocol.validation import SHOWN, validate

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Inference:
    """What is asked.

    Attributes:
        request: the structures, and what is computed of them.
        outputs: tensors that are answered, and whether as bytes; None for all that there are.
        binary: whether as bytes, where no tensors are named.
        id: comes back.
    """

    request: PredictRequest
    outputs: Mapping[str, bool] | None
    binary: bool
    id: str | None


def decode(
    body: bytes,
    header: int | None,
    model: str,
    known: Sequence[Property],
    limits: RequestLimits,
) -> Inference:
    """What a body asks.

    Args:
        body: JSON, and the bytes of tensors after it.
        header: bytes of the JSON; None where it is all.
        model: `name`, or `name@version`.
        known: what the model can answer.
        limits: of a request.

    Raises:
        InvalidFormat: the body is no JSON, or has other bytes after it than it says.
        InvalidRequest: a field or tensor that is unknown, missing, or not what it has to be.
        InvalidStructure: what the tensors hold is none; names which.
        StructureTooLarge: more structures or atoms than a request may have.
    """
    size = len(body) if header is None else header
    if size > len(body):
        raise InvalidFormat(
            f"Inference-Header-Content-Length: {size}; the body has {len(body)} bytes"
        )
    text = body[:size]
    counts.check_json(text, limits.structures, limits.atoms)
    asked = validate(InferRequest, json_text.parse(text))
    arrays = _arrays(asked.inputs, memoryview(body)[size:])
    structures = _structures(arrays, limits)
    outputs = _outputs(asked, known)
    if outputs and "stress" in outputs:
        _check_stress(structures)
    given = asked.parameters
    request = PredictRequest(
        [Entry(None, structure) for structure in structures],
        model,
        DEFAULT if outputs is None else _properties(outputs, known),
        strict=given.strict,
        on_ood=given.on_ood,
        allow_odd_electrons=given.allow_odd_electrons,
    )
    return Inference(request, outputs, given.binary_data_output, asked.id)


def _arrays(tensors: Sequence[InputTensor], rest: memoryview) -> Arrays:
    """The arrays by their names.

    Args:
        tensors: as they were sent.
        rest: the bytes after the JSON.
    """
    kinds = {kind.name: kind for kind in INPUTS}
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for tensor in tensors:
        kind, size = kinds.get(tensor.name), tensor.parameters.binary_data_size
        if kind is None:
            raise InvalidRequest(
                f"input '{tensor.name[:SHOWN]}': unknown; known are {', '.join(kinds)}"
            )
        if tensor.name in arrays:
            raise InvalidRequest(f"input '{tensor.name}': is given twice; give it once")
        if size is not None and tensor.data is not None:
            raise InvalidRequest(
                f"input '{tensor.name}': has data and binary_data_size; which of the two is meant?"
            )
        data = None if size is None else rest[at : at + size]
        arrays[tensor.name] = array_of(tensor, kind, data)
        at += size or 0
    if at != len(rest):
        raise InvalidFormat(
            f"{len(rest)} bytes come after the JSON; the binary_data_size of all inputs are {at}"
        )
    if missing := [name for name in REQUIRED if name not in arrays]:
        raise InvalidRequest(f"input '{missing[0]}': is missing")
    return arrays


def _structures(arrays: Arrays, limits: RequestLimits) -> list[Structure]:
    """The structures that the arrays hold, one after the other."""
    atoms = len(arrays["positions"])
    if len(arrays["numbers"]) != atoms:
        raise InvalidRequest(
            f"input 'numbers': {len(arrays['numbers'])} atoms; 'positions' has {atoms}"
        )
    limits.check_atoms(atoms)
    n_atoms = _n_atoms(arrays, atoms, limits)
    for kind in INPUTS:
        if kind.per == "structure" and len(arrays.get(kind.name, n_atoms)) != len(n_atoms):
            raise InvalidRequest(
                f"input '{kind.name}': {len(arrays[kind.name])} structures; 'n_atoms' has "
                f"{len(n_atoms)}, and without it there is one"
            )
    starts = starts_of(n_atoms).tolist()
    return [_structure(i, slice(*starts[i : i + 2]), arrays) for i in range(len(n_atoms))]


def _n_atoms(arrays: Arrays, atoms: int, limits: RequestLimits) -> Integers:
    """(B,) atoms of each structure; all of one where it is not said."""
    if "n_atoms" not in arrays:
        return np.array([atoms])
    given = arrays["n_atoms"]
    limits.check_structures(len(given))
    if not len(given) or int(given.min()) < 1 or int(given.max()) > atoms:
        raise InvalidRequest(
            f"input 'n_atoms': each structure has 1 to {atoms} atoms, those of 'positions'"
        )
    n_atoms = given.astype(np.int64)
    if n_atoms.sum() != atoms:
        raise InvalidRequest(
            f"input 'n_atoms': {n_atoms.sum()} atoms in all; 'positions' has {atoms}"
        )
    return n_atoms


def _structure(number: int, atoms: slice, arrays: Arrays) -> Structure:
    """One structure; a cell is periodic, and one of zeros is none, where `pbc` is not said."""
    cell = arrays["cell"][number] if "cell" in arrays else np.zeros((3, 3))
    pbc = arrays["pbc"][number] if "pbc" in arrays else np.full(3, bool(cell.any()))
    try:
        return Structure(
            arrays["numbers"][atoms].astype(np.int64),
            arrays["positions"][atoms].astype(np.float64),
            cell.astype(np.float64),
            pbc,
            int(arrays["charge"][number]) if "charge" in arrays else 0,
            int(arrays["multiplicity"][number]) if "multiplicity" in arrays else None,
        )
    except InputError as error:
        raise type(error)(f"structure {number}: {error}") from None


def _outputs(asked: InferRequest, known: Sequence[Property]) -> dict[str, bool] | None:
    """Whether each tensor that is asked for is answered as bytes; None where none is named."""
    names = [row.name for row in known]
    outputs: dict[str, bool] = {}
    for wanted in asked.outputs or ():
        if wanted.name not in names:
            raise InvalidRequest(
                f"output '{wanted.name[:SHOWN]}': unknown; the model has {', '.join(names)}"
            )
        if wanted.name in outputs:
            raise InvalidRequest(f"output '{wanted.name}': is asked for twice; ask once")
        own = wanted.parameters.binary_data
        outputs[wanted.name] = asked.parameters.binary_data_output if own is None else own
    return outputs or None


def _properties(outputs: Mapping[str, bool], known: Sequence[Property]) -> tuple[Name, ...]:
    """What is computed for some outputs: estimated errors come beside what they are of."""
    wanted = {row.beside or row.name for row in known if row.name in outputs}
    return tuple(name for name in NAMES if name in wanted)


def _check_stress(structures: Sequence[Structure]) -> None:
    for number, structure in enumerate(structures):
        if not structure.is_bulk:
            raise InvalidRequest(
                f"output 'stress': structure {number} has none, since it is not periodic in all three "
                "directions; send it without asking for a stress"
            )
