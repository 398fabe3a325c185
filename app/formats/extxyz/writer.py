"""Write extXYZ."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from app.atoms.properties import ANSWERED
from app.atoms.structure import Floats, Structure
from app.errors import InvalidStructure
from app.formats.extxyz.comment_line import write_pairs
from app.formats.info_keys import is_remark
from app.formats.record import Record, TextWriter
from app.formats.stated import stated

EMPTY = {"Properties": "species:S:1:pos:R:3"}


def format_frame(
    structure: Structure,
    predicted: Mapping[str, Any] | None = None,
    info: Mapping[str, object] | None = None,
) -> str:
    """One frame of extXYZ, which reads back to the last bit; ASE reads the results into a
    calculator.

    Args:
        structure: atoms and cell.
        predicted: values of what is predicted, by the names of `app.atoms.properties`: those of
            atoms become columns, those of structures stand in the comment line.
        info: further pairs for the comment line; those named like geometry or results are left out.
    """
    predicted = predicted or {}
    columns, properties = [structure.positions], "species:S:1:pos:R:3"
    for row in ANSWERED:
        if row.per == "atom" and row.name in predicted:
            values = predicted[row.name].reshape(len(structure), -1)
            columns.append(values)
            properties += f":{row.name}:R:{values.shape[1]}"
    if structure.fixed is not None:
        properties += ":move_mask:L:1"
    pairs = {
        "Lattice": structure.cell.ravel() if structure.cell.any() else None,
        "Properties": properties,
        "pbc": structure.pbc,
        **{row.name: predicted.get(row.name) for row in ANSWERED if row.per == "structure"},
        "charge": structure.charge or None,
        "multiplicity": structure.multiplicity,
        **{key: value for key, value in (info or {}).items() if is_remark(key)},
    }
    comment = write_pairs((key, value) for key, value in pairs.items() if value is not None)
    words = [structure.symbols, _number_rows(columns)]
    if structure.fixed is not None:
        words.append(["F" if fixed else "T" for fixed in structure.fixed])
    atoms = "\n".join(map(" ".join, zip(*words, strict=True)))
    return f"{len(structure)}\n{comment}\n{atoms}\n"


def _number_rows(columns: list[Floats]) -> list[str]:
    """Each row's numbers, in the fewest digits that read back the same; `nan` for what is not
    finite.
    """
    table = np.ascontiguousarray(np.concatenate(columns, axis=1, dtype=np.float64))
    text = orjson.dumps(table, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return text[2:-2].replace("null", "nan").replace("],[", "\n").replace(",", " ").split("\n")


class ExtXyzWriter(TextWriter):
    """A frame for each record; one that is no structure has no atoms.

    The comment line holds the record's id, its remarks, and what the answer says of itself.
    """

    def text(self, record: Record) -> str:
        """See `app.formats.record.Writer`."""
        info: dict[str, object] = {} if record.id is None else {"id": record.id}
        if record.structure is None:
            return f"0\n{write_pairs((EMPTY | info | record.kept | dict(record.answer)).items())}\n"
        kept = record.kept.items()
        info |= {key: value for key, value in kept if _is_harmless(key, value, record.structure)}
        return format_frame(record.structure, record.values, info | dict(record.answer))


def _is_harmless(key: str, value: object, structure: Structure) -> bool:
    """Whether a remark, on a comment line, says nothing of the structure that it is not."""
    try:
        said = stated({key: value})
    except InvalidStructure:
        return False
    return (
        said.charge in (None, structure.charge)
        and said.multiplicity in (None, structure.multiplicity)
        and said.length == 1.0
    )
