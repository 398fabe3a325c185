import json
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read, write

from tests.recipes.recipe_modules import recipe_modules

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

MODULES = ("build", "sample", "split")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    yield from recipe_modules(monkeypatch, "larger-molecules", MODULES)


def test_the_base_pairs_are_planar_hydrogen_bonded_and_stacked(recipe) -> None:
    pairs = recipe["build"].two_pairs()
    assert pairs.get_chemical_formula() == "C20H22N14O4"
    heavy = pairs.numbers > 1
    heights = pairs.positions[heavy, 2].reshape(2, -1)
    np.testing.assert_allclose(heights - [[0.0], [3.4]], 0, atol=0.3)
    for first, second in recipe["split"].CONTACTS["at-at"]["N1···N3"]:
        assert pairs.get_distance(first, second) == pytest.approx(2.85, abs=0.1)
        hydrogen = next(i for i in np.flatnonzero(~heavy) if pairs.get_distance(second, i) < 1.1)
        assert pairs.get_angle(first, hydrogen, second) > 170
    for first, second in recipe["split"].CONTACTS["at-at"]["N6···O4"]:
        assert pairs.get_distance(first, second) == pytest.approx(2.95, abs=0.2)
        nearest = min(pairs.get_distance(second, i) for i in np.flatnonzero(~heavy))
        assert nearest < 2.1
    distances = pairs.get_all_distances()[np.triu_indices(60, 1)]
    assert distances.min() > 0.95


def test_the_peptide_has_its_formula_and_hand(recipe, monkeypatch) -> None:
    monkeypatch.setattr(recipe["build"], "CONFORMERS", 1)
    (atoms,) = recipe["build"].embedded(recipe["build"].PEPTIDE, 1)
    assert atoms.get_chemical_formula() == "C12H22N4O4"
    nitrogen, alpha, methyl, carbonyl = (atoms.positions[i] for i in (3, 4, 5, 6))
    assert np.linalg.det([nitrogen - alpha, carbonyl - alpha, methyl - alpha]) > 0  # L


def test_a_trajectory_goes_on_where_it_was_stopped(recipe, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(recipe["sample"], "EQUILIBRATION", 2)
    sample, start = recipe["sample"], tmp_path / "water.xyz"
    write(start, molecule("H2O"))
    whole, parts = (
        sample.Trajectory(start, tmp_path / f"{name}.jsonl", 0, 4) for name in ("whole", "parts")
    )
    assert 0 < sample.run(whole) < 5000
    sample.run(parts._replace(frames=3))
    parts.journal.write_text(parts.journal.read_text() + '{"positions": [[0.0')
    sample.run(parts)
    expected, actual = (list(sample.frames_of(trajectory)) for trajectory in (whole, parts))
    assert [atoms.info for atoms in actual] == [
        {"trajectory": 0, "frame": 0},
        {"trajectory": 0, "frame": 1},
    ]
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-4)
    assert sample.run(whole._replace(number=1, journal=tmp_path / "other.jsonl")) != sample.run(
        whole
    )


def test_sampling_writes_the_frames_of_all_trajectories(recipe, tmp_path, monkeypatch) -> None:
    write(tmp_path / "ac-ala3.xyz", molecule("H2"))
    options = [
        "ac-ala3",
        "--folder",
        str(tmp_path),
        "--trajectories",
        "2",
        "--frames",
        "3",
        "--processes",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", ["sample.py", *options])
    recipe["sample"].main()
    frames = read(tmp_path / "ac-ala3-frames.xyz", index=":")
    assert [(atoms.info["trajectory"], atoms.info["frame"]) for atoms in frames] == [
        (trajectory, frame) for trajectory in (0, 1) for frame in (0, 1, 2)
    ]
    assert not np.allclose(frames[0].positions, frames[3].positions)


def test_test_frames_are_no_neighbours_of_training_frames(recipe) -> None:
    def trajectory(number: int, frames: int) -> list[Atoms]:
        return [Atoms("H", info={"trajectory": number, "frame": frame}) for frame in range(frames)]

    sizes = {"train": 7, "validation": 2, "test": 3}
    parts = recipe["split"].split([trajectory(0, 20), trajectory(1, 20)], sizes, gap=4)
    chosen = {
        name: [(a.info["trajectory"], a.info["frame"]) for a in frames]
        for name, frames in parts.items()
    }
    assert chosen == {
        "train": [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)],
        "validation": [(0, 8), (1, 7)],
        "test": [(0, 13), (0, 14), (1, 12)],
    }
    with pytest.raises(SystemExit, match="trajectory 0 has 14 frames; 15 are needed"):
        recipe["split"].split([trajectory(0, 14), trajectory(1, 20)], sizes, gap=4)


def test_the_default_of_frames_is_what_the_split_needs(recipe) -> None:
    sample, split = recipe["sample"], recipe["split"]
    shares = [-(-size // sample.TRAJECTORIES) for size in split.SIZES.values()]
    assert sum(shares) + 2 * split.GAP == sample.FRAMES


def test_a_broken_bond_is_reported(recipe) -> None:
    water = molecule("H2O")
    broken = water.copy()
    broken.positions[1] += broken.positions[1] - broken.positions[0]
    report = recipe["split"].integrity(water, [water, broken], {})
    assert (report["bonds"], report["frames with a broken bond"]) == (2, 1)
    assert json.dumps(report)
