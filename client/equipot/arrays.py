"""Arrays on the wire: in MessagePack the bytes of the array, in JSON nested lists."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from equipot.errors import InvalidRequest

KEYS = {"dtype", "shape", "data"}
"""Of a map that is an array: `dtype` as in `<f8`, `shape`, and `data`, the bytes in C order."""

PLAIN = (type(None), bool, int, float, str, bytes, np.ndarray)
"""What an option is made of."""
LONGEST = 60
"""Characters of a value that a message shows."""


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


def check_options(options: Mapping[str, Any]) -> None:
    """Whether options can be sent.

    Raises:
        InvalidRequest: one holds what is neither plain nor an array; names it and what it is.
    """
    for name, value in options.items():
        for where, wrong in _unsendable(value, name):
            raise InvalidRequest(
                "invalid_request",
                f"{where}: {shown(wrong)} cannot be sent; state numbers, words, lists, dicts or arrays "
                "of numpy",
            )


def shown(value: Any) -> str:
    """A value that is wrong, with its type, as a message shows it."""
    text = repr(value)
    return f"{text if len(text) <= LONGEST else text[:LONGEST] + '…'} ({type(value).__name__})"


def _unsendable(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """What of a value cannot be sent, and where it stands."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.dtype.hasobject):
        value = value.tolist()
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _unsendable(each, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _unsendable(each, f"{where}.{number}")
    elif not isinstance(value, PLAIN):
        yield where, value


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
