"""Tables: one line a structure, as CSV, or as Parquet where pyarrow is installed."""

import csv
import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from ase.formula import Formula

from app.errors import InvalidRequest
from app.formats.record import Record

COLUMNS = {
    "id": "string",
    "formula": "string",
    "energy": "float64",
    "energy_std": "float64",
    "fmax": "float64",
    "converged": "bool",
    "reason": "string",
    "warnings": "string",
    "error": "string",
    "item": "int64",
    "model": "string",
}
"""Names, and the types that Parquet has of them. Energies in eV, `fmax` in eV/Å."""
ROWS = 10_000
"""Lines of a row group of Parquet, which are kept back until there are so many."""


def row(record: Record) -> dict[str, Any]:
    """The line of a record; what it does not have is None.

    `item` is the number of the line, file or SMILES of the request that it comes from. `fmax` is
    what is left of a relaxation's criterion, else the longest force on an atom. `error` is code and
    message of a structure that has no answer. `model` is the `name@version` that was asked.
    """
    answer = record.answer
    return {
        "id": record.id,
        "formula": record.structure and _formula(record.structure.symbols),
        "energy": record.values.get("energy"),
        "energy_std": record.values.get("energy_std"),
        "fmax": answer.get("fmax", _longest(record.values.get("forces"))),
        "converged": answer.get("converged"),
        "reason": answer.get("reason"),
        "warnings": answer.get("warnings"),
        "error": f"{answer['code']}: {answer['message']}" if "code" in answer else None,
        "item": answer.get("item"),
        "model": answer.get("model"),
    }


class CsvWriter:
    """A line for each record under a line of names, in UTF-8; lines end with CR LF (RFC 4180)."""

    def begin(self) -> bytes:
        """The names."""
        return _line(list(COLUMNS))

    def add(self, record: Record) -> bytes:
        """A line."""
        return _line([_cell(value) for value in row(record).values()])

    def end(self) -> bytes:
        """Nothing."""
        return b""


def check_parquet() -> None:
    """Whether Parquet can be written here.

    Raises:
        InvalidRequest: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise InvalidRequest(
            "Parquet is written by pyarrow, which is not installed (pip install "
            "'equipot[parquet]'); ask for csv instead"
        )


class ParquetWriter:
    """Row groups of a Parquet file; the first one imports pyarrow, which takes a moment."""

    def __init__(self) -> None:
        import pyarrow
        import pyarrow.parquet

        types = [(name, pyarrow.type_for_alias(kind)) for name, kind in COLUMNS.items()]
        self._schema = pyarrow.schema(types)
        self._table = pyarrow.Table.from_pylist
        self._sink = _Sink()
        self._file = pyarrow.parquet.ParquetWriter(self._sink, self._schema)
        self._rows: list[dict[str, Any]] = []

    def begin(self) -> bytes:
        """How the file begins."""
        return self._sink.taken()

    def add(self, record: Record) -> bytes:
        """A row group, where there are enough lines for one."""
        self._rows.append(row(record))
        if len(self._rows) >= ROWS:
            self._flush()
        return self._sink.taken()

    def end(self) -> bytes:
        """The last row group, and what says where each is."""
        self._flush()
        self._file.close()
        return self._sink.taken()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(self._table(self._rows, schema=self._schema))
            self._rows = []


class _Sink(io.RawIOBase):
    """A file of which only what was not taken yet is in memory."""

    def __init__(self) -> None:
        self._before = 0
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._before + sum(map(len, self._parts))

    def taken(self) -> bytes:
        """What was written since this was asked for last."""
        data = b"".join(self._parts)
        self._before += len(data)
        self._parts = []
        return data


def _line(values: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(values)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return "" if value is None else repr(float(value)) if isinstance(value, float) else str(value)


def _formula(symbols: list[str]) -> str:
    """In Hill's order: carbon, hydrogen, then by the alphabet."""
    return str(Formula.from_list(symbols).format("hill"))


def _longest(forces: Any) -> float | None:
    return None if forces is None else float(np.linalg.norm(forces, axis=1).max())
