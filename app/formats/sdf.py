"""Read SDF: molfiles in the V2000 form, one after the other.

Format: Dalby et al., J. Chem. Inf. Comput. Sci. 32, 244 (1992). Bonds are of no interest here;
charges are, since a model that cannot take them into account must refuse them.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from app.atoms.elements import read_symbols
from app.atoms.structure import Structure
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.frame import Frame

END = "$$$$"
CHARGE_CODES = {"0": 0, "1": 3, "2": 2, "3": 1, "4": 0, "5": -1, "6": -2, "7": -3}
"""Of the atom block; lines `M  CHG` replace all of them."""
RADICAL_CODE = "4"


def parse(text: str) -> list[Frame]:
    """The molecules of an SDF, each with its title as `id`.

    A molecule that is no sound structure, or only a 2D sketch, is an error in its own place.

    Raises:
        InvalidFormat: a record that is no V2000 molfile; names its number and line.
    """
    return [_frame(record, number) for number, record in enumerate(_records(text.splitlines()))]


def _records(lines: Sequence[str]) -> Iterator[list[str]]:
    record: list[str] = []
    for line in lines:
        if line.startswith(END):
            yield record
            record = []
        else:
            record.append(line)
    if any(line.strip() for line in record):
        yield record


def _frame(record: list[str], number: int) -> Frame:
    if len(record) < 4 or not record[3].rstrip().endswith("V2000"):
        raise InvalidFormat(f"molecule {number}: no V2000 molfile; line 4 must end with 'V2000'")
    atoms, bonds = _count(record, number, 0), _count(record, number, 3)
    block = record[4 : 4 + atoms]
    if len(block) < atoms:
        raise InvalidFormat(
            f"molecule {number}: {atoms} atoms announced, but only {len(block)} lines follow"
        )
    positions = [_position(line, number, 5 + row) for row, line in enumerate(block)]
    properties = [line for line in record[4 + atoms + bonds :] if line.startswith("M  ")]
    return Frame(_structure(record[1], block, positions, properties), record[0].strip() or None)


def _structure(
    header: str, block: list[str], positions: list[list[float]], properties: list[str]
) -> Structure | InputError:
    if header[20:22] == "2D":
        return InvalidStructure("a 2D sketch; make 3D coordinates with all hydrogens first")
    try:
        return Structure(
            read_symbols([line[31:34].strip() for line in block]).numbers,
            np.array(positions),
            charge=_charge(block, properties),
            multiplicity=_multiplicity(block, properties),
        )
    except InvalidStructure as error:
        return error


def _charge(block: list[str], properties: list[str]) -> int:
    listed = _values(properties, "M  CHG")
    if listed or _values(properties, "M  RAD"):
        return sum(listed)
    codes = [line[36:39].strip() or "0" for line in block]
    unknown = [code for code in codes if code not in CHARGE_CODES]
    if unknown:
        raise InvalidStructure(f"charge code '{unknown[0]}' in the atom block; expected 0 to 7")
    return sum(CHARGE_CODES[code] for code in codes)


def _multiplicity(block: list[str], properties: list[str]) -> int | None:
    radicals = _values(properties, "M  RAD")
    if not properties and any(line[36:39].strip() == RADICAL_CODE for line in block):
        radicals = [2]
    if len(radicals) > 1:
        raise InvalidStructure(
            f"{len(radicals)} radical centres; state the multiplicity in an extXYZ file instead"
        )
    return radicals[0] if radicals else None


def _values(properties: list[str], key: str) -> list[int]:
    """The values of lines `M  KEY n atom value atom value …`."""
    try:
        return [
            int(word) for line in properties if line.startswith(key) for word in line.split()[4::2]
        ]
    except ValueError:
        raise InvalidStructure(f"'{key}' line without whole numbers") from None


def _count(record: list[str], number: int, start: int) -> int:
    try:
        return int(record[3][start : start + 3])
    except ValueError:
        raise InvalidFormat(
            f"molecule {number}, line 4: '{record[3][:6]}' are no counts of atoms and bonds"
        ) from None


def _position(line: str, number: int, row: int) -> list[float]:
    try:
        return [float(line[at : at + 10]) for at in (0, 10, 20)]
    except ValueError:
        raise InvalidFormat(
            f"molecule {number}, line {row}: '{line[:30].strip()}' are no coordinates"
        ) from None
