"""Labelled data: what is read, in which units, and every kind of frame that is not trained on."""

import re

import ase.io
import numpy as np
import pytest
from ase import Atoms, units

from app.errors import InvalidData
from app.training.data.config import Data, Source
from app.training.data.load import Finder, load_frames, load_sources
from app.training.data.readers import read
from tests.training.labelled import crystals, molecules, npz_arrays, write


def source(path, **keys):
    return Source(path=path.name, **keys)


def read_file(path, **keys):
    return list(read(source(path, **keys), path))


def test_extxyz_frames_come_back_with_labels_and_info(tmp_path):
    frames = [*molecules(4), *crystals(2)]
    found = read_file(write(tmp_path / "a.xyz", frames))
    assert len(found) == 6
    for expected, frame in zip(frames, found, strict=True):
        np.testing.assert_allclose(
            frame.structure.positions, expected.structure.positions, atol=1e-7
        )
        np.testing.assert_allclose(frame.forces, expected.forces, atol=1e-7)
        assert frame.energy == pytest.approx(expected.energy, abs=1e-7)
    assert found[3].info["molecule"] == "kind 1"
    assert found[3].origin == "a.xyz, frame 3"


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


def test_what_ase_reads_is_read(tmp_path):
    frames = molecules(3)
    path = write(tmp_path / "a.xyz", frames)
    ase.io.write(tmp_path / "a.traj", ase.io.read(path, ":"))
    found = read_file(tmp_path / "a.traj")
    assert [f.energy for f in found] == pytest.approx([f.energy for f in frames], abs=1e-6)


@pytest.mark.parametrize(
    ("index", "expected"), [(":2", [0, 1]), ("-2:", [4, 5]), ("1:4:2", [1, 3]), ("::-3", [5, 2])]
)
def test_a_slice_keeps_the_frames_numbers(tmp_path, index, expected):
    found = read_file(write(tmp_path / "a.xyz", molecules(6)), index=index)
    assert [f.index for f in found] == expected


def test_labels_may_have_other_names(tmp_path):
    def rename(atoms):
        atoms.info["REF_energy"] = atoms.calc.results["energy"] + 1
        atoms.arrays["REF_forces"] = atoms.calc.results["forces"] + 1
        atoms.calc = None

    frames = molecules(2)
    path = write(tmp_path / "a.xyz", frames, rename)
    found = read_file(path, keys={"energy": "REF_energy", "forces": "REF_forces"})
    assert found[1].energy == pytest.approx(frames[1].energy + 1, abs=1e-6)
    np.testing.assert_allclose(found[1].forces, frames[1].forces + 1, atol=1e-6)


@pytest.mark.parametrize(
    ("energy", "length", "ev", "angstrom"),
    [
        ("kcal/mol", "Å", 0.0433641, 1.0),
        ("Hartree", "bohr", 27.211386, 0.52917721),
        ("meV", "nm", 1e-3, 10.0),
    ],
)
def test_npz_labels_are_converted_to_ev_and_angstrom(tmp_path, energy, length, ev, angstrom):
    arrays = npz_arrays(molecules(3, sizes=[3]))
    np.savez(tmp_path / "a.npz", **{**arrays, "coords": arrays["coords"] / angstrom})
    found = read_file(tmp_path / "a.npz", units={"energy": energy, "length": length})
    np.testing.assert_allclose(found[2].structure.positions, arrays["coords"][2], rtol=1e-6)
    np.testing.assert_allclose(found[2].energy, ev * arrays["energies"][2], rtol=1e-6)
    np.testing.assert_allclose(found[2].forces, ev / angstrom * arrays["forces"][2], rtol=1e-6)


def test_forces_may_be_in_a_unit_of_their_own(tmp_path):
    arrays = npz_arrays(molecules(2, sizes=[3]))
    np.savez(tmp_path / "a.npz", **arrays)
    found = read_file(tmp_path / "a.npz", units={"energy": "kJ/mol", "force": "Hartree/bohr"})
    np.testing.assert_allclose(found[0].forces, arrays["forces"][0] * units.Hartree / units.Bohr)
    assert found[0].energy == pytest.approx(arrays["energies"][0] * units.kJ / units.mol)


def test_the_original_md17_layout_is_read(tmp_path):
    arrays = npz_arrays(molecules(3, sizes=[3]))
    renamed = dict(zip(("z", "R", "E", "F"), arrays.values(), strict=True))
    np.savez(tmp_path / "a.npz", **{**renamed, "E": renamed["E"][:, None]})
    found = read_file(tmp_path / "a.npz", units={})
    assert [f.energy for f in found] == pytest.approx(arrays["energies"].tolist())


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
        ("info", {"charge": -1}, "charge -1; models know neutral closed shells only"),
        ("info", {"spin": 3}, "multiplicity 3; models know neutral closed shells only"),
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


