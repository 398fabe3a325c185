"""The connection table of a V2000 molfile, which has columns of fixed width."""

from collections.abc import Iterator, Sequence

from ase.data import atomic_masses, atomic_numbers

from app.errors import InvalidFormat
from app.formats.sdf.molecule import Molecule, position, whole
from app.formats.text import short
from app.formats.topology import Bond, Topology

CHARGE_CODES = {0: 0, 1: 3, 2: 2, 3: 1, 4: 0, 5: -1, 6: -2, 7: -3}
"""Of the atom block; lines `M  CHG` and `M  RAD` replace all of them."""
DOUBLET = 4
"""The charge code of a radical."""
PROPERTY_STARTS = ("M  ", "A  ", "V  ", "G  ", "S  ")
END = "M  END"


def read(lines: Sequence[str], first: int) -> Molecule:
    """The molecule of a table.

    Args:
        lines: from the line with the counts on; there may be more after `M  END`.
        first: the number of that line in the file.

    Raises:
        InvalidFormat: naming line and value.
    """
    atoms, bonds = _counts(lines[0], first)
    if len(lines) <= atoms + bonds:
        raise InvalidFormat(
            f"line {first}: {atoms} atoms and {bonds} bonds announced, but only {len(lines) - 1} "
            "lines follow; is it truncated?"
        )
    atom_lines, bond_lines = lines[1 : 1 + atoms], lines[1 + atoms : 1 + atoms + bonds]
    properties = list(_properties(lines[1 + atoms + bonds :], first + 1 + atoms + bonds))
    codes = [
        0 if line[36:39] == "  0" else whole(line[36:39] or "0", first + 1 + row, "charge code")
        for row, line in enumerate(atom_lines)
    ]
    charges, radicals = _states(properties, codes, first)
    return Molecule(
        symbols=[line[31:34].strip() for line in atom_lines],
        positions=[
            position([line[at : at + 10] for at in (0, 10, 20)], first + 1 + row)
            for row, line in enumerate(atom_lines)
        ],
        topology=Topology(
            tuple(_bond(line, first + 1 + atoms + row) for row, line in enumerate(bond_lines)),
            charges,
            radicals,
            _masses(properties, atom_lines, first + 1),
        ),
    )


def _counts(line: str, number: int) -> tuple[int, int]:
    """Numbers of atoms and bonds, which have three columns each and so are at most 999."""
    words = [line[:3], line[3:6]]
    if any(len(word) == 3 and word != word.rstrip() for word in words):
        raise InvalidFormat(
            f"line {number}: '{short(line[:12])}' are no counts of three columns each; more than 999 "
            "atoms need the V3000 form"
        )
    atoms, bonds = (whole(word, number, "count of atoms or bonds") for word in words)
    if min(atoms, bonds) < 0:
        raise InvalidFormat(f"line {number}: '{line[:6]}' are no counts of atoms and bonds")
    return atoms, bonds


def _properties(lines: Sequence[str], first: int) -> Iterator[tuple[int, str]]:
    """Lines of properties up to the end of the table, with their numbers."""
    for number, line in enumerate(lines, first):
        if line.startswith(END):
            return
        if (
            line.strip()
            and not line.startswith(PROPERTY_STARTS)
            and not _is_text(lines, number - first)
        ):
            raise InvalidFormat(
                f"line {number}: '{short(line)}' where lines of properties ('M  …') are expected; "
                "check the counts of atoms and bonds"
            )
        yield number, line
    raise InvalidFormat(f"no line '{END}' after the atoms and bonds; is the molecule truncated?")


def _is_text(lines: Sequence[str], place: int) -> bool:
    """Whether a line is the text that belongs to a line `A` or `G` before it."""
    return place > 0 and lines[place - 1].startswith(("A  ", "G  "))


def _states(
    properties: Sequence[tuple[int, str]], codes: Sequence[int], first: int
) -> tuple[dict[int, int], dict[int, int]]:
    """Charges, and multiplicities of radicals, of those atoms that have them."""
    listed = {name: _pairs(properties, name, len(codes)) for name in ("CHG", "RAD")}
    if any(line.startswith(("M  CHG", "M  RAD")) for _, line in properties):
        return _summed(listed["CHG"]), {atom: value for atom, value in listed["RAD"] if value}
    unknown = next((row for row, code in enumerate(codes) if code not in CHARGE_CODES), None)
    if unknown is not None:
        raise InvalidFormat(
            f"line {first + 1 + unknown}: charge code '{codes[unknown]}' in the atom block; "
            "expected 0 to 7"
        )
    charges = {atom: CHARGE_CODES[code] for atom, code in enumerate(codes) if CHARGE_CODES[code]}
    return charges, {atom: 2 for atom, code in enumerate(codes) if code == DOUBLET}


def _summed(pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Charges by atom; what is stated of one atom several times adds up."""
    charges: dict[int, int] = {}
    for atom, value in pairs:
        charges[atom] = charges.get(atom, 0) + value
    return charges


def _masses(
    properties: Sequence[tuple[int, str]], atom_lines: Sequence[str], first: int
) -> dict[int, int]:
    """Mass numbers of atoms that have one of their own, from lines `M  ISO`, else from the
    differences to the element's mass in the atom block.
    """
    if any(line.startswith("M  ISO") for _, line in properties):
        return dict(_pairs(properties, "ISO", len(atom_lines)))
    return {
        row: _usual_mass(line[31:34].strip()) + whole(line[34:36], first + row, "mass difference")
        for row, line in enumerate(atom_lines)
        if line[34:36].strip() not in ("", "0")
    }


def _usual_mass(symbol: str) -> int:
    """The mass number nearest to the element's mass; 0 of what is no element."""
    return round(float(atomic_masses[atomic_numbers.get(symbol, 0)]))


def _pairs(properties: Sequence[tuple[int, str]], name: str, atoms: int) -> list[tuple[int, int]]:
    """Atoms, from 0, and values of the lines `M  NAME n atom value atom value …`."""
    pairs = []
    for number, line in properties:
        if line.startswith(f"M  {name}"):
            words = [whole(word, number, "whole number") for word in line[6:].split()]
            if len(words) != 1 + 2 * (words[0] if words else 0):
                raise InvalidFormat(
                    f"line {number}: '{short(line)}' does not hold as many pairs as it says"
                )
            absent = next((atom for atom in words[1::2] if not 0 < atom <= atoms), None)
            if absent is not None:
                raise InvalidFormat(
                    f"line {number}: '{short(line)}' names atom {absent}, but there are {atoms} atoms"
                )
            pairs += [(atom - 1, v) for atom, v in zip(words[1::2], words[2::2], strict=True)]
    return pairs


def _bond(line: str, number: int) -> Bond:
    one, other, kind = (whole(line[at : at + 3], number, "bond") for at in (0, 3, 6))
    stereo = line[9:12].strip()
    return Bond(kind, one - 1, other - 1, whole(stereo, number, "bond") if stereo else 0)
