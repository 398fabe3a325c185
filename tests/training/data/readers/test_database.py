"""ASE's databases, SQLite and LMDB: rows in order, what belongs to a row, and files that are
damaged.
"""

import os
import sys

import ase.db
import numpy as np
import pytest

from app.errors import InvalidConfig, InvalidData
from app.training.data.config import Source
from app.training.data.load import Finder, load_sources
from app.training.runs.folder import to_atoms
from tests.training.labelled import crystals, molecules

FRAMES = [*molecules(4), *crystals(2)]
ENDINGS = ["db", "aselmdb"]


def write_database(path, frames=FRAMES, data=None):
    with ase.db.connect(path) as database:
        for frame in frames:
            database.write(to_atoms(frame), family=f"f{frame.index % 2}", data=data or {})
    return path


def load(path, **keys):
    return load_sources([Source(path=path.name, **keys)], Finder(path.parent))


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_are_frames_with_their_labels_and_keys(tmp_path, ending):
    found = load(write_database(tmp_path / f"a.{ending}"))
    assert len(found) == len(FRAMES)
    for place, (a, b) in enumerate(zip(found, FRAMES, strict=True)):
        assert a.energy == pytest.approx(b.energy)
        assert a.origin == f"a.{ending}, frame {place}"
        assert a.info["family"] == f"f{b.index % 2}"
        np.testing.assert_allclose(a.structure.positions, b.structure.positions)
        np.testing.assert_allclose(a.structure.cell, b.structure.cell)
        np.testing.assert_allclose(a.forces, b.forces)
        assert (a.stress is None) == (b.stress is None)
        if b.stress is not None:
            np.testing.assert_allclose(a.stress, b.stress)


@pytest.mark.parametrize("ending", ENDINGS)
def test_deleted_rows_leave_no_gap_and_slices_count_what_is_left(tmp_path, ending):
    path = write_database(tmp_path / f"a.{ending}")
    with ase.db.connect(path) as database:
        database.delete([2])
    found = load(path, index="1:-1:2")
    assert [f.index for f in found] == [1, 3]
    assert [f.energy for f in found] == pytest.approx([FRAMES[i].energy for i in (2, 4)])


@pytest.mark.parametrize("ending", ENDINGS)
def test_labels_and_charges_may_be_among_the_data(tmp_path, ending):
    path = write_database(
        tmp_path / f"a.{ending}", FRAMES[:1], {"dft": -7.5, "charge": 0, "spin": 1}
    )
    (found,) = load(path, keys={"energy": "dft"})
    assert found.energy == -7.5
    charged = write_database(tmp_path / f"b.{ending}", FRAMES[:1], {"charge": 1})
    assert load(charged)[0].structure.charge == 1
    triplet = write_database(tmp_path / f"c.{ending}", FRAMES[:1], {"spin": 3})
    with pytest.raises(InvalidData, match=rf"^c\.{ending}, frame 0: multiplicity 3"):
        load(triplet)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def scribble(path):
    content = bytearray(path.read_bytes())
    content[8192:] = b"x" * (len(content) - 8192)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("ending", "damage", "message"),
    [
        ("db", lambda path: path.write_text("text" * 3000), "cannot be read: no SQLite database"),
        ("db", lambda path: path.write_bytes(b""), "cannot be read: no SQLite database"),
        ("db", scribble, r"cannot be read after \d+ frames: "),
        (
            "db",
            lambda path: path.unlink() or path.mkdir(),
            "cannot be read after 0 frames: .*directory",
        ),
        (
            "aselmdb",
            lambda path: path.write_text("text" * 3000),
            "cannot be read: .*not an LMDB file",
        ),
        ("aselmdb", cut, r"ends early: \d+ bytes of \d+"),
        ("aselmdb", lambda path: path.write_bytes(b""), "cannot be read: "),
    ],
)
def test_a_damaged_database_is_named(tmp_path, ending, damage, message):
    path = write_database(tmp_path / f"a.{ending}", molecules(40))
    damage(path)
    with pytest.raises(InvalidData, match=rf"^a\.{ending}: {message}"):
        load(path)


def test_a_row_of_lmdb_that_is_damaged_is_named(tmp_path):
    import lmdb

    path = write_database(tmp_path / "a.aselmdb")
    with (
        lmdb.open(str(path), subdir=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(b"3", b"no row")
    with pytest.raises(InvalidData, match=r"^a\.aselmdb: cannot be read after 2 frames: "):
        load(path)


def test_lmdb_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    path = write_database(tmp_path / "a.aselmdb")
    monkeypatch.setitem(sys.modules, "ase_db_backends", None)
    with pytest.raises(
        InvalidConfig, match=r"a\.aselmdb: LMDB needs the extra: pip install 'equipot\[lmdb\]'"
    ):
        load(path)
