"""`equipot predict` into and from folders of columns."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read, write

from app.cli.main import main
from app.formats.slabs import Columns
from app.store.location import bundled_store


def predict(*arguments: object, model: str = "lennard-jones") -> int:
    store = ["--model-store", str(bundled_store()), "--threads", "1"]
    return main(["predict", "--model", model, *store, *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    atoms = bulk("Ar", "fcc", a=5.26, cubic=True) * (5, 3, 2)
    atoms.positions += np.random.default_rng(0).normal(0, 0.1, atoms.positions.shape)
    write(tmp_path / "in.xyz", atoms, format="extxyz")
    write(tmp_path / "in.data", atoms, format="lammps-data", masses=True, atom_style="atomic")
    return tmp_path / "in.xyz"


def test_the_answer_is_that_of_a_structure_in_memory(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(file, "-o", tmp_path / "whole.xyz") == 0
    assert predict(file, "-o", tmp_path / "out.columns") == 0
    assert "120 atoms answered with lennard-jones@1: -" in capsys.readouterr().err
    assert predict(tmp_path / "out.columns", "-o", tmp_path / "again.xyz") == 0
    assert predict(file.with_suffix(".data"), "-o", tmp_path / "l.columns", "--workers", 1) == 0
    whole, again = read(tmp_path / "whole.xyz"), read(tmp_path / "again.xyz")
    out, lammps = Columns(tmp_path / "out.columns"), Columns(tmp_path / "l.columns")
    for energy in (again.get_potential_energy(), out.results["energy"], lammps.results["energy"]):
        assert energy == pytest.approx(whole.get_potential_energy(), rel=1e-9)
    for forces in (again.get_forces(), out.read("forces", 0, 120), lammps.read("forces", 0, 120)):
        np.testing.assert_allclose(forces, whole.get_forces(), atol=1e-7)
    np.testing.assert_allclose(again.get_stress(), whole.get_stress(), atol=1e-12)
    np.testing.assert_allclose(again.positions, whole.positions)


def test_energies_alone(file: Path, tmp_path: Path) -> None:
    assert predict(file, "-o", tmp_path / "out.columns", "--properties", "energy") == 0
    assert Columns(tmp_path / "out.columns").names == ("numbers", "positions", "energies")


def test_what_is_out_of_domain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.xyz").write_text(
        '2\nLattice="9 0 0 0 9 0 0 0 9" pbc="T T T"\nH 0 0 0\nH 0 0 0.35\n'
    )
    out = tmp_path / "out.columns"
    assert predict(tmp_path / "in.xyz", "-o", out, model="organic-xtb") == 0
    told = capsys.readouterr().err
    assert "out_of_domain: the structure is periodic" in told
    assert "out_of_domain: atoms 0 and 1 (H-H) are 0.35 Å apart" in told
    strict = [tmp_path / "in.xyz", "-o", tmp_path / "b.columns", "--on-ood", "error"]
    assert predict(*strict, model="organic-xtb") == 3
    assert not (tmp_path / "b.columns").exists()
    assert "that is to be an error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--relax"], "--relax: structures in columns are not relaxed"),
        (["--resume"], "--resume: of no use for a structure in columns"),
        (["in.xyz"], "2 files; of a structure in columns, one is read"),
    ],
)
def test_what_cannot_be_asked(
    more: list[str], told: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [str(file) if word == "in.xyz" else word for word in more]
    assert predict(file, *more, "-o", tmp_path / "out.columns") == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out.columns").exists()


def test_no_answer_goes_into_lammps_data(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(file, "-o", tmp_path / "out.columns") == 0
    assert predict(tmp_path / "out.columns", "-o", tmp_path / "out.lmp") == 2
    told = capsys.readouterr().err
    assert "LAMMPS data hold neither energies nor forces; a folder" in told
    assert "*.dump or *.lammpstrj is written" in told
    assert not (tmp_path / "out.lmp").exists()


def test_a_lammps_dump(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Atoms, forces and the box of the answer; what it has no place for is told."""
    assert predict(file, "-o", tmp_path / "out.columns") == 0
    capsys.readouterr()
    assert predict(tmp_path / "out.columns", "-o", tmp_path / "out.dump") == 0
    out, again = Columns(tmp_path / "out.columns"), read(tmp_path / "out.dump", units="metal")
    np.testing.assert_array_equal(again.get_forces(), out.read("forces", 0, 120))
    np.testing.assert_array_equal(again.numbers, out.read("numbers", 0, 120))
    told = capsys.readouterr().err
    assert f"{out.results['energy']:.6f} eV" in told
    words = told.partition("stress, eV/Å³: ")[2].partition(";")[0].split()
    np.testing.assert_allclose([*map(float, words)], np.ravel(out.results["stress"]), rtol=1e-4)


def test_a_dump_without_columns(file: Path, tmp_path: Path) -> None:
    """A file goes straight into a dump, and LAMMPS data do."""
    for name in ("in.xyz", "in.data"):
        assert predict(tmp_path / name, "-o", tmp_path / "out.lammpstrj") == 0
        text = (tmp_path / "out.lammpstrj").read_text()
        assert text.startswith("ITEM: UNITS\nmetal\n")
        assert text.count("\n") == 11 + 120


def test_an_output_that_is_there(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out.columns").mkdir()
    assert predict(file, "-o", tmp_path / "out.columns") == 2
    assert "is there already, and no folder of columns" in capsys.readouterr().err
