"""Fine-tuning: what a run takes from a trained model, what it adds, and what it leaves alone."""

import io
import json
import re
import shutil

import numpy as np
import onnx
import pytest
import torch
import yaml
from safetensors.torch import load_file

from app.errors import InvalidConfig, InvalidData, TrainingError, UnknownModel
from app.store.card import ARTIFACT
from app.store.store import ModelStore, sha256
from app.training.data.batches import BatchSize, Collator
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder
from app.training.dry_run import describe_run
from app.training.evaluation.errors import predict_frames
from app.training.export.publish import About, card_of
from app.training.loop.display import Display
from app.training.models import Statistics
from app.training.run import train_model
from app.training.runs import checkpoint
from app.training.runs.base import load_base
from app.training.runs.config import StartConfig
from app.training.runs.config_file import parse_config
from app.training.runs.fine_tuning import initial_model, with_model
from app.training.runs.folder import RunFolder
from app.training.runs.trained import TrainedRun
from tests.structures import random_molecule
from tests.training.labelled import CARD, TINY, label, molecules, tiny_config, write

EMPTY = onnx.ModelProto(ir_version=10).SerializeToString()
"""An artifact that nobody runs."""
NEON = CARD.model_copy(update={"elements": ("Ne",)})


def neon(count, seed=0):
    return [
        label(random_molecule(NEON, 2 + i % 4, seed=500 + 100 * seed + i), i) for i in range(count)
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Data, a run on neon alone in `base`, and the same as `neon@1` of a store."""
    folder = tmp_path_factory.mktemp("world")
    write(folder / "neon.xyz", neon(40))
    write(folder / "train.xyz", molecules(40))
    train(folder, folder / "base", start=None, data={"train": "neon.xyz"}, epochs=2)
    card = card_of(TrainedRun(folder / "base"), "neon", 1, About(), "float32", 1)
    card = card.model_copy(update={"energies_alone": False})
    with ModelStore(folder / "store").publish(card) as publication:
        (publication.folder / ARTIFACT).write_bytes(EMPTY)
        for name in ("weights.safetensors", "statistics.json", "config.yaml"):
            shutil.copyfile(folder / "base" / name, publication.folder / name)
    return folder


@pytest.fixture
def here(world, monkeypatch):
    """The same, as the working directory: `base` is the run's name then."""
    monkeypatch.chdir(world)
    return world


def train(root, folder, resume=False, display=None, start="base", **keys):
    if start is not None:
        keys["start"] = {"model": start, **keys.get("start_keys", {})}
        keys.pop("start_keys", None)
    store = ModelStore(root / "store")
    display = display or Display(99, io.StringIO())
    return train_model(tiny_config(**keys), RunFolder(folder), Finder(root), display, resume, store)


def weights_of(folder):
    return load_file(folder / "weights.safetensors")


def answers(model, statistics, frames):
    collator = Collator(build_dataset(frames, 4.5, "float64"), statistics)
    return predict_frames(model.double(), collator, BatchSize(8), torch.device("cpu"))


@pytest.mark.parametrize("start", ["base", "neon@1", "base/checkpoint.pt"])
def test_before_the_first_step_known_elements_have_the_answers_of_the_base(here, tmp_path, start):
    class Immediate(Display):
        interrupted = True

        def __init__(self):
            pass

    with pytest.raises(TrainingError, match="interrupted after step 0"):
        train(here, tmp_path / "run", display=Immediate(), start=start, dtype="float64")
    base = TrainedRun(here / "base")
    tuned = RunFolder(tmp_path / "run").saved_statistics()
    state = checkpoint.load(tmp_path / "run" / "checkpoint.pt")
    config = tiny_config(dtype="float64")
    model = initial_model(config, tuned)
    model.load_state_dict(state["model"])
    frames = neon(6, seed=1)
    expected = answers(base.models(torch.float64)[0], base.statistics, frames)
    if start.endswith(".pt"):
        (weights,) = load_base(StartConfig(model=start), ModelStore(here / "store")).weights
        expected = answers(initial_model(config, base.statistics, weights), base.statistics, frames)
    found = answers(model, tuned, frames)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=1e-11)
    assert tuned.elements == ("Ne", "Ar")
    assert tuned.force_scale == base.statistics.force_scale
    assert tuned.average_neighbors == base.statistics.average_neighbors


