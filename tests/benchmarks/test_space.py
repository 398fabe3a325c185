"""The benchmarks of large structures run from end to end."""

import sys
from pathlib import Path

import pytest

from benchmarks import block_dynamics, space


@pytest.mark.slow
def test_a_crystal_is_streamed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = ["space", "--atoms", "500", "--workers", "0", "1", "--folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    space.main()
    rows = [line for line in capfd.readouterr().out.splitlines() if "lennard-jones" in line]
    assert [row.split("|")[2:4] for row in rows] == [[" 500 ", " 0 "], [" 500 ", " 1 "]]
    assert rows[0].split("|")[-2] == rows[1].split("|")[-2]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_atoms_move(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["dynamics", "--atoms", "1000", "--steps", "8"])
    sys.argv += ["--lammps", sys.executable]  # where it is not installed
    block_dynamics.main()
    said = capfd.readouterr()
    assert "| lennard-jones | 1,372 | 2 | 8 |" in said.out
    assert "| LAMMPS lj/cut | 1,372 | 1 | 8 |" in said.out or "LAMMPS is not inst" in said.err
