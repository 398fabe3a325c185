import csv
import io
import sys

import numpy as np
import pytest

from app.atoms.structure import Structure
from app.errors import InvalidRequest
from app.formats.record import Record
from app.formats.table import COLUMNS, ROWS, CsvWriter, ParquetWriter, check_parquet

WATER = Structure(np.array([8, 1, 1]), np.array([[0, 0, 0.1], [0, 0.9, -0.6], [0, -0.9, -0.6]]))
FORCES = np.array([[0, 0, 3.0], [0, 4.0, 3.0], [0, 0, 1.0]])
RECORDS = [
    Record(WATER, 'a "b", c\nd', {"energy": -13.1, "forces": FORCES}),
    Record(
        WATER,
        None,
        {"energy": np.float64(-0.1)},
        answer={"fmax": 0.01, "converged": True, "reason": "converged", "warnings": "x: y"},
    ),
    Record(None, "bad", answer={"status": "error", "code": "invalid_format", "message": "torn"}),
]


def test_a_line_for_each_structure() -> None:
    writer = CsvWriter()
    text = b"".join((writer.begin(), *map(writer.add, RECORDS), writer.end())).decode()
    first, second, third = csv.DictReader(io.StringIO(text, newline=""))
    assert list(first) == list(COLUMNS)
    assert (first["id"], first["formula"]) == ('a "b", c\nd', "H2O")
    assert (float(first["energy"]), float(first["fmax"])) == (-13.1, 5.0)
    assert (first["converged"], first["error"]) == ("", "")
    assert (second["id"], second["converged"], second["warnings"]) == ("", "true", "x: y")
    assert float(second["fmax"]) == 0.01
    assert (third["id"], third["energy"], third["error"]) == ("bad", "", "invalid_format: torn")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum", "'=1"])
def test_a_name_that_looks_like_a_formula_reads_back_exactly(name: str) -> None:
    writer = CsvWriter()
    text = (writer.begin() + writer.add(Record(WATER, name))).decode()
    (line,) = csv.DictReader(io.StringIO(text, newline=""))
    assert line["id"] == name


def test_parquet_has_the_same_columns_with_types() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    writer = ParquetWriter()
    parts = [writer.begin(), *map(writer.add, RECORDS), writer.end()]
    table = parquet.read_table(io.BytesIO(b"".join(parts)))
    assert table.column_names == list(COLUMNS)
    first, second, third = table.to_pylist()
    assert (first["energy"], first["fmax"], first["converged"]) == (-13.1, 5.0, None)
    assert (second["converged"], second["reason"]) == (True, "converged")
    assert (third["energy"], third["error"]) == (None, "invalid_format: torn")


def test_without_pyarrow_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'equipot\[parquet\]'"):
        check_parquet()


def test_parquet_keeps_back_a_bounded_number_of_lines() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    writer = ParquetWriter()
    parts = [writer.begin(), *(writer.add(RECORDS[2]) for _ in range(ROWS + 1))]
    assert sum(map(bool, parts)) >= 2
    file = parquet.ParquetFile(io.BytesIO(b"".join([*parts, writer.end()])))
    assert (file.num_row_groups, file.metadata.num_rows) == (2, ROWS + 1)
