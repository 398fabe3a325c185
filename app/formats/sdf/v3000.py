"""The connection table of a V3000 molfile: lines `M  V30` of words, in named blocks."""

from collections.abc import Iterator, Sequence

from app.errors import InvalidFormat
from app.formats.sdf.molecule import Molecule, position, whole
from app.formats.text import short
from app.formats.topology import Bond, Topology

PREFIX = "M  V30 "
OPTIONS = ("CHG", "RAD", "MASS")
"""Options of atoms that are read."""
STEREO = {1: 1, 2: 4, 3: 6}
"""Configurations of bonds, in the numbers of V2000."""
Line = tuple[int, list[str]]


def read(lines: Sequence[str], first: int) -> Molecule:
    """The molecule of a table.

    Args:
        lines: from the line with `V3000` on; there may be more after `M  END`.
        first: the number of that line in the file.

    Raises:
        InvalidFormat: naming line and value.
    """
    table = list(_statements(lines, first))
    atoms = [_row(number, words, 6) for number, words in _block(table, "ATOM")]
    bonds = [_row(number, words, 4) for number, words in _block(table, "BOND")]
    _check_counts(table, len(atoms), len(bonds))
    places = {words[0]: row for row, (_, words) in enumerate(atoms)}
    states = [_states(atoms, name) for name in OPTIONS]
    return Molecule(
        symbols=[words[1].strip('"') for _, words in atoms],
        positions=[position(words[2:5], number) for number, words in atoms],
        topology=Topology(tuple(_bond(words, number, places) for number, words in bonds), *states),
    )


def _statements(lines: Sequence[str], first: int) -> Iterator[Line]:
    """The words of each statement up to `M  END`; one that ends with a hyphen goes on below."""
    parts: list[str] = []
    for number, line in enumerate(lines, first):
        if line.startswith("M  END"):
            return
        if not line.startswith(PREFIX.rstrip()):
            continue
        text = line[len(PREFIX) :].rstrip()
        parts.append(text.removesuffix("-"))
        if not text.endswith("-"):
            yield number, "".join(parts).split()
            parts = []
    raise InvalidFormat("no line 'M  END' after the atoms and bonds; is the molecule truncated?")


def _block(table: Sequence[Line], name: str) -> Iterator[Line]:
    """The rows between `BEGIN name` and `END name`."""
    within = False
    for number, words in table:
        if [word.upper() for word in words[:2]] in (["BEGIN", name], ["END", name]):
            within = words[0].upper() == "BEGIN"
        elif within:
            yield number, words


def _row(number: int, words: list[str], least: int) -> Line:
    if len(words) < least:
        raise InvalidFormat(
            f"line {number}: '{short(' '.join(words))}' has {len(words)} words where at least {least} are expected"
        )
    return number, words


def _check_counts(table: Sequence[Line], atoms: int, bonds: int) -> None:
    counts = next((line for line in table if line[1][:1] == ["COUNTS"]), None)
    if counts is None or len(counts[1]) < 3:
        raise InvalidFormat("no line 'M  V30 COUNTS' with the numbers of atoms and bonds")
    number, words = counts
    for text, there, name in zip(words[1:3], (atoms, bonds), ("atoms", "bonds"), strict=True):
        if whole(text, number, f"number of {name}") != there:
            raise InvalidFormat(
                f"line {number}: {text} {name} announced, but {there} are there; is it truncated?"
            )


def _states(atoms: Sequence[Line], name: str) -> dict[int, int]:
    """The values of an option, of those atoms that have another one than 0."""
    values = ((row, _option(words, name, number)) for row, (number, words) in enumerate(atoms))
    return {row: value for row, value in values if value}


def _option(words: Sequence[str], name: str, number: int, fixed: int = 6) -> int:
    """The value of `NAME=value` behind the fixed words; 0 where it is not given."""
    start = f"{name}="
    given = next((word for word in words[fixed:] if word.upper().startswith(start)), None)
    return whole(given[len(start) :], number, name) if given else 0


def _bond(words: Sequence[str], number: int, places: dict[str, int]) -> Bond:
    if not (words[2] in places and words[3] in places):
        raise InvalidFormat(f"line {number}: a bond of an atom that is not there")
    kind = whole(words[1], number, "type of a bond")
    stereo = STEREO.get(_option(words, "CFG", number, fixed=4), 0)
    return Bond(kind, places[words[2]], places[words[3]], stereo)
