"""Data sets in the layouts in which they are distributed: DeePMD, MD22, QM9."""

import tarfile

import numpy as np
import pytest
from ase import units

from app.errors import InvalidConfig, InvalidData
from app.training.config_file import parse
from app.training.data import Finder, load_sources
from app.training.data_config import Source
from app.training.readers import read
from tests.training.labelled import REFERENCES, crystals, molecules, npz_arrays

SYMBOLS = sorted(REFERENCES)


def write_deepmd(folder, frames, sets=1):
    symbols = [str(s) for s in frames[0].structure.symbols]
    (folder).mkdir()
    (folder / "type_map.raw").write_text("\n".join(SYMBOLS))
    (folder / "type.raw").write_text("\n".join(str(SYMBOLS.index(s)) for s in symbols))
    bulk = frames[0].structure.is_bulk
    if not bulk:
        (folder / "nopbc").touch()
    for i, part in enumerate(np.array_split(np.arange(len(frames)), sets)):
        chosen = [frames[j] for j in part]
        here = folder / f"set.{i:03d}"
        here.mkdir()
        arrays = {
            "coord": [f.structure.positions.ravel() for f in chosen],
            "energy": [f.energy for f in chosen],
            "force": [f.forces.ravel() for f in chosen],
        }
        if bulk:
            arrays["box"] = [f.structure.cell.ravel() for f in chosen]
            arrays["virial"] = [(-f.structure.volume * f.stress).ravel() for f in chosen]
        for name, values in arrays.items():
            np.save(here / f"{name}.npy", np.array(values))
    return folder


def same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.energy == pytest.approx(b.energy)
        np.testing.assert_array_equal(a.structure.numbers, b.structure.numbers)
        np.testing.assert_array_equal(a.structure.pbc, b.structure.pbc)
        np.testing.assert_allclose(a.structure.positions, b.structure.positions, atol=1e-12)
        np.testing.assert_allclose(a.structure.cell, b.structure.cell, atol=1e-12)
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-12)
        assert (a.stress is None) == (b.stress is None)
        if b.stress is not None:
            np.testing.assert_allclose(a.stress, b.stress, atol=1e-12)


def of_one_kind(frames):
    return [f for f in frames if f.structure.numbers.tolist() == frames[0].structure.numbers.tolist()]


@pytest.mark.parametrize("frames", [of_one_kind(crystals(12)), of_one_kind(molecules(12, sizes=[2]))])
def test_a_deepmd_folder_is_read(tmp_path, frames):
    write_deepmd(tmp_path / "system", frames, sets=2)
    (found,) = [load_sources([Source(path="system", format="deepmd")], Finder(tmp_path))]
    same(found, frames)
    assert found[-1].origin == f"system, frame {len(frames) - 1}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "type_map.raw").unlink(), r"type_map\.raw: cannot be read"),
        (lambda f: (f / "type.raw").write_text("0 7"), r"type\.raw: 7 is no position in a type map of 2"),
        (lambda f: (f / "type_map.raw").write_text("Qq Ne"), "Qq is no chemical symbol"),
        (lambda f: (f / "set.000" / "box.npy").unlink(), "frame 0: no box.npy, and no file nopbc"),
        (lambda f: (f / "set.000" / "coord.npy").unlink(), "set.000/coord.npy: is not there"),
        (lambda f: (f / "set.000" / "force.npy").unlink(), "frame 0: no forces; each frame needs"),
        (lambda f: np.save(f / "set.000" / "energy.npy", np.zeros(9)), "1 frames of coord, 9 of energy"),
        (lambda f: np.save(f / "set.000" / "force.npy", np.zeros((1, 5))), r"shape \(1, 5\); expected 12 numbers"),
        (lambda f: np.save(f / "set.000" / "energy.npy", np.full(1, np.nan)), "frame 0: energy holds nan"),
        (lambda f: (f / "set.000" / "force.npy").write_text("text"), "set.000/force.npy: cannot be read"),
        (lambda f: (f / "set.000" / "real_atom_types.npy").touch(), "frames of mixed types"),
    ],
)
def test_a_bad_deepmd_folder_is_named(tmp_path, change, message):
    change(write_deepmd(tmp_path / "system", crystals(1)))
    with pytest.raises(InvalidData, match=rf"^system.*{message}"):
        list(read(Source(path="system", format="deepmd"), tmp_path / "system"))