def test_a_wider_model_begins_with_the_answers_of_the_narrow_one(here, tmp_path):
    class Immediate(Display):
        interrupted = True

        def __init__(self):
            pass

    wide = {"num_scalars": 24, "num_tensors": 6, "two_body_mlp": [20], "latent_mlp": [32]}
    keys = {"model": TINY | wide, "dtype": "float64"}
    with pytest.raises(TrainingError, match="interrupted after step 0"):
        train(here, tmp_path / "run", display=Immediate(), start_keys={"widen": True}, **keys)
    base = TrainedRun(here / "base")
    tuned = RunFolder(tmp_path / "run").saved_statistics()
    model = initial_model(tiny_config(**keys), tuned)
    model.load_state_dict(checkpoint.load(tmp_path / "run" / "checkpoint.pt")["model"])
    frames = neon(6, seed=1)
    expected = answers(base.models(torch.float64)[0], base.statistics, frames)
    found = answers(model, tuned, frames)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=1e-11)
    with pytest.raises(InvalidConfig, match=r"num_scalars is 24, but 16 there.*start\.widen: true"):
        train(here, tmp_path / "other", **keys)
    with pytest.raises(InvalidConfig, match="num_scalars is 8, but 16 there"):
        train(
            here,
            tmp_path / "narrower",
            start_keys={"widen": True},
            model=TINY | {"num_scalars": 8},
        )


def test_a_tuned_run_is_better_at_once_than_one_from_scratch(here, tmp_path):
    keys = {"data": {"train": "neon.xyz"}, "epochs": 1, "optimizer": {"lr": 0.002}, "ema": 0}
    tuned = train(here, tmp_path / "tuned", **keys)
    scratch = train(here, tmp_path / "scratch", start=None, **keys)
    assert tuned["validation"]["forces_mae"] < scratch["validation"]["forces_mae"]


def test_frozen_parameters_keep_their_bits_and_are_not_in_the_optimizer(here, tmp_path):
    keys = {
        "data": {"train": "neon.xyz"},
        "start_keys": {"freeze": ["embedding.*", "layers.0.latent.*"]},
    }
    train(here, tmp_path / "run", **keys)
    before, after = weights_of(here / "base"), weights_of(tmp_path / "run")
    frozen = {name for name in before if name.startswith(("embedding.", "layers.0.latent."))}
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert frozen
    assert not frozen & changed
    assert changed >= {"readout.0.weight", "scale"}
    state = checkpoint.load(tmp_path / "run" / "checkpoint.pt")["optimizer"]
    names = set(before) - {"normalization"} - frozen
    assert sum(len(group["params"]) for group in state["param_groups"]) == len(names)


def test_known_elements_keep_their_reference_energies_and_new_ones_are_fitted(here, tmp_path):
    train(here, tmp_path / "keep", epochs=1)
    train(here, tmp_path / "refit", epochs=1, start_keys={"references": "refit"})
    old = TrainedRun(here / "base").statistics.atomic_energies["Ne"]
    keep, refit = (
        RunFolder(tmp_path / name).saved_statistics().atomic_energies for name in ("keep", "refit")
    )
    assert keep["Ne"] == old != refit["Ne"]
    assert keep["Ar"] == pytest.approx(-7, abs=1.5)
    assert refit == pytest.approx({"Ne": -3, "Ar": -7}, abs=1.5)


