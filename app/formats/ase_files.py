"""Files of formats that ASE reads and we do not, with a guard for what ASE passes over in silence."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.ase_atoms import from_ase
from app.formats.doubts import doubts
from app.formats.frame import Frame
from app.formats.masses import unusual_masses
from app.formats.text import short

if TYPE_CHECKING:
    from ase import Atoms

CHARGE = re.compile(
    r"""(?imx)
    (?: ^ [ \t"'$(]* (?:(?:total|net|tot|molecular|system|overall)[ _]*)? charge
      | ["'](?:\w{1,20}_)?charge["'] | \$eht\b .{0,80}? \b charge )
    ["']? [ \t]{0,20} (?: [:=] | \.{2,40} | [ \t] ) [ \t]{0,20} (?P<value> [-+]?\d{1,9} ) (?:\.0*)?
    (?= [ \t]* (?: $ | [,;}\]a-z] ) )
    """
)
"""A total charge that a text states; ASE's readers of molecules mostly leave it out."""
SPIN = re.compile(
    r"""(?im) (?: ^ [ \t"']* (?:spin[ _]*)? multiplicity | \bmultiplicity[ \t]*= )
    ["']? [ \t]{0,20} [:=]? [ \t]{0,20} (?P<value> \d{1,9} ) \b""",
    re.VERBOSE,
)
LAMMPS_COLUMNS = re.compile(r"(?m)^ITEM: ATOMS (?!.*\belement\b)(.*)$")
OTHER_COORDINATES = re.compile(r"(?m)^\$coord[ \t]+(?!natoms)(\w+)")
"""Turbomole's coordinates that are not in bohr, which ASE takes for such."""
ANY_TEXT = ("in", "out", "log", "dat", "data", "config", "ascii")
"""Suffixes that a program whose files ASE reads has taken, as have many others."""
LAMMPS_TYPES = re.compile(r"(?m)^\s*\d+\s+atom\s+types\b")


def of_suffix(suffix: str) -> str | None:
    """The format of ASE's that a suffix belongs to, or None; of those that any text may have, none."""
    from ase.io.formats import ioformats

    name = suffix.lower().removeprefix(".")
    if not name or name in ANY_TEXT:
        return None
    return next((kind for kind, f in ioformats.items() if name in (kind, *f.extensions)), None)


def read(data: bytes, name: str, kind: str | None = None) -> list[Frame]:
    """The structures of a file.

    Args:
        data: its content, decompressed.
        name: its name, by which ASE knows many formats.
        kind: name of the format in ASE; by default, what ASE finds.

    Raises:
        InvalidFormat: ASE cannot read it, or it states LAMMPS types where elements are needed.
    """
    text = data.decode("latin-1")
    _refuse_types(text)
    if match := OTHER_COORDINATES.search(text):
        raise InvalidFormat(
            f"coordinates in '{short(match[1])}'; Turbomole's are read in bohr alone"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (Path(name).name or "structure")
        path.write_bytes(data)
        images = _images(path, kind)
    stated = {"charge": _stated(CHARGE, text, 0), "multiplicity": _stated(SPIN, text, 1)}
    return [_frame(atoms, stated) for atoms in images]


def _images(path: Path, kind: str | None) -> Sequence["Atoms"]:
    import ase.io

    try:
        images = ase.io.read(path, index=":", format=kind, do_not_split_by_at_sign=True)
    except Exception as error:  # the readers of ASE's formats share no base of their errors
        told = str(error).replace(str(path), path.name)
        raise InvalidFormat(
            f"no format that is known, and none that ASE can read: {type(error).__name__}: "
            f"{short(told)}"
        ) from error
    return images if isinstance(images, list) else [images]


def _refuse_types(text: str) -> None:
    """Refuse LAMMPS files, which number types of atoms and do not name elements."""
    match = LAMMPS_COLUMNS.search(text)
    if match or LAMMPS_TYPES.search(text[:2000]):
        columns = f" (columns: {short(match[1])})" if match else ""
        raise InvalidFormat(
            f"a LAMMPS file of types, not elements{columns}; write it with `dump … custom … id type "
            "element x y z` and `dump_modify … element …`"
        )


def _stated(pattern: re.Pattern[str], text: str, default: int) -> int:
    """The first value that a text states and that is not the default."""
    values = (int(match["value"]) for match in pattern.finditer(text))
    return next((value for value in values if value != default), default)


def _frame(atoms: "Atoms", stated: dict[str, int]) -> Frame:
    try:
        structure = from_ase(atoms)
        if stated["charge"] and structure.charge != stated["charge"]:
            raise InvalidStructure(
                f"the file states charge {stated['charge']}, which is not read from this format; "
                "write the structure as extXYZ with charge=…"
            )
        if stated["multiplicity"] > 1 and structure.multiplicity != stated["multiplicity"]:
            raise InvalidStructure(
                f"the file states multiplicity {stated['multiplicity']}, which is not read from this "
                "format; write the structure as extXYZ with multiplicity=…"
            )
    except InputError as error:
        return Frame(error)
    heavy = unusual_masses(structure.numbers, atoms.get_masses()) if atoms.has("masses") else ()
    return Frame(structure, warnings=heavy + doubts(structure))