def test_md22_is_read_and_its_units_are_checked(tmp_path):
    frames = molecules(3, sizes=[3])
    renamed = dict(zip(("z", "R", "E", "F"), npz_arrays(frames).values(), strict=True))
    np.savez(tmp_path / "md22.npz", **renamed, e_unit="kcal/mol", r_unit="Ang", type="d", name="test")
    unit = {"energy": "kcal/mol", "length": "Å"}
    found = list(read(Source(path="md22.npz", units=unit), tmp_path / "md22.npz"))
    assert found[1].energy == pytest.approx(frames[1].energy * units.kcal / units.mol)
    with pytest.raises(InvalidData, match=r"md22\.npz, frame 0: energy_unit is 'kcal/mol', but the config reads"):
        list(read(Source(path="md22.npz", units={"energy": "eV"}), tmp_path / "md22.npz"))


QM9 = """3
gdb {number}\t799.58\t437.9\t282.9\t1.85\t6.31\t-0.29\t0.06\t0.36\t19.0\t0.02\t-76.404702\t-76.4\t-76.3\t-76.2\t6.002\t
O\t-0.0343\t 0.9775\t 0.0076\t-0.589706
H\t 0.0647\t 2.0570*^-2\t 0.0015\t 0.294853
H\t 0.8717\t 1.3008\t 0.0006\t 0.294853
1671.4\t3803.3\t3907.7
O\tO
InChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2
"""


@pytest.fixture
def qm9(tmp_path):
    folder = tmp_path / "qm9"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"dsgdb9nsd_{number:06d}.xyz").write_text(QM9.format(number=number))
    (tmp_path / "uncharacterized.txt").write_text("Inconsistent molecules\n===\nIndex  SMILES\n     2  O  O\n")
    return tmp_path


def test_qm9_is_in_hartree_without_forces(qm9):
    found = load_sources([Source(path="qm9", format="qm9")], Finder(qm9))
    assert [f.info["molecule"] for f in found] == [1, 2, 3]
    assert found[0].energy == pytest.approx(-76.404702 * units.Hartree)
    assert found[0].structure.numbers.tolist() == [8, 1, 1]
    assert found[0].structure.positions[1].tolist() == [0.0647, 0.02057, 0.0015]
    assert not found[0].has_forces
    (at_298,) = load_sources([Source(path="qm9", format="qm9", index=":1", keys={"energy": "G"})], Finder(qm9))
    assert at_298.energy == pytest.approx(-76.2 * units.Hartree)


def test_inconsistent_molecules_of_qm9_are_left_out(qm9):
    source = Source(path="qm9", format="qm9", leave_out="uncharacterized.txt")
    assert [f.info["molecule"] for f in load_sources([source], Finder(qm9))] == [1, 3]
    (qm9 / "uncharacterized.txt").write_text("nothing\n")
    with pytest.raises(InvalidData, match=r"uncharacterized\.txt: no line begins with the number of a molecule"):
        load_sources([source], Finder(qm9))


def test_the_archive_of_qm9_is_read_as_it_is(qm9):
    with tarfile.open(qm9 / "dsgdb9nsd.xyz.tar.bz2", "w:bz2") as archive:
        for file in sorted((qm9 / "qm9").iterdir(), reverse=True):
            archive.add(file, file.name)
    found = load_sources([Source(path="dsgdb9nsd.xyz.tar.bz2", format="qm9")], Finder(qm9))
    assert [f.info["molecule"] for f in found] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("3\nwater\n", "no line 'gdb NUMBER"),
        ("3\ngdb 1 2 3\nO 0 0 0 0\n", "not a file of QM9"),
        (QM9.format(number=1).replace("O\t-0.0343", "O\tleft"), "not a file of QM9"),
    ],
)
def test_a_bad_file_of_qm9_is_named(tmp_path, content, message):
    (tmp_path / "bad.xyz").write_text(content)
    with pytest.raises(InvalidData, match=rf"^bad\.xyz, bad\.xyz: {message}"):
        list(read(Source(path="bad.xyz", format="qm9"), tmp_path / "bad.xyz"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"format": "qm9", "units": {}}, "QM9 is in Hartree and Å"),
        ({"format": "qm9", "keys": {"energy": "U1"}}, "choose one of U0, U, H, G"),
        ({"format": "deepmd", "keys": {"energy": "E"}}, "deepmd folders have fixed names"),
        ({"leave_out": "list.txt"}, "leave_out is for the format qm9 only"),
    ],
)
def test_keys_that_a_format_does_not_have_are_refused(keys, message):
    with pytest.raises(InvalidConfig, match=message):
        parse(Source, {"path": "a.xyz", **keys}, "test")
