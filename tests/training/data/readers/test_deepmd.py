"""DeePMD folders."""

import numpy as np
import pytest

from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.load import Finder, load_sources
from app.training.data.readers import read
from tests.training.data.deepmd import write_deepmd
from tests.training.labelled import crystals, molecules


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
