"""Site: one atom of a PDB file, as its line says."""

import re
from dataclasses import dataclass

from ase.data import atomic_numbers

from app.errors import InvalidFormat
from app.formats.text import short

CHARGE = re.compile(r"(\d)([+-])|([+-])(\d)|0")
COUNTED, REMOTE = frozenset("CHNOPS"), frozenset("ABGDEZHX")
"""Elements of chains whose atoms have a second letter, Latin for Greek, as in CA, CB, CG, CD."""


@dataclass(frozen=True, slots=True)
class Site:
    """One atom of a model.

    Attributes:
        line: number of its line in the file.
        name: of the atom.
        location: letter of an alternate location, or a blank.
        residue: name, chain, number and insertion code.
        position: three coordinates, Å.
        occupancy: share of the molecules that have the atom here; None where it is not given.
        element: its symbol.
        charge: in elementary charges; None where it is not given.
    """

    line: int
    name: str
    location: str
    residue: tuple[str, str, str, str]
    position: list[float]
    occupancy: float | None
    element: str
    charge: int | None

    @property
    def label(self) -> str:
        """The atom in words that one finds in the file."""
        residue, chain, number, insertion = self.residue
        place = f"{chain}{number}{insertion}"
        return f"line {self.line}: {self.name} of {residue or 'residue'} {place}".rstrip()


def read_site(text: str, line: int) -> Site:
    """The atom of a line `ATOM` or `HETATM`.

    Raises:
        InvalidFormat: no coordinates, occupancy, charge or element; names line and value.
    """
    name = text[12:16]
    residue = (text[17:21].strip(), text[21:22].strip(), text[22:26].strip(), text[26:27].strip())
    position = [_number(text[at : at + 8], line, "coordinate") for at in (30, 38, 46)]
    occupancy = text[54:60].strip()
    column = text[76:78].strip()
    element = column.capitalize() if column.isalpha() else _from_name(name, residue[0], line)
    return Site(
        line,
        name.strip(),
        text[16:17] or " ",
        residue,
        position,
        _number(occupancy, line, "occupancy") if occupancy else None,
        element,
        _charge(text[78:80].strip(), line) if column.isalpha() else None,
    )


def _number(text: str, line: int, name: str) -> float:
    try:
        return float(text.replace("_", "x"))
    except ValueError:
        raise InvalidFormat(f"line {line}: '{short(text)}' is no {name}") from None


def _charge(text: str, line: int) -> int | None:
    if not text:
        return None
    match = CHARGE.fullmatch(text)
    if match is None:
        raise InvalidFormat(
            f"line {line}: '{text}' in columns 79-80 is no charge, such as 1+ or 2-"
        )
    if text == "0":
        return 0
    digit, sign = match[1] or match[4], match[2] or match[3]
    return int(digit) if sign == "+" else -int(digit)


def _from_name(name: str, residue: str, line: int) -> str:
    """The element of an atom's name, whose symbol ends in its second column.

    Raises:
        InvalidFormat: it may be two elements, as CA is calcium or an α carbon.
    """
    bare, first = name.strip().lstrip("0123456789"), name[:2].strip().lstrip("0123456789")
    if not bare[:1].isalpha():
        raise InvalidFormat(f"line {line}: '{name}' is no name of an atom")
    two = bare[:2].capitalize()
    if len(first) < 2 or two not in atomic_numbers:
        return bare[0].upper()
    if bare.upper() == residue.upper() or not _may_be_counted(two):
        return two
    if len(bare) > 2 and bare[0] == "H":
        return "H"
    raise InvalidFormat(
        f"line {line}: '{name}' of {residue or 'a residue'} is {two} or {two[0]}; write the element "
        "in columns 77-78"
    )


def _may_be_counted(symbol: str) -> bool:
    """Whether the second letter of an element may as well count atoms of the first one."""
    return symbol[0] in COUNTED and symbol[1].upper() in REMOTE
