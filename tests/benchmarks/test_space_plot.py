"""The picture of cost over atoms is that of the table beside it."""

from pathlib import Path

import pytest

from benchmarks import space_plot
from tests.paths import ROOT

TABLE = """Before.

| model | atoms | workers | wall s | CPU s | CPU µs an atom | peak MB | eV an atom |
|---|---:|---:|---:|---:|---:|---:|---:|
| lennard-jones | 108,000 | 0 | 26 | 6 | 53.7 | 388 | -0.075768 |
| organic-xtb | 214,375 | 2 | 573 | 101 | 469.2 | 362 | -22.632398 |

After | this.
"""


def test_rows_are_read() -> None:
    assert space_plot.rows_of(TABLE) == [
        ("lennard-jones", 108_000, 0, 6.0, 53.7),
        ("organic-xtb", 214_375, 2, 101.0, 469.2),
    ]
    with pytest.raises(ValueError, match="0 tables begin with the columns model, atoms"):
        space_plot.rows_of("nothing")


def test_the_table_of_the_page_is_drawn(tmp_path: Path) -> None:
    page = ROOT / "docs" / "scale.md"
    rows = space_plot.rows_of(page.read_text(encoding="utf-8"))
    for row in rows:
        assert row.cpu == pytest.approx(1e-6 * row.each * row.atoms, abs=1.0)
    space_plot.main(["--page", str(page), "--output", str(tmp_path / "scale.png")])
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")
