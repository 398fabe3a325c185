"""extXYZ, and what else ASE reads."""

import ase.io
import numpy as np
import pytest
from ase import units

from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.readers import read
from tests.training.labelled import crystals, molecules, write


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
    "content",
    ["3\n\nAr 0 0 0\n", "two\n\nAr 0 0 0\nAr 0 0 1\n", "1\n\nAr 0 zero 0\n", "1\n\nQq 0 0 0\n"],
)
def test_a_file_that_cannot_be_parsed_is_named(tmp_path, content):
    path = tmp_path / "bad.xyz"
    path.write_text(content)
    with pytest.raises(InvalidData, match=r"^bad\.xyz: cannot be read after 0 frames"):
        read_file(path)


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