@pytest.mark.parametrize(
    "content",
    ["3\n\nAr 0 0 0\n", "two\n\nAr 0 0 0\nAr 0 0 1\n", "1\n\nAr 0 zero 0\n", "1\n\nQq 0 0 0\n"],
)
def test_a_file_that_cannot_be_parsed_is_named(tmp_path, content):
    path = tmp_path / "bad.xyz"
    path.write_text(content)
    with pytest.raises(InvalidData, match=r"^bad\.xyz: cannot be read after 0 frames"):
        read_file(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a: a.update(energies=a["energies"][:-1]),
            r"frames differ: 3 of positions, 2 of energy, 3 of forces",
        ),
        (
            lambda a: a.update(forces=a["forces"][:, :-1]),
            r"frame 0: forces has shape \(2, 3\); expected \(3, 3\)",
        ),
        (
            lambda a: a.update(coords=a["coords"][0]),
            r"coords has shape \(3, 3\), not one entry a frame",
        ),
        (
            lambda a: a.update(nuclear_charges=a["nuclear_charges"][:2]),
            r"frame 0: positions: shape \(3, 3\)",
        ),
        (
            lambda a: a.pop("forces"),
            "no array forces or F for forces; it has: coords, energies, nuclear_charges",
        ),
        (lambda a: a["energies"].__setitem__(1, np.nan), "frame 1: energy holds nan"),
        (lambda a: a.update(energies=np.array([1, "x", None], dtype=object)), "cannot be read"),
    ],
)
def test_a_bad_npz_is_named(tmp_path, change, message):
    arrays = npz_arrays(molecules(3, sizes=[3]))
    change(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InvalidData, match=rf"^bad\.npz.*{message}"):
        read_file(tmp_path / "bad.npz", units={})


def test_an_npz_with_other_names_needs_them_in_the_config(tmp_path):
    arrays = npz_arrays(molecules(3, sizes=[3]))
    arrays["dft"] = arrays.pop("energies")
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InvalidData, match="no array energies or E for energy"):
        read_file(tmp_path / "a.npz", units={})
    assert len(read_file(tmp_path / "a.npz", units={}, keys={"energy": "dft"})) == 3


def test_a_file_that_is_no_npz_is_named(tmp_path):
    (tmp_path / "bad.npz").write_text("text")
    with pytest.raises(InvalidData, match=r"^bad\.npz: cannot be read"):
        read_file(tmp_path / "bad.npz", units={})


def test_a_missing_file_is_named_with_the_places_looked_at(tmp_path):
    with pytest.raises(
        InvalidData,
        match=re.escape(f"looked for {tmp_path / 'root' / 'a.xyz'} and {tmp_path / 'a.xyz'}"),
    ):
        Finder(tmp_path, tmp_path / "root")("a.xyz")


def test_the_data_root_comes_before_the_config_s_folder(tmp_path):
    (tmp_path / "root").mkdir()
    for folder in (tmp_path, tmp_path / "root"):
        (folder / "a.xyz").touch()
    assert Finder(tmp_path, tmp_path / "root")("a.xyz") == tmp_path / "root" / "a.xyz"
    assert Finder(tmp_path)("a.xyz") == tmp_path / "a.xyz"


def test_a_slice_without_frames_is_named(tmp_path):
    write(tmp_path / "a.xyz", molecules(3))
    with pytest.raises(InvalidData, match=r"a\.xyz: no frames in 5:"):
        load_sources([Source(path="a.xyz", index="5:")], Finder(tmp_path))


@pytest.mark.parametrize(
    ("fixed", "message"), [(["Ne"], "of data.elements: Ne"), (None, "of the training frames: Ne")]
)
def test_an_unknown_element_is_named(tmp_path, fixed, message):
    neon = [f for f in molecules(40, sizes=[2]) if set(f.structure.symbols) == {"Ne"}]
    write(tmp_path / "train.xyz", neon)
    write(tmp_path / "validation.xyz", molecules(4))
    config = Data(train="train.xyz", validation="validation.xyz", elements=fixed)
    with pytest.raises(
        InvalidData, match=rf"validation\.xyz, frame \d: Ar is not among the elements {message}"
    ):
        load_frames(config, Finder(tmp_path), 4.5, "float64")


def test_an_empty_set_is_named(tmp_path):
    write(tmp_path / "train.xyz", molecules(4))
    with pytest.raises(InvalidData, match="the validation set is empty"):
        load_frames(
            Data(train="train.xyz", split={"validation": 0}), Finder(tmp_path), 4.5, "float64"
        )


def test_a_database_of_ase_is_read(tmp_path):
    database = tmp_path / "a.db"
    atoms = Atoms("ArNe", [[0, 0, 0], [0, 0, 2.5]])
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms.calc = SinglePointCalculator(atoms, energy=-1.5, forces=np.eye(3)[:2])
    ase.io.write(database, atoms)
    (found,) = read_file(database)
    assert found.energy == -1.5
