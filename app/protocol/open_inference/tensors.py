"""Tensors of the Open Inference Protocol to arrays, and arrays to tensors.

As JSON, row by row, nested or flat; as bytes, little-endian, in the order of the JSON's tensors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.atoms.structure import Floats
from app.errors import InvalidRequest
from app.protocol.open_inference.schemas import InputTensor
from app.protocol.validation import SHORT, SHOWN

BOOLEANS: Mapping[str, str] = {"BOOL": "|u1"}
INTEGERS: Mapping[str, str] = {
    "INT64": "<i8",
    "INT32": "<i4",
    "INT16": "<i2",
    "INT8": "|i1",
    "UINT32": "<u4",
    "UINT16": "<u2",
    "UINT8": "|u1",
}
FLOATS: Mapping[str, str] = {"FP64": "<f8", "FP32": "<f4"}
DTYPES: Mapping[str, str] = {**BOOLEANS, **INTEGERS, **FLOATS}
"""Those of arrays, by the protocol's names; floats with fewer bits than a coordinate needs are none."""
WRITTEN: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(BOOLEANS, (bool,)),
    **dict.fromkeys(INTEGERS, (int,)),
    **dict.fromkeys(FLOATS, (int, float)),
}
"""What JSON's values of a datatype are."""
ANSWERED = "FP64"
"""The datatype of everything that is answered."""
ANY = -1
"""A size that may be any."""


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that may be sent.

    Attributes:
        name: of the tensor.
        datatypes: that it may have; the first one is what it is.
        per: what its first axis counts.
        shape: of what each atom or structure has.
    """

    name: str
    datatypes: Sequence[str]
    per: str
    shape: tuple[int, ...] = ()

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape may be this one."""
        return len(shape) == 1 + len(self.shape) and tuple(shape[1:]) == self.shape

    @property
    def shown(self) -> str:
        """Its shape, for people."""
        count = "N" if self.per == "atom" else "B"
        return f"[{', '.join([count, *map(str, self.shape)])}]"


def array_of(tensor: InputTensor, kind: Input, data: memoryview | None) -> NDArray[Any]:
    """The array of a tensor.

    Args:
        tensor: as it was sent.
        kind: what it has to be.
        data: its bytes, where it was sent so.

    Raises:
        InvalidRequest: it is not what it has to be; names it.
    """
    if tensor.datatype not in kind.datatypes:
        known = ", ".join(kind.datatypes)
        raise _wrong(tensor, f"datatype '{tensor.datatype[:SHOWN]}'; choose one of {known}")
    if not kind.fits(tensor.shape):
        raise _wrong(tensor, f"shape {tensor.shape}; {kind.shown} is expected")
    if data is None:
        return _from_json(tensor)
    dtype = np.dtype(DTYPES[tensor.datatype])
    wanted = prod(tensor.shape) * dtype.itemsize
    if len(data) != wanted:
        raise _wrong(tensor, f"{len(data)} bytes; datatype and shape make {wanted}")
    array = np.frombuffer(data, dtype).reshape(tensor.shape)
    return _booleans(tensor, array) if tensor.datatype in BOOLEANS else array


def _booleans(tensor: InputTensor, array: NDArray[Any]) -> NDArray[Any]:
    if array.size and array.max() > 1:
        raise _wrong(tensor, f"the byte {array.max()}; those of BOOL are 0 and 1")
    return array.astype(bool)


def _from_json(tensor: InputTensor) -> NDArray[Any]:
    if tensor.data is None:
        raise _wrong(tensor, "data is missing; send it, or bytes and their binary_data_size")
    values = _flat(tensor, tensor.data)
    if len(values) != prod(tensor.shape):
        raise _wrong(
            tensor, f"{len(values)} values; the shape {tensor.shape} has {prod(tensor.shape)}"
        )
    if odd := [value for value in values if type(value) not in WRITTEN[tensor.datatype]]:
        raise _wrong(tensor, f"{SHORT.repr(odd[0])} is no {tensor.datatype}")
    dtype = bool if tensor.datatype in BOOLEANS else np.dtype(DTYPES[tensor.datatype])
    try:
        with np.errstate(over="ignore"):  # what is not finite is told of atoms, as everywhere
            return np.array(values, dtype).reshape(tensor.shape)
    except OverflowError:
        raise _wrong(tensor, f"a value is out of the range of {tensor.datatype}") from None


def _flat(tensor: InputTensor, values: list[Any]) -> list[Any]:
    """Values of a list, or of lists that are nested as the shape says."""
    for size in tensor.shape[1:]:
        if not values or type(values[0]) is not list:
            return values
        if set(map(type, values)) != {list} or set(map(len, values)) != {size}:
            raise _wrong(tensor, f"data is nested otherwise than the shape {tensor.shape}")
        values = list(chain.from_iterable(values))
    return values


def _wrong(tensor: InputTensor, what: str) -> InvalidRequest:
    return InvalidRequest(f"input '{tensor.name[:SHOWN]}': {what}")


def tensor_of(name: str, array: Floats, binary: bool) -> tuple[dict[str, Any], bytes]:
    """A tensor of an answer, and its bytes after the JSON, if any."""
    tensor = {"name": name, "shape": list(array.shape), "datatype": ANSWERED}
    if not binary:
        return {**tensor, "data": array.ravel()}, b""
    content = array.astype(DTYPES[ANSWERED], copy=False).tobytes()
    return {**tensor, "parameters": {"binary_data_size": len(content)}}, content
