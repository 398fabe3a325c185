"""Write POSCAR."""

from itertools import groupby

from app.atoms.structure import Floats, Structure
from app.formats.extxyz.comment_line import write_pairs
from app.formats.record import Record, TextWriter

LONGEST_COMMENT = 1000
"""Characters; what would make the first line longer is left out of it."""


def misfit(structure: Structure) -> str | None:
    """Why a structure cannot be written, or None."""
    if structure.is_bulk:
        return None
    return "a POSCAR holds what is periodic in all three directions; ask for xyz or json"


class PoscarWriter(TextWriter):
    """One structure, whose atoms keep their order.

    The first line says `key=value`: its id, charge and energy, and how a relaxation ended. Atoms that
    are fixed have selective dynamics.
    """

    def text(self, record: Record) -> str:
        """See `app.formats.record.Writer`; there must be a structure."""
        structure = record.structure
        assert structure is not None
        runs = [(symbol, len(list(same))) for symbol, same in groupby(structure.symbols)]
        fixed = structure.fixed
        flags = (
            [""] * len(structure)
            if fixed is None
            else ["  F F F" if f else "  T T T" for f in fixed]
        )
        rows = zip(_rows(structure.positions), flags, strict=True)
        lines = [
            _comment(record, structure),
            "1.0",
            *_rows(structure.cell),
            " ".join(symbol for symbol, _ in runs),
            " ".join(str(count) for _, count in runs),
            *(() if fixed is None else ("Selective dynamics",)),
            "Cartesian",
            *(position + flag for position, flag in rows),
        ]
        return "\n".join(lines) + "\n"


def _comment(record: Record, structure: Structure) -> str:
    pairs = {
        "id": record.id,
        "charge": structure.charge or None,
        "multiplicity": structure.multiplicity,
        **{key: record.values.get(key) for key in ("energy", "energy_std")},
        **record.answer,
    }
    comment = ""
    for key, value in pairs.items():
        pair = write_pairs([(key, value)]) if value is not None else ""
        if pair and len(comment) + len(pair) < LONGEST_COMMENT:
            comment += " " * bool(comment) + pair
    return comment


def _rows(vectors: Floats) -> list[str]:
    """Numbers that read back the same."""
    return ["  ".join(map(repr, row)) for row in vectors.tolist()]
