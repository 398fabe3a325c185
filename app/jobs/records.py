"""Results and states of relaxations as bytes, to the last bit, and back.

MessagePack: an array is an extension of its dtype, shape and bytes; an object of one of `CLASSES` one
of its name and fields, an error one of its name and message, and what a task found its fields as they
are told. Nothing else is made of such bytes, whatever they say.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import ormsgpack

from app import errors
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.formats.notation import Smiles
from app.formats.topology import Bond, Topology
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry
from app.protocol.response import Answered, Result
from app.relax import RelaxationState, Relaxed
from app.relax.internal import Internal, Pairs
from app.relax.optimizers import Fire, Lbfgs, ScaledLbfgs
from app.relax.primitives import Primitives
from app.tasks import KeptValue, TaskValue

ARRAY, OBJECT, ERROR, VALUE = 1, 2, 3, 4
CLASSES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Structure, StructurePrediction, AnswerWarning, Entry, Answered),
        *(Relaxed, RelaxationState, Fire, Lbfgs, ScaledLbfgs, Internal, Pairs, Primitives),
        *(Topology, Smiles, ModelRef),
    )
}
FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in CLASSES.values()}
TUPLES = {
    "Entry": ("warnings",),
    "Answered": ("warnings",),
    **dict.fromkeys(("Lbfgs", "ScaledLbfgs", "Internal"), ("last",)),
    "Topology": ("bonds",),
}
"""Fields that are tuples, which MessagePack has no word for."""
DROPPED = {"Relaxed": ("graph",)}
"""Fields that are large, and of which no answer says anything."""
OPTIONS = ormsgpack.OPT_PASSTHROUGH_DATACLASS | ormsgpack.OPT_NON_STR_KEYS


class Record(NamedTuple):
    """One structure of a job with its result."""

    entry: Entry
    result: Result


def pack(value: object) -> bytes:
    """The bytes of a value.

    Raises:
        TypeError: it is none that can be kept.
    """
    return ormsgpack.packb(value, default=_extension, option=OPTIONS)


def unpack(data: bytes) -> Any:
    """The value that was packed."""
    return ormsgpack.unpackb(data, ext_hook=_value, option=ormsgpack.OPT_NON_STR_KEYS)


def pack_records(records: Iterable[Record]) -> bytes:
    """The bytes of some results, each by itself, so that others can be left unread."""
    return pack([pack([*record]) for record in records])


def unpack_records(data: bytes, start: int = 0, stop: int | None = None) -> list[Record]:
    """Those results of them that are asked for."""
    packed: list[bytes] = ormsgpack.unpackb(data)
    return unpack_packed(packed[start:stop])


def unpack_packed(packed: Iterable[bytes]) -> list[Record]:
    """Results that were packed one by one."""
    return [Record(*unpack(record)) for record in packed]


def _extension(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        head = [value.dtype.str, list(value.shape), value.tobytes()]
        return ormsgpack.Ext(ARRAY, ormsgpack.packb(head))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Bond):
        return [*value]
    if isinstance(value, errors.EquipotError):
        return ormsgpack.Ext(ERROR, ormsgpack.packb([_name_of(value), str(value)]))
    if isinstance(value, TaskValue):
        fields_ = value.model_dump(mode="json", exclude_none=True)
        return ormsgpack.Ext(VALUE, ormsgpack.packb(fields_))
    name = type(value).__name__
    if (names := FIELDS.get(type(value))) is not None:
        kept = {field: getattr(value, field) for field in names}
        kept |= dict.fromkeys(DROPPED.get(name, ()))
        return ormsgpack.Ext(OBJECT, pack([name, kept]))
    raise TypeError(f"{name} cannot be kept")


def _name_of(error: errors.EquipotError) -> str:
    """Of its class, or the nearest one above that `app.errors` has."""
    return next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))


def _value(tag: int, data: bytes) -> Any:
    if tag == ARRAY:
        dtype, shape, content = ormsgpack.unpackb(data)
        return np.ndarray(shape, dtype, bytearray(content))
    if tag == ERROR:
        name, message = ormsgpack.unpackb(data)
        return getattr(errors, name)(message)
    if tag == VALUE:
        return KeptValue.model_construct(**ormsgpack.unpackb(data))
    name, values = unpack(data)
    for field in TUPLES.get(name, ()):
        values[field] = None if values[field] is None else tuple(values[field])
    if name == "Topology":
        values["bonds"] = tuple(Bond(*bond) for bond in values["bonds"])
    if name in ("Lbfgs", "ScaledLbfgs"):
        values["history"] = [tuple(step) for step in values["history"]]
    return CLASSES[name](**values)
