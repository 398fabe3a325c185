"""What is written reads back, by us, by ASE and by pymatgen."""

import io

import ase.io
import numpy as np
import pytest

from app.atoms.structure import Structure
from app.formats.poscar import PoscarWriter, parse
from app.formats.poscar.writer import misfit
from app.formats.record import Record

CELL = np.array([[4.1, 0.2, 0.0], [0.7, 5.2, 0.1], [0.3, -0.9, 6.3]])
POSITIONS = np.random.default_rng(1).uniform(0, 6, (5, 3))
SALT = Structure(
    np.array([11, 17, 17, 11, 8]),
    POSITIONS,
    CELL,
    np.array(True),
    charge=1,
    fixed=np.array([True, False, False, False, True]),
)


def written(record: Record) -> str:
    writer = PoscarWriter()
    return (writer.begin() + writer.add(record) + writer.end()).decode()


def test_everything_reads_back_in_its_order() -> None:
    (frame,) = parse(written(Record(SALT, "a salt", {"energy": -1.25})))
    assert frame.id == "a salt"
    got = frame.structure
    assert got.symbols == ["Na", "Cl", "Cl", "Na", "O"]
    assert got.charge == 1
    np.testing.assert_array_equal(got.positions, SALT.positions)
    np.testing.assert_array_equal(got.cell, SALT.cell)
    np.testing.assert_array_equal(got.fixed, SALT.fixed)


def test_ase_reads_it_alike() -> None:
    text = written(Record(SALT, "a salt"))
    atoms = ase.io.read(io.StringIO(text), format="vasp")
    assert atoms.get_chemical_symbols() == SALT.symbols
    np.testing.assert_allclose(atoms.positions, SALT.positions, atol=1e-12)
    assert sorted(atoms.constraints[0].index) == [0, 4]


def test_pymatgen_reads_it_alike() -> None:
    vasp = pytest.importorskip("pymatgen.io.vasp", reason="pymatgen is not installed")
    structure = vasp.Poscar.from_str(written(Record(SALT, "a salt"))).structure
    assert [site.specie.symbol for site in structure] == SALT.symbols
    np.testing.assert_allclose(structure.lattice.matrix, SALT.cell, atol=1e-12)
    assert (structure.distance_matrix.diagonal() < 1e-12).all()
    np.testing.assert_allclose(
        structure.frac_coords % 1, SALT.positions @ np.linalg.inv(SALT.cell) % 1, atol=1e-9
    )


def test_a_long_answer_does_not_lengthen_the_first_line_without_bound() -> None:
    text = written(Record(SALT, "salt", answer={"warnings": "w" * 5000, "converged": True}))
    first = text.partition("\n")[0]
    assert len(first) < 1100
    assert "converged=T" in first
    assert parse(text)[0].structure.charge == 1


def test_what_is_not_bulk_is_refused() -> None:
    assert "ask for xyz" in (misfit(Structure(np.array([18]), np.zeros((1, 3)))) or "")
    assert misfit(SALT) is None
