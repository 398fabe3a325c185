"""What measures organic models: the parts that need neither RDKit nor tblite."""

import numpy as np
import pytest
from ase.build import molecule
from ase.md.verlet import VelocityVerlet

from app.backends import load_backend
from app.formats.ase_atoms import from_ase
from app.store.store import ModelStore
from equipot import EquipotCalculator
from recipes.measures.cache import Cache, key_of, writing
from recipes.measures.databases import fragments, read_complexes
from recipes.measures.ensemble import Ensemble
from recipes.measures.results import deviations, table
from recipes.measures.trajectory import Trajectory
from tests.paths import MODEL_STORE

DATABASE = '''
BIND = {}
BIND['%s-%s'            % (dbse, '1'  )] =   -4.918
BIND['%s-%s'            % (dbse, 2    )] =    0.100
TAGL['%s-%s'            % (dbse, '1'  )] = """Two Neons """
TAGL['%s-%s-dimer'      % (dbse, '1'  )] = """Dimer from Two Neons """
TAGL['%s-%s'            % (dbse, 2    )] = """ An Ion """
GEOS['%s-%s-dimer' % (dbse, '1')] = qcdb.Molecule("""
0 1
NE  0.0 0.0 0.0
--
0 1
Ne  0.0 0.0 3.0
units angstrom
""")
GEOS['%s-%s-dimer' % (dbse, '2')] = qcdb.Molecule("""
-1 1
Cl  0.0 0.0 0.0
--
1 1
H  0.0 0.0 2.0
units bohr
""")
GEOS['%s-%s-monoA-unCP' % (dbse, '1')] = GEOS['%s-%s-dimer' % (dbse, '1')].extract_fragments(1)
'''


@pytest.fixture(scope="module")
def backend():
    return load_backend(ModelStore(MODEL_STORE).load("organic-xtb"), threads=1)


def test_complexes_are_read_with_units_charges_and_energies(tmp_path):
    path = tmp_path / "S66.py"
    path.write_text(DATABASE)
    neons, ion = read_complexes(path)
    assert (neons.name, neons.energy, ion.name, ion.energy) == ("Two Neons", -4.918, "An Ion", 0.1)
    assert neons.dimer.numbers.tolist() == [10, 10]
    np.testing.assert_allclose(neons.dimer.positions[1], [0, 0, 3])
    assert [monomer.charge for monomer in ion.monomers] == [-1, 1]
    assert ion.dimer.charge == 0
    np.testing.assert_allclose(ion.monomers[1].positions[0, 2], 1.0584, atol=1e-4)


def test_a_folder_without_the_database_says_what_is_missing(tmp_path):
    with pytest.raises(SystemExit, match="psi4-data"):
        read_complexes(tmp_path / "S66.py")
    (tmp_path / "S66.py").write_text("nothing")
    with pytest.raises(SystemExit, match="no complexes"):
        read_complexes(tmp_path / "S66.py")


def test_a_radical_of_a_database_keeps_its_multiplicity():
    (radical,) = fragments("0 2\nO 0 0 0\nH 0 0 0.97\nunits angstrom\n")
    assert (radical.charge, radical.multiplicity) == (0, 2)


def test_a_cache_outlives_a_line_that_was_cut_off(tmp_path):
    with writing(tmp_path):
        Cache(tmp_path, "minima").add("one", {"energy": -1.0})
        Cache(tmp_path, "minima").add("two", {"failed": "no convergence"})
    path = tmp_path / "minima.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "three", "ener')
    cache = Cache(tmp_path, "minima")
    assert cache.get("one") == {"energy": -1.0}
    assert "two" in cache
    assert cache.get("two") is None
    assert "three" not in cache
    cache.add("three", {"energy": -3.0})
    assert len(path.read_bytes().splitlines()) == 3
    assert Cache(tmp_path, "minima").get("three") == {"energy": -3.0}


def test_one_process_writes_into_a_cache(tmp_path):
    with (
        writing(tmp_path),
        pytest.raises(SystemExit, match="another process writes"),
        writing(tmp_path),
    ):
        pass


def test_another_geometry_or_charge_is_another_key():
    positions = np.eye(2, 3)
    keys = {
        key_of("a", [1, 1], positions, 0),
        key_of("a", [1, 1], positions, 1),
        key_of("a", [1, 1], 1.1 * positions, 0),
        key_of("a", [1, 2], positions, 0),
    }
    assert len(keys) == 4
    assert key_of("a", [1, 1], positions.copy(), 0) in keys


def test_tables_and_deviations():
    assert deviations([]) == (None, None, None)
    mean, square, most = deviations([3.0, -4.0])
    assert (mean, square) == (3.5, pytest.approx(np.sqrt(12.5)))
    assert most == pytest.approx(3.99)
    text = table(("what", "count", "eV"), [("all", 3, 0.12345), ("none", 0, None)])
    assert text.splitlines() == [
        "| what | count | eV |",
        "| --- | ---: | ---: |",
        "| all | 3 | 0.123 |",
        "| none | 0 | – |",
    ]


def test_molecules_of_an_ensemble_do_not_feel_each_other(backend):
    molecules = [molecule(name) for name in ("H2O", "CH3OH", "H2O")]
    ensemble = Ensemble(backend, [from_ase(atoms) for atoms in molecules])
    forces = ensemble.together.get_forces()
    for index, atoms in enumerate(molecules):
        atoms.calc = EquipotCalculator(backend)
        np.testing.assert_allclose(forces[ensemble.slices[index]], atoms.get_forces(), atol=1e-5)
        assert ensemble.energies[index] == pytest.approx(atoms.get_potential_energy(), abs=1e-4)


def test_a_molecule_that_collapses_is_stopped_and_the_others_go_on(backend):
    ensemble = Ensemble(backend, [from_ase(molecule("H2O"))] * 2)
    atoms = ensemble.together
    atoms.positions[1] = atoms.positions[0]
    forces = atoms.get_forces()
    assert "atom 0 (O) and atom 1 (H)" in ensemble.stopped[0]
    assert not forces[:3].any()
    assert forces[3:].any()
    VelocityVerlet(atoms, 0.1).run(2)
    assert list(ensemble.stopped) == [0]


def test_dynamics_go_on_where_they_were_stopped(backend, tmp_path, monkeypatch):
    monkeypatch.setattr("recipes.measures.trajectory.EVERY", 2.0)
    monkeypatch.setattr("recipes.measures.trajectory.PART", 2)
    totals = []
    for name, lengths in (("whole", (0.012,)), ("parts", (0.004, 0.012))):
        folder = tmp_path / name
        folder.mkdir()
        for length in lengths:
            trajectory = Trajectory(folder, 0.5, 300.0, 0.01, seed=1)
            ensemble = Ensemble(backend, [from_ase(molecule("CH3OH"))] * 2)
            trajectory.run(ensemble, 0.004, length)
        totals.append(trajectory.totals("nve"))
    assert totals[0].shape == (6, 2)
    np.testing.assert_allclose(totals[1], totals[0], atol=1e-6)
    assert np.ptp(totals[0], axis=0).max() < 0.02
