"""The symmetry of a crystal: its operations, and the atoms that they make of one."""

import re
from typing import NamedTuple

import numpy as np

from app.atoms.structure import Floats
from app.errors import InvalidFormat
from app.formats.cif.blocks import Block
from app.formats.text import short

OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_magn_operation_xyz",
)
NAMES = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
)
REMEDY = f"give {OPERATIONS[0]}"
ORIGINS = {
    *(48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130, 133, 134, 137, 138, 141, 142),
    *(201, 203, 222, 224, 227, 228),
}
"""Numbers of the groups with two choices of the origin."""
RHOMBOHEDRAL = {146, 148, 155, 160, 161, 166, 167}
"""Numbers of the groups with hexagonal and rhombohedral axes."""
SEVERAL_SETTINGS = ORIGINS | RHOMBOHEDRAL
MONOCLINIC = range(3, 16)
"""Numbers of the groups whose axes and centring only a name tells."""
NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
MOST = 192
"""Operations of the largest space group."""
SAME = 0.1
"""Å; images of an atom that are closer are one atom on a symmetry element."""
TERM = re.compile(r"([+-]?)(?:(\d+(?:\.\d*)?|\.\d+)(?:/(\d+))?\*?)?([xyz]?)")


class Symmetry(NamedTuple):
    """M operations on fractional coordinates, x -> rotation @ x + translation.

    Attributes:
        rotations: (M, 3, 3).
        translations: (M, 3).
    """

    rotations: Floats
    translations: Floats


def read_symmetry(block: Block) -> Symmetry:
    """The operations that a block lists, else those of the space group that it names, else the
    identity alone.

    Raises:
        InvalidFormat: an operation that is none, too many, or a group that is unknown, ambiguous,
            or of another number than its name.
    """
    for key in OPERATIONS:
        if texts := block.values.get(key):
            if len(texts) > MOST:
                raise InvalidFormat(f"{len(texts)} symmetry operations; no group has over {MOST}")
            rows = [_operation(text) for text in texts]
            return Symmetry(np.array([r for r, _ in rows]), np.array([t for _, t in rows]))
    number, name = block.first(*NUMBERS), block.first(*NAMES)
    if name is None and number is None:
        return Symmetry(np.eye(3)[None], np.zeros((1, 3)))
    return _group(name, number)


def is_stated(block: Block) -> bool:
    """Whether a block lists operations, or names a space group."""
    listed = any(block.values.get(key) for key in OPERATIONS)
    return listed or block.first(*NUMBERS, *NAMES) is not None


def _group(name: str | None, number: str | None) -> Symmetry:
    key: str | int = " ".join(name.split()) if name else ""
    if number and not name:
        key = int(number) if number.isdecimal() and len(number) < 4 else number
    from ase.spacegroup import Spacegroup
    from ase.spacegroup.spacegroup import SpacegroupError

    try:
        group = Spacegroup(key)
        rotations, translations = group.get_op()
    except (SpacegroupError, ValueError, KeyError, IndexError, AssertionError):
        raise InvalidFormat(
            f"space group '{short(str(key))}' is unknown; list the operations ({OPERATIONS[0]})"
        ) from None
    if name and number and number != str(group.no):
        raise InvalidFormat(
            f"space group '{short(name)}' is number {group.no}, not {short(number)}; {REMEDY}"
        )
    if group.no in SEVERAL_SETTINGS or (not name and group.no in MONOCLINIC):
        raise InvalidFormat(
            f"space group '{short(str(key))}' has several origins or settings; {REMEDY}"
        )
    return Symmetry(np.array(rotations, dtype=np.float64), np.array(translations))


def _operation(text: str) -> tuple[Floats, Floats]:
    """Rotation and translation of a text such as `-y, x-y, z+1/3`."""
    parts = text.lower().replace(" ", "").split(",")[:4]
    if len(text) > 200 or len(parts) < 3:
        raise InvalidFormat(f"'{short(text)}' is no symmetry operation such as -y,x-y,z+1/3")
    rows = [_row(part, text) for part in parts[:3]]
    return np.array([row[:3] for row in rows]), np.array([row[3] for row in rows])


def _row(part: str, text: str) -> list[float]:
    """Factors of x, y and z, and what is added to them."""
    row, place = [0.0] * 4, 0
    while place < len(part):
        match = TERM.match(part, place)
        if (
            match is None
            or not (match[2] or match[4])
            or match[3] == "0"
            or (place and not match[1])
        ):
            raise InvalidFormat(f"'{short(text)}' is no symmetry operation such as -y,x-y,z+1/3")
        value = float(match[2] or 1) / float(match[3] or 1)
        row["xyz".index(match[4]) if match[4] else 3] += -value if match[1] == "-" else value
        place = match.end()
    if not part:
        raise InvalidFormat(f"'{short(text)}' is no symmetry operation such as -y,x-y,z+1/3")
    return row


def images(symmetry: Symmetry, fractional: Floats, cell: Floats) -> Floats:
    """(K, 3) fractional coordinates in the cell of all images of one atom, each of them once.

    Args:
        symmetry: the operations.
        fractional: (3,) coordinates of the atom.
        cell: (3, 3), Å, rows are lattice vectors.
    """
    points = symmetry.rotations @ fractional + symmetry.translations
    if len(points) == 1:
        return points
    points = points % 1.0
    along = points[:, 0, None] - points[None, :, 0]
    along -= np.rint(along)
    reach = SAME * np.linalg.norm(np.linalg.inv(cell)[:, 0])  # of what is close, along this axis
    later, earlier = np.nonzero(np.tril(np.abs(along) <= reach, -1))
    steps = points[later] - points[earlier]
    near = np.linalg.norm((steps - np.rint(steps)) @ cell, axis=1) < SAME
    return np.delete(points, later[near], axis=0)
