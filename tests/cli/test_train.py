"""`equipot train` and `equipot evaluate`, as they are typed."""

import json

import pytest
import yaml

from app.cli.main import main
from app.cli.train import run_name
from app.store.store import ModelStore
from app.training.runs.trained import UNTRAINED_FORCES
from tests.training.labelled import CARD, TINY, molecules, write


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.xyz", molecules(24))
    content = {
        "data": {"train": "train.xyz", "split": {"validation": 6}},
        "model": TINY,
        "epochs": 2,
        "threads": 1,
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def test_a_run_from_the_command_line(project, capsys):
    assert (
        main(
            [
                "train",
                "recipe.yaml",
                "--data-root",
                "data",
                "--set",
                "epochs=1",
                "--set",
                "batch_size=6",
            ]
        )
        == 0
    )
    shown = capsys.readouterr()
    assert "validation  forces" in shown.out
    assert "written to runs/recipe" in shown.out
    assert "step 3, epoch 1" in shown.err
    assert yaml.safe_load((project / "runs" / "recipe" / "config.yaml").read_text())["epochs"] == 1

    assert main(["train", "recipe.yaml", "--data-root", "data"]) == 1
    assert "runs/recipe holds a run; go on with --resume" in capsys.readouterr().err

    assert (
        main(["train", "recipe.yaml", "--data-root", "data", "--resume", "--set", "epochs=1"]) == 1
    )
    assert "--resume with another config: batch_size was 6, is 5" in capsys.readouterr().err

    assert (
        main(
            [
                "evaluate",
                "runs/recipe",
                "data/train.xyz",
                "--set",
                "index=:5",
                "--plot",
                "parity.png",
            ]
        )
        == 0
    )
    assert "5 frames, " in capsys.readouterr().out
    assert (project / "parity.png").stat().st_size > 10_000


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(project, capsys):
    before = sorted(project.rglob("*"))
    assert (
        main(["train", "recipe.yaml", "--data-root", "data", "--dry-run", "--set", "batch_size=6"])
        == 0
    )
    shown = capsys.readouterr().out
    for part in (
        "model: allegro, ",
        " parameters, float32",
        "train: 18 frames (18 of train.xyz); ",
        "validation: 6 frames",
        "force RMS",
        "reference energies: Ne ",
        "batches: 3 an epoch, 6 steps in 2 epochs; 6.0 frames",
        "memory: about ",
    ):
        assert part in shown
    assert sorted(project.rglob("*")) == before


def test_the_data_root_may_come_from_the_environment(project, monkeypatch, capsys):
    assert main(["train", "recipe.yaml", "--run", "elsewhere"]) == 1
    assert "no data file train.xyz; looked for train.xyz" in capsys.readouterr().err
    monkeypatch.setenv("EQUIPOT_DATA", "data")
    assert main(["train", "recipe.yaml", "--run", "elsewhere", "--set", "epochs=1"]) == 0
    assert (project / "elsewhere" / "metrics.json").exists()


def test_the_cache_may_come_from_the_environment(project, monkeypatch):
    monkeypatch.setenv("EQUIPOT_DATA_CACHE", "lists")
    assert main(["train", "recipe.yaml", "--data-root", "data", "--dry-run"]) == 0
    assert (
        main(["train", "recipe.yaml", "--data-root", "data", "--dry-run", "--data-cache", "others"])
        == 0
    )
    for folder in ("lists", "others"):
        assert len(list((project / folder).glob("*/edge_vectors.npy"))) == 1


@pytest.mark.slow
def test_one_command_from_data_to_a_published_model(project, capsys):
    (project / "about.yaml").write_text("license: MIT")
    command = ["train", "recipe.yaml", "--data-root", "data", "--set", "epochs=1"]
    command += ["--set", "precision=bfloat16"]  # of the steps, not of the model
    assert main(command) == 0
    published = ["--publish", "made", "--about", "about.yaml", "--model-store", "store"]
    assert main([*command, "--resume", *published]) == 0
    assert "made@1 in store/made/1" in capsys.readouterr().out
    card = ModelStore(project / "store").load("made@1").card
    assert (card.members, card.license, card.metrics["training_frames"]) == (1, "MIT", 18)
    assert card.certificate.systems > 100
    assert (card.dtype, card.limitations) == ("float32", ())


@pytest.mark.slow
def test_a_model_of_energies_alone_says_so_and_is_published_in_double_precision_if_asked(project):
    command = [
        "train",
        "recipe.yaml",
        "--data-root",
        "data",
        "--set",
        "epochs=1",
        "--set",
        "loss.forces=0",
    ]
    assert (
        main(
            [*command, "--publish", "made", "--publish-dtype", "float64", "--model-store", "store"]
        )
        == 0
    )
    card = ModelStore(project / "store").load("made@1").card
    assert card.dtype == "float64"
    assert card.limitations == (UNTRAINED_FORCES,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--publish", "My Model"], "'My Model' cannot be the name of a model"),
        (["--publish", "made", "--about", "none.yaml"], "none.yaml: No such file"),
        (["--about", "about.yaml"], "--about about.yaml: it is for --publish NAME"),
        (["--publish-dtype", "float64"], "--publish-dtype float64: it is for --publish NAME"),
    ],
)
def test_what_cannot_be_published_is_said_before_the_training(project, capsys, options, message):
    assert main(["train", "recipe.yaml", "--data-root", "data", *options]) == 1
    assert message in capsys.readouterr().err
    assert not (project / "runs").exists()


