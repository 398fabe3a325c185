"""Distillation: rounds of sampling, labelling and training, from a store's model or a calculator."""

import json

import ase.io
import numpy as np
import pytest
import yaml
from ase.build import bulk
from ase.calculators.lj import LennardJones

from app.cli.main import main
from app.store.store import ModelStore
from app.training.distill.sampling import distorted, visited
from tests.paths import MODEL_STORE
from tests.training.labelled import TINY

CONFIG = {"model": {**TINY, "cutoff": 5.0}, "epochs": 12, "batch_size": 2, "threads": 1}
ARGON = bulk("Ar", "fcc", 5.3, cubic=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A structure, a config, and what a distillation of the bundled Lennard-Jones model left."""
    folder = tmp_path_factory.mktemp("distill")
    ase.io.write(folder / "argon.xyz", [ARGON, ARGON * (2, 1, 1)])
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def command(folder, *options, output="out"):
    return main(
        [
            "distill",
            *("--structures", str(folder / "argon.xyz")),
            *("--output", str(folder / output)),
            *("--config", str(folder / "config.yaml")),
            *("--rounds", "1", "--frames", "8", "--interval", "5", "--temperature", "40"),
            *("--model-store", str(MODEL_STORE)),
            *options,
        ]
    )


def test_a_model_learns_what_its_teacher_says(world, capsys):
    assert command(world, "--teacher", "lennard-jones") == 0
    said = capsys.readouterr().out
    assert "round 0: 8 frames labelled, 0 failed" in said
    assert "round 2: 8 frames labelled, 0 failed" in said
    report = json.loads((world / "out" / "report.json").read_text())
    assert report["frames"] == 8
    assert report["forces_mae"] < report["forces_rms"]
    assert "against the teacher, on 8 frames" in said
    labelled = ase.io.read(world / "out" / "round-0" / "labelled.xyz", index=":")
    assert all("stress" in atoms.calc.results for atoms in labelled)
    np.testing.assert_allclose(labelled[0].positions, ARGON.positions)

    def left():
        return {
            path: path.read_bytes() if path.suffix == ".xyz" else path.stat().st_mtime_ns
            for path in (world / "out").rglob("*")
            if path.name in ("weights.safetensors", "labelled.xyz")
        }

    before = left()
    assert command(world, "--teacher", "lennard-jones") == 0
    assert left() == before


def test_a_folder_belongs_to_what_it_was_begun_with(world, capsys):
    (world / "begun").mkdir()
    (world / "begun" / "distillation.json").write_text(json.dumps({"seed": 0}))
    assert command(world, "--teacher", "lennard-jones", "--seed", "1", output="begun") == 2
    assert "was begun with other calculator, options" in capsys.readouterr().err


def test_any_calculator_teaches_and_the_result_is_published(world, tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIPOT_MODEL_STORE", str(tmp_path / "store"))
    options = json.dumps({"sigma": 3.4, "epsilon": 0.01, "rc": 5.0, "smooth": True})
    calculator = ("--calculator", "ase.calculators.lj:LennardJones", "--options", options)
    store = ("--rounds", "0", "--publish", "argon", "--model-store", str(tmp_path / "store"))
    assert command(world, *calculator, *store, output="other") == 0
    assert ModelStore(tmp_path / "store").load("argon").card.elements == ("Ar",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "state either --teacher or --calculator"),
        (("--teacher", "a", "--calculator", "b:C"), "state either --teacher or --calculator"),
        (("--teacher", "a", "--options", '{"x": 1}'), "a model of the store takes none"),
        (("--teacher", "lennard-jones", "--rounds", "-1"), "--rounds -1: none, or more"),
        (("--teacher", "lennard-jones", "--frames", "0"), "--frames 0: must be positive"),
        (("--teacher", "lennard-jones", "--temperature", "-3"), "must be positive"),
    ],
)
def test_what_cannot_be_is_told(world, capsys, options, message):
    assert command(world, *options, output="refused") == 2
    assert message in capsys.readouterr().err


def test_data_of_ones_own_are_refused(world, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**CONFIG, "data": {"train": "a.xyz"}}))
    arguments = ("--teacher", "lennard-jones", "--config", str(tmp_path / "config.yaml"))
    assert command(world, *arguments, output="data") == 2
    assert "data is what the distillation states" in capsys.readouterr().err


def test_the_first_frames_are_the_structures_themselves():
    frames = distorted([ARGON], 4, np.random.default_rng(0))
    np.testing.assert_array_equal(frames[0].positions, ARGON.positions)
    assert all(not np.allclose(frame.cell, ARGON.cell) for frame in frames[1:])
    again = distorted([ARGON], 4, np.random.default_rng(0))
    np.testing.assert_array_equal(frames[3].positions, again[3].positions)


def test_a_trajectory_that_goes_wild_ends_there():
    calm = LennardJones(sigma=3.4, epsilon=0.01, rc=5.0, smooth=True)
    frames = visited([ARGON], calm, (40.0,), 5, 3, 1.0, np.random.default_rng(0))
    assert len(frames) == 5
    wild = LennardJones(sigma=6.0, epsilon=5.0, rc=8.0, smooth=True)
    frames = visited([ARGON], wild, (40.0,), 5, 3, 1.0, np.random.default_rng(0))
    assert len(frames) == 1
