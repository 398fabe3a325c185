"""The scripts behind docs/accuracy.md, on a tiny run."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from PIL import Image

from app.cli.main import main
from app.store.store import ModelStore
from app.training.data.load import Finder, load_frames
from app.training.evaluation.predictors import open_predictor
from app.training.evaluation.report import page, report
from app.training.runs.config_file import load_config, parse_config
from app.training.runs.folder import RunFolder
from benchmarks.accuracy import ablation, against_nequip_allegro, served, timed
from benchmarks.accuracy.peer_config import peer_config
from benchmarks.accuracy.pool import run_all
from recipes.records.collect import MOST_LINES, collect, thinned
from recipes.records.figures import draw
from recipes.records.images import LARGEST, shrink
from recipes.records.published import counterpart
from recipes.records.records import records
from recipes.records.table import table
from tests.api.server import running
from tests.paths import ROOT
from tests.training.labelled import CARD, TINY, crystals, molecules, write


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with data, a config, and what it has trained."""
    folder = tmp_path_factory.mktemp("project")
    write(folder / "train.xyz", molecules(24))
    write(folder / "test.xyz", molecules(8, seed=1))
    content = {
        "data": {
            "train": str(folder / "train.xyz"),
            "test": "test.xyz",
            "split": {"validation": 6},
        },
        "model": TINY | {"readout_mlp": [8]},
        "epochs": 2,
        "threads": 1,
    }
    (folder / "base.yaml").write_text(yaml.safe_dump(content))
    assert (
        main(["train", str(folder / "base.yaml"), "--run", str(folder / "runs" / "own-0.1")]) == 0
    )
    return folder


def test_the_service_gives_the_errors_that_evaluate_gives(tmp_path):
    with ModelStore(tmp_path).publish(CARD):
        pass
    made = [*molecules(10), *crystals(2)]
    frames = [
        replace(f, energy=f.energy + 0.1 * i, forces=1.1 * f.forces) for i, f in enumerate(made)
    ]
    expected = report(open_predictor("pairs", tmp_path)(frames), frames)
    with running(tmp_path) as server:
        found = served.ask(str(server.client.base_url), "pairs", frames, size=3, clients=2)
        with pytest.raises(SystemExit, match="404"):
            served.ask(str(server.client.base_url), "nobody", frames, size=3, clients=2)
    assert page(report(found.values, frames), 10) == page(expected, 10)
    assert report(found.values, frames).forces_rmse == pytest.approx(expected.forces_rmse, rel=1e-9)
    assert found.values.stress.shape == (12, 3, 3)
    assert np.isfinite(found.values.stress).all(axis=(1, 2)).tolist() == [False] * 10 + [True] * 2


def test_a_record_holds_what_tables_and_figures_need(project, tmp_path):
    collect(project / "runs" / "own-0.1", tmp_path / "runs" / "rmd17-aspirin" / "tiny")
    (record,) = records(tmp_path / "runs")
    assert record.config["data"]["train"][0]["path"] == "train.xyz"
    assert str(project) not in (record.folder / "config.yaml").read_text()
    assert (record.data, record.name, record.model, record.epochs) == (
        "rmd17-aspirin",
        "tiny",
        "Allegro",
        2,
    )
    shown = table(record.data, [record])
    ratio = record.test["forces_mae"] / counterpart("rmd17-aspirin", "Allegro").forces
    assert shown.splitlines()[2].startswith("| tiny | ")
    assert shown.splitlines()[2].endswith(f" | {ratio:.2f} |")
    assert "*MACE* (Batatia" in shown
    names = {path.name for path in draw([record], tmp_path)}
    assert names == {"rmd17-aspirin-learning-curves.png", "rmd17-aspirin-elements.png", "cost.png"}
    for path in [*tmp_path.glob("*.png"), record.folder / "parity.png"]:
        assert 5_000 < path.stat().st_size <= LARGEST


def test_energies_alone_make_a_table_and_figures(tmp_path):
    record = next(record for record in records() if record.data == "qm9")
    ratio = record.test["energy_mae"] / counterpart("qm9", "Allegro").energy
    assert table("qm9", [record]).splitlines()[2].endswith(f" | – | {ratio:.2f} | – |")
    assert {path.name for path in draw([record], tmp_path)} == {
        "qm9-learning-curves.png",
        "cost.png",
    }


