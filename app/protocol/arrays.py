"""Arrays on the wire: nested lists of numbers, or in MessagePack the bytes of the array itself.

A binary array is a map of `dtype` (one of `DTYPES`), `shape`, and `data`, the bytes in C order.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic_core import PydanticCustomError

DTYPES = ("<f8", "<f4", "<i8", "<i4", "|u1")
KEYS = {"dtype", "shape", "data"}
NUMBERS = {float, int}
AT_ONCE = 20_000
"""Rows that are turned into an array under one hold of the interpreter's lock; a few milliseconds.
"""
Handler: TypeAlias = Callable[[Any], Any]


def as_rows(value: Any, validate: Handler) -> Any:
    """(N, 3) float64 array of a list of triples, or of a binary array; else for `validate`."""
    return _floats(value) if _is_rows(value) else as_floats(value, validate)


def as_floats(value: Any, validate: Handler) -> Any:
    """Float64 array of lists that `validate` accepts, or of a binary array."""
    return _floats(_decoded(value) if isinstance(value, dict) else validate(value))


def _is_rows(value: Any) -> bool:
    """Whether it is a list of lists of three plain numbers each, checked at the speed of C."""
    if type(value) is not list or set(map(type, value)) != {list} or set(map(len, value)) != {3}:
        return False
    return set(map(type, chain.from_iterable(value))) <= NUMBERS


def as_integers(value: Any, validate: Handler) -> Any:
    """A list of whole numbers as it is, or as the binary array that it was sent as."""
    if not isinstance(value, dict):
        return validate(value)
    array = _decoded(value)
    if array.dtype.kind not in "iu":
        raise PydanticCustomError(
            "array", "a binary array of whole numbers is expected, with dtype <i8, <i4 or |u1"
        )
    return array.astype(np.int64)


def encoded(array: object) -> dict[str, Any]:
    """The binary form of an array.

    Raises:
        TypeError: no array.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{type(array).__name__} cannot be written")
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return {"dtype": plain.dtype.str, "shape": list(plain.shape), "data": plain.tobytes()}


def _floats(values: Any) -> NDArray[np.float64]:
    if len(values) == 0:
        return np.array(values, dtype=np.float64).reshape(-1, 3)
    try:
        if len(values) <= AT_ONCE:
            return np.array(values, np.float64)
        starts = range(0, len(values), AT_ONCE)
        return np.concatenate([np.array(values[i : i + AT_ONCE], np.float64) for i in starts])
    except OverflowError:
        raise PydanticCustomError("array", "a number is too large for a float") from None


def _decoded(value: dict[Any, Any]) -> NDArray[Any]:
    if set(value) != KEYS:
        raise PydanticCustomError(
            "array", "a binary array has the fields dtype, shape and data, and no others"
        )
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if dtype not in DTYPES:
        shown = {"dtype": repr(dtype)[:40], "known": ", ".join(DTYPES)}
        raise PydanticCustomError("array", "dtype: {dtype}; choose one of {known}", shown)
    if not isinstance(data, bytes):
        raise PydanticCustomError(
            "array", "data: bytes are expected, which only MessagePack has; in JSON, send lists"
        )
    if not (isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)):
        raise PydanticCustomError("array", "shape: a list of whole numbers is expected")
    if not 1 <= len(shape) <= 2:
        raise PydanticCustomError(
            "array", "shape: {shown}; one or two sizes are expected", {"shown": str(shape)[:40]}
        )
    wanted = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if len(data) != wanted:
        raise PydanticCustomError(
            "array",
            "data: {got} bytes; dtype and shape make {wanted}",
            {"got": len(data), "wanted": wanted},
        )
    return np.frombuffer(data, dtype).reshape(shape)