def test_elements_that_the_new_data_lack_stay_known(here, tmp_path):
    train(here, tmp_path / "both", epochs=1)
    keys = {
        "epochs": 1,
        "data": {"train": "neon.xyz", "test": "train.xyz"},
        "start_keys": {"references": "refit"},
    }
    result = train(here, tmp_path / "run", start=str(tmp_path / "both"), **keys)
    both, found = (RunFolder(tmp_path / name).saved_statistics() for name in ("both", "run"))
    assert found.elements == both.elements == ("Ne", "Ar")
    assert found.atomic_energies["Ar"] == both.atomic_energies["Ar"]
    assert result["test"]["frames"] == 40


def test_a_run_goes_on_when_the_start_model_is_gone(here, tmp_path):
    class Impatient(Display):
        def stepped(self, progress, losses, steps_per_epoch):
            self.interrupted = progress.step == 5

    shutil.copytree(here / "base", tmp_path / "gone")
    keys = {"start": str(tmp_path / "gone"), "start_keys": {"freeze": ["readout.*"]}, "epochs": 2}
    train(here, tmp_path / "whole", **{**keys, "start_keys": dict(keys["start_keys"])})
    with pytest.raises(TrainingError, match="interrupted after step 5"):
        train(here, tmp_path / "run", display=Impatient(9, io.StringIO()), **keys)
    shutil.rmtree(tmp_path / "gone")
    train(here, tmp_path / "run", resume=True, **keys)
    whole, found = weights_of(tmp_path / "whole"), weights_of(tmp_path / "run")
    assert all(torch.equal(whole[name], found[name]) for name in whole)
    begun = tmp_path / "run" / "config.yaml"
    content = {"data": {"train": "train.xyz"}, "start": {"model": keys["start"]}}
    filled = with_model(content, begun, ModelStore(here / "store"))
    assert parse_config(filled, "config").model == tiny_config().model


@pytest.mark.parametrize(
    ("start", "name", "version"), [("neon@1", "neon", 1), ("base", "base", None)]
)
def test_the_card_says_what_was_fine_tuned(here, tmp_path, start, name, version):
    train(here, tmp_path / "run", start=start, epochs=1)
    card = card_of(TrainedRun(tmp_path / "run"), "tuned", 1, About(), "float32", 1)
    assert (card.fine_tuned_from.name, card.fine_tuned_from.version) == (name, version)
    stored = ModelStore(here / "store").load("neon@1").digest
    assert card.fine_tuned_from.digest == (
        stored if version else sha256(here / "base" / "weights.safetensors")
    )
    assert json.loads((tmp_path / "run" / "origin.json").read_text())["name"] == name
    published = yaml.safe_load(TrainedRun(tmp_path / "run").files()["config.yaml"])
    assert published["start"]["model"] == card.fine_tuned_from.reference


def test_keys_of_the_model_that_are_left_out_come_from_the_base(here):
    store = ModelStore(here / "store")
    content = {"data": {"train": "train.xyz"}, "start": {"model": "neon@1"}}
    for model in ({}, {"architecture": "allegro", "cutoff": 4.5}):
        assert (
            parse_config(with_model({**content, "model": model}, None, store), "config").model
            == tiny_config().model
        )
    with pytest.raises(
        InvalidConfig,
        match=r"model\.architecture is 'equiformer', but start\.model neon@1 is 'allegro'",
    ):
        with_model({**content, "model": {"architecture": "equiformer"}}, None, store)


