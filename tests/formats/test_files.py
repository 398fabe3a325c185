import gzip

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from app.atoms.structure import Structure
from app.errors import InvalidFormat, InvalidStructure
from app.formats.files import read_input, read_structures

SALT = bulk("NaCl", "rocksalt", a=5.64)


@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz", "A.XYZ"])
def test_xyz_is_known_by_its_suffix(tmp_path, name):
    (tmp_path / name).write_text("1\nid=one\nH 0 0 0\n1\n\nQ 0 0 0\n")
    first, second = read_structures(tmp_path / name)
    assert isinstance(first.structure, Structure)
    assert first.id == "one"
    assert isinstance(second.structure, InvalidStructure)


@pytest.mark.parametrize("name", ["salt.cif", "POSCAR", "salt.json", "salt.traj"])
def test_other_files_are_read_by_ase(tmp_path, name):
    ase.io.write(tmp_path / name, SALT)
    (frame,) = read_structures(tmp_path / name)
    assert isinstance(frame.structure, Structure)
    assert sorted(frame.structure.symbols) == ["Cl", "Na"]
    assert frame.structure.volume == pytest.approx(SALT.get_volume(), rel=1e-5)


def test_all_images_of_a_trajectory_are_read(tmp_path):
    ase.io.write(tmp_path / "salt.traj", [SALT, SALT * (2, 1, 1)])
    assert [len(f.structure) for f in read_structures(tmp_path / "salt.traj")] == [2, 4]


def test_a_bad_structure_does_not_cost_the_others(tmp_path):
    broken = SALT.copy()
    broken.positions[0] = np.nan
    ase.io.write(tmp_path / "salt.traj", [SALT, broken])
    good, bad = read_structures(tmp_path / "salt.traj")
    assert isinstance(good.structure, Structure)
    assert isinstance(bad.structure, InvalidStructure)


def test_a_compressed_file_is_read_as_a_plain_one(tmp_path):
    frames = "1\nid=one\nD 0 0 0\n1\n\nQq 0 0 0\n"
    (tmp_path / "a.xyz").write_text(frames)
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress(frames.encode()))
    for plain, packed in zip(
        read_structures(tmp_path / "a.xyz"), read_structures(tmp_path / "a.xyz.gz"), strict=True
    ):
        assert (plain.id, plain.warnings) == (packed.id, packed.warnings)
        assert type(plain.structure) is type(packed.structure)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xyz", b"\xff\xfe\x00", "a.xyz: the text is UTF-16; save it as UTF-8"),
        ("a.cif", b"nonsense", "a.cif: no structures; a data block with atoms"),
        ("a.unheard", b"nonsense", "a.unheard: no format that is known, and none that ASE can"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidFormat) as caught:
        read_structures(tmp_path / name)
    assert message in str(caught.value)


def test_what_has_no_name_is_known_by_its_content():
    assert len(read_input(b"1\n\nAr 0 0 0\n")) == 1
    with pytest.raises(InvalidFormat, match="standard input: no format that is known"):
        read_input(b"nonsense")


@pytest.mark.parametrize("name", ["missing.xyz", "missing.cif"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(InvalidFormat, match=f"{name}: .*No such file"):
        read_structures(tmp_path / name)
