"""Write SDF: a molfile for each record, and data fields behind it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from app.atoms.structure import Structure
from app.errors import InvalidStructure
from app.formats.record import Record, TextWriter
from app.formats.sdf.reader import TOTAL_CHARGE
from app.formats.topology import Topology

PROGRAM = f"  {'Equipot':<18}3D"
"""Program and dimension, in their columns of the second line."""
COUNTS_END = "  0  0  0  0  0  0  0  0999"
MOST = 999
"""Atoms or bonds that a V2000 molfile can count."""
LARGEST = 9999.0
"""Å; what the ten columns of a V2000 coordinate hold, with four decimals."""
CONFIGURATIONS = {1: 1, 4: 2, 6: 3}
"""Of bonds in V3000, by those of V2000."""
LONGEST_TITLE = 80
END = "$$$$"
PER_LINE = 8
"""Pairs on a line `M  CHG`."""


def misfit(structure: Structure) -> str | None:
    """Why a structure cannot be written, or None."""
    if not structure.cell.any():
        return None
    return "SDF holds molecules, without a cell; ask for xyz, cif or json"


class SdfWriter(TextWriter):
    """A molfile for each record, with the bonds, charges, radicals and isotopes of its file.

    It is V2000 where that can hold it, with four decimals of an Å, else V3000. Data fields are those
    of its file, and what was computed; one that is no structure has no atoms.
    """

    def text(self, record: Record) -> str:
        """See `app.formats.record.Writer`."""
        topology = record.topology or Topology()
        title = "".join(c if c.isprintable() else " " for c in record.id or "")[:LONGEST_TITLE]
        if title.startswith(END):  # which would end the record
            title = f" {title}"
        lines = [title, PROGRAM, "", *_table(record.structure, topology)]
        for name, value in _fields(record, topology).items():
            lines += [f"> <{_name(name)}>", *_value(value), ""]
        return "\n".join([*lines, END]) + "\n"


def _table(structure: Structure | None, topology: Topology) -> Iterator[str]:
    if structure is None:
        yield f"  0  0{COUNTS_END} V2000"
        yield "M  END"
        return
    small = max(len(structure), len(topology.bonds)) <= MOST
    within = bool(np.abs(structure.positions).max() < LARGEST)
    yield from (_v2000 if small and within else _v3000)(structure, topology)


def _v2000(structure: Structure, topology: Topology) -> Iterator[str]:
    yield f"{len(structure):3d}{len(topology.bonds):3d}{COUNTS_END} V2000"
    for symbol, (x, y, z) in zip(structure.symbols, structure.positions.tolist(), strict=True):
        yield f"{x:10.4f}{y:10.4f}{z:10.4f} {symbol:<3} 0{'  0' * 11}"
    for bond in topology.bonds:
        yield f"{bond.first + 1:3d}{bond.second + 1:3d}{bond.kind:3d}{bond.stereo:3d}"
    for name, values in _states(topology):
        pairs = [f"{atom + 1:4d}{value:4d}" for atom, value in sorted(values.items())]
        for start in range(0, len(pairs), PER_LINE):
            part = pairs[start : start + PER_LINE]
            yield f"M  {name}{len(part):3d}{''.join(part)}"
    yield "M  END"


def _v3000(structure: Structure, topology: Topology) -> Iterator[str]:
    yield f"  0  0{COUNTS_END} V3000"
    yield "M  V30 BEGIN CTAB"
    yield f"M  V30 COUNTS {len(structure)} {len(topology.bonds)} 0 0 0"
    yield "M  V30 BEGIN ATOM"
    states = [(name.replace("ISO", "MASS"), values) for name, values in _states(topology)]
    for atom, (symbol, place) in enumerate(
        zip(structure.symbols, structure.positions.tolist(), strict=True)
    ):
        options = "".join(f" {name}={values[atom]}" for name, values in states if atom in values)
        yield f"M  V30 {atom + 1} {symbol} {' '.join(map(repr, place))} 0{options}"
    yield "M  V30 END ATOM"
    if topology.bonds:
        yield "M  V30 BEGIN BOND"
        for number, bond in enumerate(topology.bonds, 1):
            stereo = CONFIGURATIONS.get(bond.stereo)
            option = f" CFG={stereo}" if stereo else ""
            yield f"M  V30 {number} {bond.kind} {bond.first + 1} {bond.second + 1}{option}"
        yield "M  V30 END BOND"
    yield "M  V30 END CTAB"
    yield "M  END"


def _states(topology: Topology) -> Sequence[tuple[str, Mapping[int, int]]]:
    return ("CHG", topology.charges), ("RAD", topology.radicals), ("ISO", topology.masses)


def _fields(record: Record, topology: Topology) -> dict[str, object]:
    """Data fields by name: those of the file, then what the table cannot say, and the answer."""
    fields = dict(record.kept)
    if (structure := record.structure) is not None:
        if topology.charge != structure.charge:
            fields[TOTAL_CHARGE] = structure.charge
        if structure.multiplicity not in (None, _multiplicity(topology)):
            fields["multiplicity"] = structure.multiplicity
        if structure.fixed is not None:
            fields["fixed"] = np.flatnonzero(structure.fixed)
    return {**fields, **record.values, **record.answer}


def _multiplicity(topology: Topology) -> int | None:
    try:
        return topology.multiplicity()
    except InvalidStructure:
        return None


def _name(name: str) -> str:
    """A field's name, without what would end it."""
    return "".join("_" if c in "<>\n\r" else c for c in name)


def _value(value: object) -> list[str]:
    """Lines of a value, none of which is empty or ends the record; a row of an array each."""
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and value.dtype.kind == "i":
            return [" ".join(map(str, value.tolist()))]
        rows = value[:, None] if value.ndim == 1 else value
        return [" ".join(map(repr, row)) for row in rows.tolist()]
    if isinstance(value, (bool, np.bool_)):
        return ["true" if value else "false"]
    if isinstance(value, (float, np.floating)):
        return [repr(float(value))]
    lines = [line for line in str(value).splitlines() if line.strip()]
    return [f" {line}" if line.startswith((">", "$$$$")) else line for line in lines]