def test_a_dry_run_counts_what_is_trained(here):
    config = tiny_config(start={"model": "neon@1", "freeze": ["layers.*"]})
    text = describe_run(config, Finder(here), ModelStore(here / "store"))
    trained, frozen = re.search(
        r"start: neon@1 .*; (\d+) parameters trained, (\d+) frozen; new elements: Ar", text
    ).groups()
    model = initial_model(
        config,
        Statistics(elements=("Ne", "Ar"), atomic_energies={}, force_scale=1, average_neighbors=1),
    )
    assert int(frozen) == sum(p.numel() for p in model.layers.parameters())
    assert int(trained) + int(frozen) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"start": "nobody"}, UnknownModel, "no model 'nobody' in the store; it has: neon"),
        (
            {"model": {**TINY, "num_scalars": 8, "l_max": 2}},
            InvalidConfig,
            r"not that of base: model\.l_max is 2, but 1 there; model\.num_scalars is 8, but 16 there",
        ),
        (
            {"start_keys": {"freeze": ["embeding.*"]}},
            InvalidConfig,
            "'embeding.*' matches no parameter; there are: .*scale",
        ),
        ({"start_keys": {"freeze": ["*"]}}, InvalidConfig, "every parameter is frozen"),
        (
            {"start_keys": {"freeze": ["embedding.centre"]}},
            InvalidConfig,
            r"start\.freeze: embedding\.centre would never learn the new elements Ar",
        ),
        (
            {"data": {"train": "train.xyz", "elements": ["Ne", "Ar", "Kr"]}},
            InvalidConfig,
            r"data\.elements: Kr is neither in base nor in the training frames",
        ),
        (
            {"data": {"train": "neon.xyz", "validation": "train.xyz"}},
            InvalidData,
            "Ar is not among the elements of the training frames and the start model: Ne",
        ),
    ],
)
def test_what_cannot_be_started_is_named(here, tmp_path, keys, error, message):
    with pytest.raises(error, match=message):
        train(here, tmp_path / "run", **keys)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_model_without_weights_is_named(here, tmp_path):
    store = ModelStore(tmp_path)
    with store.publish(CARD):
        pass
    with pytest.raises(
        TrainingError, match=r"pairs@1 has no weights to start from; its backend is 'pair'"
    ):
        load_base(StartConfig(model="pairs"), store)


def test_checkpoints_that_do_not_fit_are_named(here, tmp_path):
    store = ModelStore(here / "store")
    torch.save({"format": 99}, tmp_path / "other.pt")
    with pytest.raises(TrainingError, match="checkpoint of format 99; this version reads format 1"):
        load_base(StartConfig(model=str(tmp_path / "other.pt")), store)
    shutil.copyfile(here / "base" / "checkpoint.pt", tmp_path / "alone.pt")
    with pytest.raises(TrainingError, match=r"statistics\.json is missing"):
        load_base(StartConfig(model=str(tmp_path / "alone.pt")), store)


def test_given_reference_energies_go_with_refit_only():
    references = {"Ne": -3.0, "Ar": -7.0}
    with pytest.raises(
        InvalidConfig, match=r"start\.references keeps those of the start model; set it to refit"
    ):
        tiny_config(start={"model": "base"}, references=references)
    assert (
        tiny_config(
            start={"model": "base", "references": "refit"}, references=references
        ).references
        == references
    )


def test_the_command_line_starts_from_the_store(here, tmp_path, capsys):
    from app.cli.main import main

    content = {
        "data": {"train": "train.xyz"},
        "start": {"model": "neon@1"},
        "epochs": 1,
        "threads": 1,
    }
    (tmp_path / "tune.yaml").write_text(yaml.safe_dump(content))
    options = ["train", str(tmp_path / "tune.yaml"), "--data-root", ".", "--model-store", "store"]
    assert main([*options, "--run", str(tmp_path / "run")]) == 0
    assert (
        yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["model"]["num_scalars"] == 16
    )
    assert main([*options, "--run", str(tmp_path / "run"), "--resume"]) == 0


def test_binding_energies_stay_and_new_elements_get_theirs(world, tmp_path):
    keys = {"epochs": 1, "model": {**TINY, "binding": True}}
    train(world, tmp_path / "base", start=None, data={"train": "neon.xyz"}, **keys)
    train(world, tmp_path / "tuned", start=str(tmp_path / "base"), **keys)
    before, after = (
        RunFolder(tmp_path / name).saved_statistics().binding_energies for name in ("base", "tuned")
    )
    assert before.keys() == {"Ne"}
    assert after.keys() == {"Ne", "Ar"}
    assert after["Ne"] == before["Ne"] != 0
    assert after["Ar"] != 0
