"""The parts of a body, whatever it is written in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, ALLOCATIONGRANULARITY, mmap
from pathlib import Path
from types import MappingProxyType

from app.errors import InvalidFormat
from app.jobs.parts import PART_STRUCTURES, Item, PartLimits, Parts, joined, whole
from app.jobs.split import of_cif, of_json, of_lines, of_msgpack, of_pdb, of_records, of_xyz
from app.jobs.split.lines import check_ends
from app.protocol.request import Kind

PART_SMILES = 32
"""SMILES of a part, all of whose geometries are made before the first is evaluated."""
GRAIN = ALLOCATIONGRANULARITY
"""Files in one body begin at multiples of it."""


@dataclass(frozen=True, slots=True)
class TextCut:
    """How a text is taken apart.

    Attributes:
        items: of the text; a range of bytes that the format's reader reads as it reads the whole,
            with at least one structure.
        prefix: what each part has before itself.
        most: items of a part.
    """

    items: Callable[[mmap, PartLimits], Iterator[Item]]
    prefix: Callable[[mmap, PartLimits], bytes] = lambda _, __: b""
    most: int = PART_STRUCTURES

    def __call__(self, data: mmap, limits: PartLimits) -> Parts:
        """The text in parts; as a whole where it has no items, so that decoding says what is wrong.

        Raises:
            InvalidFormat: it is UTF-16, or its lines end in another way.
            StructureTooLarge: over a limit.
        """
        check_ends(data, limits.structure_bytes)
        most = min(self.most, limits.part_structures)
        parts = joined(self.items(data, limits), limits, most)
        return Parts(self.prefix(data, limits), parts) if parts else whole(len(data), limits)


SPLIT: MappingProxyType[Kind, Callable[[mmap, PartLimits], Parts]] = MappingProxyType(
    {
        "json": of_json.split,
        "msgpack": of_msgpack.split,
        "lines": TextCut(of_lines.json_items),
        "xyz": TextCut(of_xyz.items),
        "sdf": TextCut(of_records.sdf_items),
        "pdb": TextCut(of_pdb.items, of_pdb.prefix),
        "cif": TextCut(of_cif.items),
        "mol2": TextCut(of_records.mol2_items),
        "gaussian": TextCut(of_lines.gaussian_items),
        "smiles": TextCut(of_lines.smiles_items, most=PART_SMILES),
        "poscar": lambda data, limits: whole(len(data), limits),
    }
)
"""How each kind of body is taken apart; a POSCAR holds one structure."""


def split(path: Path, kind: Kind, limits: PartLimits, start: int = 0, size: int = 0) -> Parts:
    """The parts of the body in a file.

    Args:
        path: of the file.
        kind: how it is written.
        limits: of it.
        start: its first byte, a multiple of `GRAIN`; parts are counted from there.
        size: bytes of it; by default all that follow.

    Raises:
        InvalidFormat: the body is not what it is said to be.
        InvalidRequest: something stands in it twice.
        StructureTooLarge: over a limit.
    """
    size = size or path.stat().st_size - start
    if not size:
        raise InvalidFormat("the body is empty; send at least one structure")
    with (
        path.open("rb") as file,
        mmap(file.fileno(), size, access=ACCESS_READ, offset=start) as data,
    ):
        return SPLIT[kind](data, limits)
