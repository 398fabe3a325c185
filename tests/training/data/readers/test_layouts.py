"""Data sets in the layouts in which they are distributed: DeePMD, MD22, QM9."""

import tarfile

import numpy as np
import pytest
from ase import units

from app.errors import InvalidConfig, InvalidData
from app.training.data.config import Source
from app.training.data.load import Finder, load_sources
from app.training.data.readers import read
from app.training.runs.config_file import parse
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
    return [
        f for f in frames if f.structure.numbers.tolist() == frames[0].structure.numbers.tolist()
    ]


@pytest.mark.parametrize(
    "frames", [of_one_kind(crystals(12)), of_one_kind(molecules(12, sizes=[2]))]
)
def test_a_deepmd_folder_is_read(tmp_path, frames):
    write_deepmd(tmp_path / "system", frames, sets=2)
    (found,) = [load_sources([Source(path="system", format="deepmd")], Finder(tmp_path))]
    same(found, frames)
    assert found[-1].origin == f"system, frame {len(frames) - 1}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "type_map.raw").unlink(), r"type_map\.raw: cannot be read"),
        (
            lambda f: (f / "type.raw").write_text("0 7"),
            r"type\.raw: 7 is no position in a type map of 2",
        ),
        (lambda f: (f / "type_map.raw").write_text("Qq Ne"), "Qq is no chemical symbol"),
        (lambda f: (f / "set.000" / "box.npy").unlink(), "frame 0: no box.npy, and no file nopbc"),
        (lambda f: (f / "set.000" / "coord.npy").unlink(), "set.000/coord.npy: is not there"),
        (lambda f: (f / "set.000" / "force.npy").unlink(), "frame 0: no forces; each frame needs"),
        (
            lambda f: np.save(f / "set.000" / "energy.npy", np.zeros(9)),
            "1 frames of coord, 9 of energy",
        ),
        (
            lambda f: np.save(f / "set.000" / "force.npy", np.zeros((1, 5))),
            r"shape \(1, 5\); expected 12 numbers",
        ),
        (
            lambda f: np.save(f / "set.000" / "energy.npy", np.full(1, np.nan)),
            "frame 0: energy holds nan",
        ),
        (
            lambda f: (f / "set.000" / "force.npy").write_text("text"),
            "set.000/force.npy: cannot be read",
        ),
        (lambda f: (f / "set.000" / "real_atom_types.npy").touch(), "frames of mixed types"),
    ],
)
def test_a_bad_deepmd_folder_is_named(tmp_path, change, message):
    change(write_deepmd(tmp_path / "system", crystals(1)))
    with pytest.raises(InvalidData, match=rf"^system.*{message}"):
        list(read(Source(path="system", format="deepmd"), tmp_path / "system"))


@pytest.fixture
def md22(tmp_path):
    """Writes frames in the layout of MD22's npz files, with other arrays in the place of some."""
    frames = molecules(3, sizes=[3])
    arrays = dict(zip(("z", "R", "E", "F"), npz_arrays(frames).values(), strict=True))
    arrays["E"] = arrays["E"][:, None]
    forces = {
        "F_min": arrays["F"].min(),
        "F_max": arrays["F"].max(),
        "F_mean": 0.0,
        "F_var": arrays["F"].var(),
    }
    about = {
        "type": "d",
        "name": "AT-AT",
        "theory": "PBE+MBD",
        "code_version": "0.4",
        "md5": "0" * 32,
    }
    stated = {"e_unit": "kcal/mol", "r_unit": "Ang"}

    def write(**other):
        np.savez_compressed(tmp_path / "md22.npz", **arrays | forces | about | stated | other)
        return tmp_path / "md22.npz"

    write.frames = frames
    return write


@pytest.mark.parametrize("unit", ["kcal/mol", b"kcal/mol"])
def test_md22_is_read_and_its_units_are_checked(md22, unit):
    path = md22(e_unit=unit)
    found = list(read(Source(path="md22.npz", units={"energy": "kcal/mol", "length": "Å"}), path))
    factor = units.kcal / units.mol
    assert [frame.energy for frame in found] == pytest.approx(
        [frame.energy * factor for frame in md22.frames]
    )
    np.testing.assert_allclose(found[2].forces, md22.frames[2].forces * factor)
    with pytest.raises(
        InvalidData, match=r"md22\.npz, frame 0: energy_unit is 'kcal/mol', but the config reads"
    ):
        list(read(Source(path="md22.npz", units={"energy": "eV"}), path))


def test_a_lattice_in_an_npz_is_not_ignored(md22):
    with pytest.raises(InvalidData, match=r"^md22\.npz: has a lattice; .* write it as extXYZ"):
        list(read(Source(path="md22.npz", units={}), md22(lattice=10 * np.eye(3))))


def test_the_extxyz_of_sgdml_needs_its_key_and_units(tmp_path):
    lines = [
        "2",
        "Energy=-100.5 Properties=species:S:1:pos:R:3:forces:R:3",
        "O 0 0 0 0 0 -23",
        "H 0 0 1 0 0 23",
        "",
    ]
    (tmp_path / "md22.xyz").write_text("\n".join(lines))
    source = {"path": "md22.xyz", "units": {"energy": "kcal/mol"}}
    (found,) = read(Source(**source, keys={"energy": "Energy"}), tmp_path / "md22.xyz")
    assert found.energy == pytest.approx(-100.5 * units.kcal / units.mol)
    assert found.forces[1, 2] == pytest.approx(23 * units.kcal / units.mol)
    with pytest.raises(InvalidData, match=r"md22\.xyz, frame 0: no energy"):
        list(read(Source(**source), tmp_path / "md22.xyz"))


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
    (tmp_path / "uncharacterized.txt").write_text(
        "Inconsistent molecules\n===\nIndex  SMILES\n     2  O  O\n"
    )
    return tmp_path


def test_qm9_is_in_hartree_without_forces(qm9):
    found = load_sources([Source(path="qm9", format="qm9")], Finder(qm9))
    assert [f.info["molecule"] for f in found] == [1, 2, 3]
    assert found[0].energy == pytest.approx(-76.404702 * units.Hartree)
    assert found[0].structure.numbers.tolist() == [8, 1, 1]
    assert found[0].structure.positions[1].tolist() == [0.0647, 0.02057, 0.0015]
    assert not found[0].has_forces
    (at_298,) = load_sources(
        [Source(path="qm9", format="qm9", index=":1", keys={"energy": "G"})], Finder(qm9)
    )
    assert at_298.energy == pytest.approx(-76.2 * units.Hartree)


def test_inconsistent_molecules_of_qm9_are_left_out(qm9):
    source = Source(path="qm9", format="qm9", leave_out="uncharacterized.txt")
    assert [f.info["molecule"] for f in load_sources([source], Finder(qm9))] == [1, 3]
    (qm9 / "uncharacterized.txt").write_text("nothing\n")
    with pytest.raises(
        InvalidData, match=r"uncharacterized\.txt: no line begins with the number of a molecule"
    ):
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