def test_a_run_that_has_not_ended_is_no_record(tmp_path):
    with pytest.raises(SystemExit, match=r"metrics\.json is missing"):
        collect(tmp_path, tmp_path / "record")


def test_long_curves_are_thinned_but_for_their_ends_and_the_best_evaluation():
    losses = np.linspace(2, 1, 5000)
    losses[1234] = 0.5
    kept = thinned(losses)
    assert len(kept) <= MOST_LINES
    assert {0, 1234, 4999} <= set(kept)


def test_large_pictures_are_shrunk(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    shrink(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size <= LARGEST


def test_the_document_has_the_tables_of_all_records():
    text = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    found = records()
    for data in {record.data for record in found}:
        assert table(data, [record for record in found if record.data == data]) in text


@pytest.mark.slow
def test_an_ablation_runs_each_variation_once(project, tmp_path):
    variations = ablation.parse_variations(
        ["late energy: 'loss.changes=[{epoch: HALF, energy: 2}]'"]
    )
    options = argparse.Namespace(
        config=project / "base.yaml",
        folder=tmp_path,
        data_root=None,
        epochs=1,
        cpu_minutes=None,
        only=None,
    )
    assert run_all(ablation.jobs(options, ablation.chosen(options, variations)), 1) == []
    assert ablation.jobs(options, variations) == []
    changed = load_config(tmp_path / "late-energy" / "config.yaml")
    assert (changed.epochs, changed.loss.changes[0].epoch) == (1, 0.5)
    lines = ablation.table(tmp_path, variations).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| base", "| late energy"]
    assert lines[2].count("1.00") == 2


def test_the_built_in_variations_are_configs(project):
    for keys in ablation.VARIATIONS.values():
        load_config(project / "base.yaml", [key.replace("HALF", "1") for key in keys])
    names = [ablation.folder_name(name) for name in ablation.VARIATIONS]
    assert len(set(names)) == len(names)


def test_a_timed_run_has_the_epochs_that_fit_and_keeps_them(project, tmp_path):
    options = argparse.Namespace(
        config=project / "base.yaml",
        run=tmp_path / "run",
        overrides=[],
        data_root=None,
        minutes=0.02,
        cpu_minutes=None,
    )
    stop, epochs = timed.overrides(options)
    assert stop == "max_minutes=0.02"
    assert int(epochs.removeprefix("epochs=")) >= 1
    assert main(timed.command(options, [stop, "epochs=1"])) == 0
    assert timed.overrides(options) == [stop, "epochs=1"]


def test_what_is_trained_is_evaluated_and_not_trained_again(project):
    config = load_config(project / "base.yaml")
    frames = load_frames(config.data, Finder(project), config.model.cutoff, config.dtype)
    options = argparse.Namespace(folder=project / "runs", minutes=[0.1], peer_python=None)
    setting = against_nequip_allegro.Setting(config, frames, options)
    assert against_nequip_allegro.jobs(setting) == []
    against_nequip_allegro.evaluate(setting)
    found = json.loads(setting.cell("equipot", 0.1).read_text())
    expected = json.loads(RunFolder(project / "runs" / "own-0.1").result.read_text())
    assert found["test"]["forces_mae"] == pytest.approx(expected["test"]["forces_mae"], rel=1e-5)
    assert f"| 0.1 | equipot | {expected['parameters']:,} |" in against_nequip_allegro.table(
        setting
    )


def test_the_peer_gets_our_hyperparameters(project):
    config = load_config(project / "base.yaml", ["batch_size=3", "model.l_max=2"])
    made = peer_config(config, ("Ne", "Ar"), project, [10, 60], "eager")
    model = made["training_module"]["model"]
    assert (model["l_max"], model["num_layers"], model["num_scalar_features"]) == (2, 1, 16)
    assert (model["allegro_mlp_hidden_layers_depth"], model["allegro_mlp_hidden_layers_width"]) == (
        1,
        16,
    )
    assert made["data"]["train_dataloader"]["batch_size"] == 3
    assert made["trainer"]["callbacks"][1]["minutes"] == [10, 60]
    other = parse_config(
        {"data": {"train": "a.xyz"}, "model": {"architecture": "equiformer"}}, "test"
    )
    with pytest.raises(SystemExit, match="the config has equiformer"):
        peer_config(other, ("Ne",), project, [1], "eager")
