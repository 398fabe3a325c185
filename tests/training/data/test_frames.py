"""Labelled data: what is read, in which units, and every kind of frame that is not trained on."""

import ase.io
import numpy as np
import pytest
from ase import Atoms, units

from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.readers import read
from tests.training.labelled import crystals, molecules, npz_arrays, write


def source(path, **keys):
    return Source(path=path.name, **keys)


def read_file(path, **keys):
    return list(read(source(path, **keys), path))


def test_a_stress_is_positive_under_tension_and_only_in_bulk(tmp_path):
    frames = crystals(2)
    found = read_file(write(tmp_path / "a.xyz", [*frames, *molecules(1)]))
    for expected, frame in zip(frames, found, strict=False):
        np.testing.assert_allclose(frame.stress, expected.stress, atol=1e-7)
    assert found[2].stress is None
    sparse = read_file(
        write(tmp_path / "b.xyz", molecules(1), lambda a: a.calc.results.update(stress=np.ones(6)))
    )
    assert sparse[0].stress is None


def test_forces_may_be_missing_where_the_config_says_so(tmp_path):
    frames = molecules(4)
    path = write(tmp_path / "a.xyz", frames, spoil("forces", None))
    found = read_file(path, missing_forces=True, weight=3)
    assert [f.has_forces for f in found] == [True, True, True, False]
    assert np.isnan(found[3].forces).all()
    assert {f.weight for f in found} == {3.0}
    arrays = npz_arrays(molecules(3, sizes=[3]))
    del arrays["forces"]
    np.savez(tmp_path / "a.npz", **arrays)
    assert not any(
        f.has_forces for f in read_file(tmp_path / "a.npz", units={}, missing_forces=True)
    )


def test_forces_that_are_there_are_checked_all_the_same(tmp_path):
    path = write(tmp_path / "a.xyz", molecules(4), spoil("forces", np.nan))
    with pytest.raises(InvalidData, match="frame 3: forces holds nan"):
        read_file(path, missing_forces=True)


def test_forces_may_be_in_a_unit_of_their_own(tmp_path):
    arrays = npz_arrays(molecules(2, sizes=[3]))
    np.savez(tmp_path / "a.npz", **arrays)
    found = read_file(tmp_path / "a.npz", units={"energy": "kJ/mol", "force": "Hartree/bohr"})
    np.testing.assert_allclose(found[0].forces, arrays["forces"][0] * units.Hartree / units.Bohr)
    assert found[0].energy == pytest.approx(arrays["energies"][0] * units.kJ / units.mol)


def test_units_that_a_file_states_must_be_those_of_the_config(tmp_path):
    path = write(tmp_path / "a.xyz", molecules(2), lambda a: a.info.update(energy_unit="kcal/mol"))
    with pytest.raises(
        InvalidData,
        match=r"a\.xyz, frame 0: energy_unit is 'kcal/mol', but the config reads another",
    ):
        read_file(path)
    found = read_file(path, units={"energy": "kcal/mol", "force": "eV/Å"})
    assert found[0].energy == pytest.approx(molecules(1)[0].energy * 0.0433641, rel=1e-5)


def spoil(kind, value):
    def change(atoms):
        if atoms.info["molecule"] != "kind 1":
            return
        if kind == "positions":
            atoms.positions[0, 1] = value
        elif kind == "info":
            atoms.info.update(value)
        elif kind == "cell":
            atoms.cell, atoms.pbc = 10 * np.eye(3), True
            atoms.calc.results["stress"] = np.full(6, value)
        elif value is None:
            del atoms.calc.results[kind]
        else:
            atoms.calc.results[kind] = value * np.ones_like(atoms.calc.results[kind])

    return change


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("energy", np.nan, "energy holds nan"),
        ("energy", None, "no energy; each frame needs an energy and forces"),
        ("forces", np.inf, "forces holds inf"),
        ("forces", None, "no forces; each frame needs an energy and forces"),
        ("positions", np.nan, "atom 0 .*: y = nan"),
        ("info", {"charge": 0.5}, "charge: 0.5; expected a whole number"),
        ("info", {"spin": 3}, "multiplicity 3; models know closed shells only"),
        ("info", {"total_charge": "many"}, "total_charge: many; expected a whole number"),
        (
            "info",
            {"forces_unit": "eV/parsec"},
            "forces_unit is 'eV/parsec', an unknown unit of force; known: eV/Å",
        ),
        (
            "info",
            {"stress_units": "GPa"},
            "stress_units is 'GPa', but the config reads another unit of stress",
        ),
        ("cell", 30.0, "a stress of 30 eV/Å³; it cannot be in eV/Å³"),
        ("cell", np.nan, "stress holds nan"),
    ],
)
def test_a_bad_frame_is_named_with_its_file(tmp_path, kind, value, message):
    path = write(tmp_path / "bad.xyz", molecules(6), spoil(kind, value))
    with pytest.raises(InvalidData, match=rf"^bad\.xyz, frame 3: {message}"):
        read_file(path)


@pytest.mark.parametrize(
    ("value", "message"), [("low", "energy is 'low'"), ("1 2 3", r"energy has shape \(3,\)")]
)
def test_an_energy_that_is_no_number_is_named(tmp_path, value, message):
    path = tmp_path / "bad.xyz"
    path.write_text(
        f'1\nProperties=species:S:1:pos:R:3:forces:R:3 energy="{value}"\nAr 0 0 0 0 0 0\n'
    )
    with pytest.raises(InvalidData, match=rf"^bad\.xyz, frame 0: {message}"):
        read_file(path)


def test_a_database_of_ase_is_read(tmp_path):
    database = tmp_path / "a.db"
    atoms = Atoms("ArNe", [[0, 0, 0], [0, 0, 2.5]])
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms.calc = SinglePointCalculator(atoms, energy=-1.5, forces=np.eye(3)[:2])
    ase.io.write(database, atoms)
    (found,) = read_file(database)
    assert found.energy == -1.5
