"""Read CIF: the crystal, or molecule, of each data block that lists atoms."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from app.atoms.elements import read_symbols
from app.atoms.structure import Floats, Integers, Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.atom_states import total_charge
from app.formats.cell_parameters import cell_from
from app.formats.cif.blocks import Block, read_blocks
from app.formats.cif.symmetry import Symmetry, images, is_stated, read_symmetry
from app.formats.doubts import doubts
from app.formats.frame import Frame
from app.formats.stated import stated
from app.formats.text import short, split_lines

NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:\(\d*\))?")
"""A number, maybe with its uncertainty in brackets."""
TYPE = re.compile(r"([A-Za-z]{1,3})(?:(\d*\.?\d*)([+-]))?\d*")
"""An element, maybe with an oxidation number, as in Fe3+."""
CELL = (
    *(f"_cell_length_{axis}" for axis in "abc"),
    *(f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma")),
)
LONGEST_WORD = 100
"""Characters of the longest number or type of an element."""
AXES = tuple("xyz")
WHOLE = 0.999
"""From this occupancy on, a site counts as full."""
MOST = 200_000
"""Atoms that symmetry may make before those that coincide are joined."""
MACROMOLECULE = "_atom_site_group_pdb"
MOMENT = "_atom_site_moment_"

NO_SYMMETRY = AnswerWarning(
    "symmetry_not_stated",
    "neither a space group nor symmetry operations are stated, and P 1 was assumed: the sites that are "
    "listed are all atoms of the cell; state the group (_space_group_name_H-M_alt)",
)


def parse(text: str, _: int = 0, before: int = 0) -> Iterator[Frame]:
    """The structures of those blocks that list atoms, each with the name of its block as `id`.

    One that is malformed is an error in its own place; the message names what is wrong.

    Args:
        text: a file's content, or a part of it that begins with a block.
        before: lines before the first one, for messages.
    """
    blocks = read_blocks(split_lines(text), before)
    return (_frame(block) for block in blocks if block.fault or _has_atoms(block))


def _has_atoms(block: Block) -> bool:
    return any(name.startswith(("_atom_site_", "_cell_length")) for name in block.values)


def _frame(block: Block) -> Frame:
    name = block.first("_equipot_id") or block.name or None
    try:
        if block.fault:
            raise block.fault
        return _read(block, name)
    except InvalidFormat as error:
        return Frame(InvalidFormat(f"block {short(block.name)}: {error}"), name)
    except InputError as error:
        return Frame(error, name)


def _read(block: Block, name: str | None) -> Frame:
    _refuse_unread(block)
    cell = _cell(block)
    fractional = _positions(block, cell)
    labels = _labels(block, len(fractional))
    symbols, charges = _elements(block, labels)
    elements = read_symbols(symbols)
    _check_occupancy(block, labels)
    _check_order(block, labels)
    _check_dummies(block, labels)
    if cell is None:
        structure = Structure(elements.numbers, fractional, **_state(block, charges))
        return Frame(structure, name, _remarks(block), elements.warnings + doubts(structure))
    origins, points = _expanded(read_symmetry(block), fractional, cell)
    structure = Structure(
        elements.numbers[origins],
        points @ cell,
        cell,
        np.ones(3, dtype=bool),
        **_state(block, charges[origins]),
    )
    warnings = read_symbols([symbols[site] for site in origins]).warnings
    if not is_stated(block):
        warnings = (*warnings, NO_SYMMETRY)
    return Frame(structure, name, _remarks(block), warnings)


def _state(block: Block, charges: Floats) -> dict[str, Any]:
    """Charge and multiplicity: as a file that we wrote states them, else of oxidation numbers."""
    names = ("charge", "multiplicity")
    said = stated({name: block.first(f"_equipot_{name}") for name in names})
    charge = total_charge(charges) if said.charge is None else said.charge
    return {"charge": charge, "multiplicity": said.multiplicity}


def _remarks(block: Block) -> dict[str, str]:
    """Remarks of a file that we wrote."""
    names, texts = (block.values.get(f"_equipot_remark_{part}", []) for part in ("name", "text"))
    return dict(zip(names, texts, strict=False))


def _refuse_unread(block: Block) -> None:
    """Refuse what is stated in a way that is not read."""
    if MACROMOLECULE in block.values:
        raise InvalidFormat("an mmCIF of a macromolecule, which is not read; convert it to PDB")
    if any(name.startswith(MOMENT) for name in block.values):
        raise InvalidStructure("magnetic moments of the sites, which no model takes into account")
    for label, count in zip(
        block.values.get("_atom_site_label", ()),
        block.values.get("_atom_site_attached_hydrogens", ()),
        strict=False,
    ):
        if count not in ("0", ".", "?"):
            raise InvalidStructure(
                f"site {short(label)}: {short(count)} attached hydrogens without places; add them"
            )


def _check_order(block: Block, labels: Sequence[str]) -> None:
    """Refuse sites that exclude each other, whatever their occupancies."""
    groups = block.values.get("_atom_site_disorder_group", ())
    for label, group in zip(labels, groups, strict=False):
        if group not in (".", "?", "0", "1"):
            raise InvalidStructure(
                f"site {short(label)}: disorder group {short(group)}, which excludes others; make an "
                "ordered structure first"
            )


def _check_dummies(block: Block, labels: Sequence[str]) -> None:
    """Refuse sites that stand for no atom."""
    flags = block.values.get("_atom_site_calc_flag", ())
    for label, flag in zip(labels, flags, strict=False):
        if flag.lower() in ("dum", "dummy"):
            raise InvalidStructure(f"site {short(label)}: a dummy; leave it out")


def _cell(block: Block) -> Floats | None:
    """The cell, or None where a block has none and its atoms are a molecule."""
    given = [block.first(name) for name in CELL]
    if not any(given):
        return None
    missing = [name for name, value in zip(CELL, given, strict=True) if value is None]
    if missing:
        raise InvalidFormat(f"{missing[0]} is missing; a cell has three lengths and three angles")
    return cell_from(_numbers([str(value) for value in given], "the cell"), "the cell")


def _positions(block: Block, cell: Floats | None) -> Floats:
    """(N, 3) fractional coordinates of the sites; without a cell, in Å."""
    for kind in ("fract", "cartn"):
        columns = [block.values.get(f"_atom_site_{kind}_{axis}") for axis in AXES]
        if any(column is None for column in columns):
            continue
        lists = [column for column in columns if column is not None]
        if len(set(map(len, lists))) > 1:
            raise InvalidFormat("the columns of the coordinates differ in length")
        points = np.array([_numbers(column, "a site") for column in lists]).T
        if kind == "fract" and cell is None:
            raise InvalidFormat("fractional coordinates without a cell")
        fractional: Floats = points
        return fractional @ np.linalg.inv(cell) if kind == "cartn" and cell is not None else points
    raise InvalidFormat("no coordinates of the sites (_atom_site_fract_x, _y and _z)")


def _labels(block: Block, count: int) -> Sequence[str]:
    given = block.values.get("_atom_site_label") or block.values.get("_atom_site_type_symbol") or ()
    if len(given) != count:
        raise InvalidFormat(f"{count} coordinates, but {len(given)} labels of sites")
    return given


def _elements(block: Block, labels: Sequence[str]) -> tuple[list[str], Floats]:
    """Elements of the sites, and their charges by the oxidation numbers that are stated."""
    types = block.values.get("_atom_site_type_symbol", labels)
    if len(types) != len(labels):
        raise InvalidFormat(f"{len(labels)} sites, but {len(types)} types")
    symbols, charges, states = [], [], _oxidation_numbers(block)
    for text, label in zip(types, labels, strict=True):
        symbol, charge = _symbol(text, label, types is labels)
        symbols.append(symbol)
        stated = states.get(text, states.get(symbol, charge))
        if charge and stated != charge:
            raise InvalidFormat(
                f"site {short(label)}: type '{short(text)}', but _atom_type_oxidation_number {stated:g}"
            )
        charges.append(stated)
    return symbols, np.array(charges)


def _oxidation_numbers(block: Block) -> dict[str, float]:
    """Those of the types that have one, by the symbols of the types."""
    pairs = zip(
        block.values.get("_atom_type_symbol", ()),
        block.values.get("_atom_type_oxidation_number", ()),
        strict=False,
    )
    known = {symbol: number for symbol, number in pairs if number not in ("?", ".")}
    numbers = _numbers(list(known.values()), "the oxidation numbers")
    return dict(zip(known, numbers.tolist(), strict=True))


def _symbol(text: str, label: str, is_label: bool) -> tuple[str, float]:
    """Element and charge of a type, or the element of a label such as Fe1 or O2a."""
    text = text[: LONGEST_WORD + 1]
    match = re.match(r"([A-Za-z]{1,2})()()", text) if is_label else TYPE.fullmatch(text)
    if match is None:
        raise InvalidStructure(f"site {short(label)}: '{short(text)}' is no element")
    letters = match[1]
    known = letters.capitalize() in atomic_numbers
    if is_label and len(letters) == 2 and (letters[1].isupper() or not known):
        if known and letters[0] in atomic_numbers:
            raise InvalidStructure(
                f"site {short(label)}: {letters.capitalize()} or {letters[0]}; state the element as "
                "_atom_site_type_symbol"
            )
        letters = letters[0]
    size = float(match[2] or 1) if match[2] != "." else 1.0
    charge = {"+": size, "-": -size}.get(match[3] or "", 0.0)
    return letters.capitalize(), charge


def _check_occupancy(block: Block, labels: Sequence[str]) -> None:
    for label, text in zip(labels, block.values.get("_atom_site_occupancy", ()), strict=False):
        if text in ("?", "."):
            continue
        (occupancy,) = _numbers([text], f"the occupancy of site {short(label)}")
        if not occupancy >= WHOLE:
            raise InvalidStructure(
                f"site {short(label)}: occupancy {occupancy:g}; energies are those of whole atoms: "
                "make an ordered structure first"
            )


def _expanded(symmetry: Symmetry, fractional: Floats, cell: Floats) -> tuple[Integers, Floats]:
    """(K,) the site of each atom of the cell, and (K, 3) their fractional coordinates.

    Raises:
        InvalidFormat: more than the limit.
    """
    count = len(fractional) * len(symmetry.rotations)
    if count > MOST:
        raise InvalidFormat(
            f"{len(fractional)} sites and {len(symmetry.rotations)} operations make {count} images; "
            f"at most {MOST} are read"
        )
    if len(symmetry.rotations) == 1:
        points = fractional @ symmetry.rotations[0].T + symmetry.translations[0]
        return np.arange(len(points)), points
    groups = [images(symmetry, point, cell) for point in fractional]
    origins = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return origins, np.concatenate(groups) if groups else np.zeros((0, 3))


def _numbers(texts: Sequence[str], what: str) -> Floats:
    values = []
    for text in texts:
        match = NUMBER.fullmatch(text) if len(text) <= LONGEST_WORD else None
        if match is None:
            raise InvalidFormat(f"'{short(text)}' is no number, in {what}")
        values.append(float(match[1]))
    return np.array(values)
