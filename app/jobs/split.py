"""The parts of a body, whatever it is written in."""

from collections.abc import Callable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import MappingProxyType

from app.errors import InvalidFormat
from app.jobs import split_json, split_msgpack, split_xyz
from app.jobs.parts import PartLimits, Parts
from app.protocol.request import Kind

SPLIT: MappingProxyType[Kind, Callable[[mmap, PartLimits], Parts]] = MappingProxyType(
    {"json": split_json.split, "msgpack": split_msgpack.split, "xyz": split_xyz.split}
)
"""How each kind of body is taken apart."""


def split(path: Path, kind: Kind, limits: PartLimits) -> Parts:
    """The parts of the body in a file.

    Raises:
        InvalidFormat: the body is not what it is said to be, or of a kind that is not taken apart.
        InvalidRequest: something stands in it twice.
        StructureTooLarge: over a limit.
    """
    if kind not in SPLIT:
        known = ", ".join(SPLIT)
        raise InvalidFormat(f"a job takes bodies of {known}, and none of {kind}")
    with path.open("rb") as file:
        if not file.seek(0, 2):
            raise InvalidFormat("the body is empty; send at least one structure")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return SPLIT[kind](data, limits)
