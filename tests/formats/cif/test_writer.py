"""What is written reads back, by us, by ASE and by pymatgen."""

import io
from typing import Any

import ase.io
import numpy as np
import pytest

from app.atoms.structure import Structure
from app.formats.cif import CifWriter, parse
from app.formats.cif.writer import misfit
from app.formats.record import Record

ROTATION = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
CELL = np.array([[4.1, 0.0, 0.0], [0.7, 5.2, 0.0], [0.3, -0.9, 6.3]]) @ ROTATION
POINTS = np.array([[0.1, 0.2, 0.3], [0.55, 0.61, 0.72], [-0.3, 0.9, 1.4]])


def crystal(cell: Any = CELL, **more: Any) -> Structure:
    return Structure(np.array([11, 17, 8]), POINTS @ cell, cell, np.array(True), **more)


def written(*records: Record) -> str:
    writer = CifWriter()
    return b"".join((writer.begin(), *map(writer.add, records), writer.end())).decode()


def distances(positions: Any, cell: Any) -> Any:
    """Between all atoms and their images nearby: what does not depend on the axes chosen."""
    shifts = np.stack(np.meshgrid(*[range(-2, 3)] * 3), -1).reshape(-1, 3) @ cell
    vectors = positions[:, None, None] + shifts - positions[:, None]
    return np.sort(np.linalg.norm(vectors, axis=-1).ravel())[:60]


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["right-handed", "left-handed"])
def test_crystals_read_back(sign: float) -> None:
    flip = np.diag([1.0, 1.0, sign]) if np.linalg.det(CELL) > 0 else np.diag([1.0, 1.0, -sign])
    cell = CELL @ flip
    sent = crystal(cell)
    (frame,) = parse(written(Record(sent, "salt with name")))
    assert frame.id == "salt with name"
    got = frame.structure
    assert got.symbols == sent.symbols
    np.testing.assert_allclose(got.volume, sent.volume, rtol=1e-12)
    np.testing.assert_allclose(
        distances(got.positions, got.cell), distances(sent.positions, sent.cell), atol=1e-9
    )
    triples = [
        np.linalg.det(np.diff(s.positions @ np.linalg.inv(s.cell), axis=0, prepend=0) @ s.cell)
        for s in (got, sent)
    ]
    assert triples[0] == pytest.approx(triples[1], rel=1e-9)


def test_ase_and_pymatgen_read_them_alike() -> None:
    sent = crystal()
    text = written(Record(sent, "salt", {"energy": -1.5}))
    atoms = ase.io.read(io.StringIO(text), format="cif")
    assert atoms.get_chemical_symbols() == sent.symbols
    np.testing.assert_allclose(
        distances(atoms.positions, np.array(atoms.cell)),
        distances(sent.positions, sent.cell),
        atol=1e-6,
    )
    parser = pytest.importorskip("pymatgen.io.cif", reason="pymatgen is not installed").CifParser
    (structure,) = parser.from_str(text).parse_structures(primitive=False)
    assert [site.specie.symbol for site in structure] == sent.symbols
    np.testing.assert_allclose(structure.volume, sent.volume, rtol=1e-9)
    np.testing.assert_allclose(
        distances(structure.cart_coords, structure.lattice.matrix),
        distances(sent.positions, sent.cell),
        atol=1e-6,
    )


def test_charge_spin_remarks_and_odd_names_are_kept() -> None:
    remarks = {"note": 'it\'s "odd"\n; and long', "loop_": "data_x", "_energy": "#1"}
    sent = crystal(charge=2, multiplicity=3)
    record = Record(sent, "data_ 1'\"", {"energy": -1.5}, remarks, {"converged": True})
    (frame,) = parse(written(record))
    assert frame.id == "data_ 1'\""
    assert (frame.structure.charge, frame.structure.multiplicity) == (2, 3)
    assert frame.info["loop_"] == "data_x"
    assert frame.info["_energy"] == "#1"
    assert frame.info["note"].startswith('it\'s "odd"')


def test_a_molecule_has_no_cell() -> None:
    sent = Structure(np.array([8, 1, 1]), np.array([[0, 0, 0.1], [0, 0.9, -0.6], [0, -0.9, -0.6]]))
    (frame,) = parse(written(Record(sent)))
    np.testing.assert_array_equal(frame.structure.positions, sent.positions)
    assert not frame.structure.pbc.any()


def test_failures_keep_their_place_and_cost_the_others_nothing() -> None:
    failed = Record(None, "bad", answer={"code": "invalid_format", "message": 'torn; it\'s "so"'})
    text = written(Record(crystal(), "a"), failed, Record(crystal(), "b"))
    assert [frame.id for frame in parse(text)] == ["a", "b"]
    assert len(ase.io.read(io.StringIO(text), ":", format="cif")) == 2


def test_slabs_are_refused() -> None:
    slab = Structure(
        np.array([18]), np.zeros((1, 3)), 5.0 * np.eye(3), np.array([True, True, False])
    )
    assert "periodic in all three directions" in (misfit(slab) or "")
    assert misfit(crystal()) is None