def test_errors_of_the_config_come_before_the_data(project, capsys):
    assert main(["train", "recipe.yaml", "--set", "optimiser.lr=1"]) == 1
    assert (
        capsys.readouterr().err
        == "equipot train: recipe.yaml: 'optimiser' is no key; did you mean 'optimizer'?\n"
    )


def test_a_store_model_is_evaluated(project, capsys):
    with ModelStore(project / "store").publish(CARD):
        pass
    options = ["evaluate", "pairs@1", "data/train.xyz", "--model-store", "store", "--json"]
    assert main(options) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == 24
    assert found["forces_rmse"] < 1e-3


def test_errors_of_each_molecule(project, capsys):
    with ModelStore(project / "model_store").publish(CARD):
        pass
    assert (
        main(
            [
                "evaluate",
                "pairs",
                "data/train.xyz",
                "--by",
                "molecule",
                "--worst",
                "2",
                "--csv",
                "all.csv",
            ]
        )
        == 0
    )
    assert "by molecule, the worst 2 of 8" in capsys.readouterr().out
    assert len((project / "all.csv").read_text().splitlines()) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["pairs", "data/train.xyz", "--by", "smiles"],
            "frame 0 has no such key; its comment line has molecule",
        ),
        (["pairs", "data/train.xyz", "--worst", "-1"], "--worst -1: at least 0"),
        (["pairs", "data/train.xyz", "--plot-uncertainty", "a.png"], "pairs states no uncertainty"),
        (["nobody", "data/train.xyz"], "no model 'nobody' in the store"),
        (
            ["pairs", "data/train.xyz", "--set", "units.energy=kcal"],
            "units.energy = 'kcal': choose one of: eV, meV, kcal/mol",
        ),
        (["pairs", "data/none.xyz"], "data/none.xyz"),
        (
            ["pairs", "water.xyz"],
            "water.xyz, frame 0: atom 0 is O, which model 'pairs' was not trained on",
        ),
        (["pairs", "data/train.xyz", "--batch-size", "0"], "--batch-size 0: at least 1"),
    ],
)
def test_what_cannot_be_evaluated_is_named(project, capsys, arguments, message):
    with ModelStore(project / "model_store").publish(CARD):
        pass
    (project / "water.xyz").write_text(
        "1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nO 0 0 0 0 0 0\n"
    )
    assert main(["evaluate", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "name"), [("a/b.yaml", "b"), ("recipes/water/config.yaml", "water")]
)
def test_runs_are_named_after_their_config(tmp_path, path, name):
    assert run_name(tmp_path / path) == name
