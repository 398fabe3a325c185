"""Arrays on the wire: in MessagePack the bytes of the array, in JSON nested lists."""

from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

KEYS = {"dtype", "shape", "data"}
"""Of a map that is an array: `dtype` as in `<f8`, `shape`, and `data`, the bytes in C order."""


def pack(value: Any) -> bytes:
    """MessagePack, with the bytes of arrays.

    Raises:
        TypeError: something that is neither plain nor an array.
    """
    packed: bytes = msgpack.packb(value, default=_binary)
    return packed


def unpack(data: bytes) -> Any:
    """What MessagePack says, with arrays where it has their bytes."""
    return msgpack.unpackb(data, object_hook=_array)


def unpacker() -> msgpack.Unpacker:
    """What takes MessagePack in as it comes, value after value."""
    return msgpack.Unpacker(object_hook=_array, max_buffer_size=0)


def plain(value: Any) -> Any:
    """A value of JSON in the place of an array; called by `json.dumps`.

    Raises:
        TypeError: something else.
    """
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent")


def without_arrays(value: Any) -> Any:
    """A value with lists and numbers in the place of arrays and scalars of numpy, however deep."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: without_arrays(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_arrays(each) for each in value]
    return value


def _binary(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} cannot be sent")
    if value.dtype.kind not in "fiu" or value.ndim > 2:
        return value.tolist()
    kind = "<f8" if value.dtype.kind == "f" else "<i8"
    array = np.ascontiguousarray(value, dtype=kind)
    return {"dtype": kind, "shape": list(array.shape), "data": array.tobytes()}


def _array(fields: dict[str, Any]) -> dict[str, Any] | NDArray[Any]:
    if fields.keys() != KEYS:
        return fields
    array: NDArray[Any] = np.frombuffer(fields["data"], fields["dtype"]).reshape(fields["shape"])
    return array.copy()
