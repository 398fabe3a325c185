"""Read PDB: the models of a file, each a structure of its own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.atoms.elements import read_symbols
from app.atoms.structure import Floats, Structure
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.cell_parameters import cell_from
from app.formats.doubts import doubts
from app.formats.frame import Frame
from app.formats.pdb.locations import choose_locations
from app.formats.pdb.site import Site, read_site
from app.formats.text import short, split_lines

PLACEHOLDER = 1.0
"""Å; a cell of no longer edges is the format's way to say that there is none."""
PRIMITIVE = re.compile(r"(P ?1)?", re.IGNORECASE)
"""Space groups in which a file holds all atoms of its cell."""


@dataclass
class _Model:
    """The lines of one model.

    Attributes:
        cell: number and text of the line with its cell, if there is one.
        atoms: numbers and texts of its atoms' lines.
        cells: those of the lines with a cell that stand in the model itself.
    """

    cell: tuple[int, str] | None
    atoms: list[tuple[int, str]] = field(default_factory=list)
    cells: list[tuple[int, str]] = field(default_factory=list)


def parse(text: str, first: int = 0, before: int = 0) -> Iterator[Frame]:
    """The models of a PDB file; atoms outside of `MODEL` are one, too, up to `END`.

    A model that holds no sound structure is an error in its own place; the message names model
    (from 0), line (from 1) and value.

    Args:
        text: a file's content, or a part of it, after the cell that holds for it and `END`.
        first: number of the first model, for messages.
        before: lines before the first one, for messages.
    """
    models = enumerate(_models(split_lines(text), before), first)
    return (_frame(model, number) for number, model in models)


def _models(lines: Sequence[str], before: int) -> Iterator[_Model]:
    """Models that are announced, and others where they have atoms."""
    model, announced = _Model(None), False
    for number, line in enumerate(lines, before + 1):
        record = line[:6].rstrip().upper()
        if record in ("ATOM", "HETATM"):
            model.atoms.append((number, line))
        elif record == "CRYST1":
            model.cell = (number, line)
            model.cells.append(model.cell)
        elif record in ("MODEL", "ENDMDL", "END"):
            if model.atoms or (announced and record != "END"):
                yield model
                model = _Model(model.cell)
            elif record == "END":
                model.cells.clear()
            announced = record == "MODEL"
    if model.atoms or announced:
        yield model


def _frame(model: _Model, number: int) -> Frame:
    try:
        return _read(model)
    except InvalidFormat as error:
        return Frame(InvalidFormat(f"model {number}, {error}"))
    except InputError as error:
        return Frame(error)


def _read(model: _Model) -> Frame:
    _check_cells(model.cells)
    cell = _cell(*model.cell) if model.cell else None
    given = [read_site(line, number) for number, line in model.atoms]
    sites, dropped = choose_locations(given)
    elements = read_symbols([site.element for site in sites])
    structure = Structure(
        elements.numbers,
        np.array([site.position for site in sites], dtype=np.float64).reshape(-1, 3),
        np.zeros((3, 3)) if cell is None else cell,
        np.array(cell is not None),
        _charge(sites),
    )
    return Frame(structure, warnings=elements.warnings + dropped + doubts(structure))


def _check_cells(cells: Sequence[tuple[int, str]]) -> None:
    for number, line in cells[1:]:
        if line[6:66].split() != cells[0][1][6:66].split():
            raise InvalidFormat(
                f"line {number}: '{short(line)}' is another cell than that of line {cells[0][0]}; leave "
                "one out"
            )


def _charge(sites: Sequence[Site]) -> int:
    return sum(site.charge or 0 for site in sites)


def _cell(number: int, line: str) -> Floats | None:
    """The cell of a line `CRYST1`; None for the one that stands for none.

    Raises:
        InvalidFormat: no lengths or angles.
        InvalidStructure: a space group of which the file holds a part only.
    """
    spans = ((6, 15), (15, 24), (24, 33), (33, 40), (40, 47), (47, 54))
    try:
        lengths_angles = np.array([float(line[start:end]) for start, end in spans])
    except ValueError:
        raise InvalidFormat(
            f"line {number}: '{short(line)}' does not hold the lengths and angles of a cell"
        ) from None
    if (lengths_angles[:3] <= PLACEHOLDER).all():
        return None
    group = line[55:66].strip()
    if not PRIMITIVE.fullmatch(group):
        raise InvalidStructure(
            f"line {number}: space group {group}; the file holds the asymmetric unit alone: write "
            "all atoms of the cell with P 1, or leave CRYST1 out for the molecule"
        )
    return cell_from(lengths_angles, f"line {number}")
