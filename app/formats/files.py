"""Structures from files of any format."""

from pathlib import Path
from typing import TYPE_CHECKING

from app.atoms.structure import Structure
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats import extxyz, sdf
from app.formats.ase_atoms import from_ase
from app.formats.frame import Frame

if TYPE_CHECKING:
    from ase import Atoms

OWN_FORMATS = {".xyz": extxyz.parse, ".extxyz": extxyz.parse, ".sdf": sdf.parse, ".mol": sdf.parse}
"""Parsers by suffix.

SDF is not left to ASE, which reads the first molecule only, and no charges.
"""


def read_structures(path: Path) -> list[Frame]:
    """The frames of a file: (ext)XYZ and SDF by their suffix, and whatever else ASE recognises
    (CIF, POSCAR, ...).

    Raises:
        InvalidFormat: the file cannot be read; names it and the reason.
    """
    try:
        parse = OWN_FORMATS.get(path.suffix.lower())
        return parse(path.read_text(encoding="utf-8")) if parse else _from_ase(path)
    except (OSError, UnicodeDecodeError, InvalidFormat) as error:
        raise InvalidFormat(f"{path}: {error}") from error


def _from_ase(path: Path) -> list[Frame]:
    import ase.io

    try:
        images = ase.io.read(path, index=":")
    except OSError:
        raise
    except Exception as error:  # the readers of ASE's formats share no base of their errors
        raise InvalidFormat(
            f"no format that ASE can read: {type(error).__name__}: {error}"
        ) from error
    return [Frame(_structure(atoms)) for atoms in images]


def _structure(atoms: "Atoms") -> Structure | InputError:
    try:
        return from_ase(atoms)
    except InvalidStructure as error:
        return error
