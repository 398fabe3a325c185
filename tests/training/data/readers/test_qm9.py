"""QM9 in its original layout: a file a molecule."""

import tarfile

import pytest
from ase import units

from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.load import Finder, load_sources
from app.training.data.readers import read

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
