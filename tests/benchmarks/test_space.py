"""The benchmarks of large structures run from end to end."""

import sys
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from benchmarks import block_dynamics, space
from tests.paths import MODEL_STORE


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
    lammps = ["--lammps", sys.executable]  # where it is not installed
    run(monkeypatch, "--atoms", "1000", "--steps", "8", *lammps)
    said = capfd.readouterr()
    assert "| lennard-jones | 1,372 | 2 | 8 |" in said.out
    assert "| LAMMPS lj/cut | 1,372 | 1 | 8 |" in said.out or "LAMMPS is not inst" in said.err


@pytest.mark.slow
def test_a_heat_bath_holds_what_a_cell_is_of(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path / "ne.xyz", bulk("Ne", "fcc", a=4.43, cubic=True), format="extxyz")
    asked = ["--cell", str(tmp_path / "ne.xyz"), "--atoms", "1000", "--workers", "1"]
    bath = ["--ensemble", "langevin", "--temperature", "20", "--friction", "200"]
    run(monkeypatch, *asked, *bath, "--steps", "12", "--step", "10", "--displaced", "0.1")
    header, _, row = capfd.readouterr().out.splitlines()[-3:]
    assert header.split("|")[5] == " mean K "
    assert float(row.split("|")[5]) == pytest.approx(20, abs=4)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--lammps", "python", "--ensemble", "langevin"], "Ar4 by lennard-jones in langevin"),
        (["--lammps", "python", "--model", "organic-xtb"], "CH4 by organic-xtb in nve"),
        (["--steps", "2"], "--steps 2: at least 4"),
        (["--cell", "in.xyz"], "the model does not know Au"),
    ],
)
def test_dynamics_that_cannot_be(
    asked: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    write(tmp_path / "in.xyz", bulk("Au", cubic=True), format="extxyz")
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *(str(tmp_path / word) if word == "in.xyz" else word for word in asked))
    assert told in f"{end.value}{capsys.readouterr().err}"


def run(monkeypatch: pytest.MonkeyPatch, *asked: str) -> None:
    store = ["--store", str(MODEL_STORE)]
    monkeypatch.setattr(sys, "argv", ["dynamics", *store, *asked])
    block_dynamics.main()
