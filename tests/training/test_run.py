"""Whole runs on small Lennard-Jones data: what is learnt, when it stops, what is written, and how
it goes on.
"""

import errno
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from app.errors import InvalidConfig, InvalidData, TrainingError
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder
from app.training.data.references import fit_statistics
from app.training.loop.display import Display
from app.training.run import train_model
from app.training.runs import checkpoint
from app.training.runs.config_file import dump_config
from app.training.runs.folder import RunFolder
from tests.training.labelled import crystals, drop_forces, molecules, tiny_config, write
from tests.waiting import wait_for_steps

FILES = {
    "config.yaml",
    "statistics.json",
    "checkpoint.pt",
    "weights.safetensors",
    "metrics.csv",
    "metrics.json",
    "heldout.xyz",
    "parity.png",
    "learning_curve.png",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write(folder / "train.xyz", molecules(72))
    write(folder / "test.xyz", molecules(9, seed=1))
    write(folder / "crystals.xyz", crystals(24))
    return folder


def train(root, folder, resume=False, display=None, **keys):
    return train_model(
        tiny_config(**keys),
        RunFolder(folder),
        Finder(root),
        display or Display(99, io.StringIO()),
        resume,
    )


def lines(folder):
    return RunFolder(folder).lines()


def timeless(folder):
    return [
        {key: value for key, value in line.items() if not key.endswith("seconds")}
        for line in lines(folder)
    ]


def same_weights(a, b):
    first, second = load_file(a / "weights.safetensors"), load_file(b / "weights.safetensors")
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


def same_checkpoints(a, b):
    """Whether models, averages and optimiser states are bit-equal."""
    saved = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (a, b))
    states = [
        torch.cat([*_tensors(s["model"]), *_tensors(s["optimizer"]), *_tensors(s["average"])])
        for s in saved
    ]
    return torch.equal(*states)


def _tensors(state):
    values = state.values() if isinstance(state, dict) else state
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value.flatten().double()
        elif isinstance(value, (dict, list)):
            yield from _tensors(value)


def test_a_run_learns_and_writes_its_folder(data, tmp_path):
    keys = {
        "epochs": 40,
        "optimizer": {"lr": 0.01},
        "data": {"train": "train.xyz", "test": "test.xyz"},
    }
    result = train(data, tmp_path / "run", evaluate_steps=50, **keys)
    curve = lines(tmp_path / "run")
    assert curve[-1]["train_total"] < 0.05 * curve[0]["train_total"]
    assert curve[-1]["forces_mae"] < 0.35 * curve[0]["forces_mae"]
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    assert set(result) >= {
        "train",
        "validation",
        "test",
        "parameters",
        "seconds",
        "cpu_seconds",
        "hardware",
        "steps",
    }
    assert result["stopped_by"] == "epochs"
    assert 50 < result["peak_mebibytes"] < 20_000
    assert result["test"]["frames"] == 9
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == result
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["optimizer"]["lr"] == 0.01
    assert json.loads((tmp_path / "run" / "statistics.json").read_text())["elements"] == [
        "Ne",
        "Ar",
    ]


def test_stresses_are_learnt(data, tmp_path):
    keys = {
        "data": {"train": "crystals.xyz"},
        "loss": {"energy": 0, "forces": 0, "stress": 100},
        "epochs": 30,
    }
    result = train(data, tmp_path / "run", optimizer={"lr": 0.01}, **keys)
    curve = lines(tmp_path / "run")
    assert curve[-1]["train_stress"] < 0.2 * curve[0]["train_stress"]
    assert result["validation"]["stress_mae"] > 0


def test_a_stress_loss_without_any_stress_is_refused(data, tmp_path):
    with pytest.raises(
        InvalidData, match=r"loss\.stress is 1\.0, but no training frame has a stress"
    ):
        train(data, tmp_path / "run", loss={"stress": 1})


def test_weights_change_within_a_run_and_not_in_its_validation(data, tmp_path):
    keys = {"epochs": 2, "optimizer": {"lr": 1e-12}, "ema": 0}
    train(
        data,
        tmp_path / "run",
        loss={"energy": 1, "changes": [{"epoch": 1, "energy": 4, "forces": 0}]},
        **keys,
    )
    first, second = lines(tmp_path / "run")
    assert first["train_total"] == pytest.approx(
        first["train_energy"] + first["train_forces"], rel=1e-5
    )
    assert second["train_total"] == pytest.approx(4 * second["train_energy"], rel=1e-5)
    assert first["validation_loss"] == pytest.approx(second["validation_loss"], rel=1e-5)
    assert first["validation_loss"] == pytest.approx(
        4e-6 * first["energy_per_atom_rmse"] ** 2, rel=1e-4
    )


def test_energies_alone_are_learnt(data, tmp_path):
    write(tmp_path / "energies.xyz", molecules(40), drop_forces)
    keys = {
        "data": {"train": {"path": "energies.xyz", "missing_forces": True}},
        "optimizer": {"lr": 0.01},
    }
    with pytest.raises(
        InvalidData, match=r"loss\.forces is 1\.0, but no training frame has forces"
    ):
        train(tmp_path, tmp_path / "run", **keys)
    result = train(tmp_path, tmp_path / "run", loss={"forces": 0}, epochs=10, **keys)
    curve = lines(tmp_path / "run")
    assert curve[-1]["train_energy"] < 0.5 * curve[0]["train_energy"]
    assert "forces_mae" not in result["validation"]
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES


def test_sources_with_and_without_forces_are_mixed(data, tmp_path):
    write(tmp_path / "energies.xyz", molecules(40, seed=2), drop_forces)
    (tmp_path / "train.xyz").symlink_to(data / "train.xyz")
    sources = ["train.xyz", {"path": "energies.xyz", "missing_forces": True, "weight": 0.5}]
    result = train(tmp_path, tmp_path / "run", data={"train": sources})
    assert result["training_frames"] == 101
    assert result["train"]["forces_mae"] > 0


def test_the_seed_decides_everything(data, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(data, tmp_path / name, seed=seed)
    assert timeless(tmp_path / "a") == timeless(tmp_path / "b") != timeless(tmp_path / "c")
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert same_checkpoints(tmp_path / "a", tmp_path / "b")


def test_double_precision(data, tmp_path):
    train(data, tmp_path / "run", dtype="float64", epochs=1)
    assert load_file(tmp_path / "run" / "weights.safetensors")["scale"].dtype == torch.float64


def test_patience_ends_a_run(data, tmp_path):
    result = train(data, tmp_path / "run", patience=2, epochs=50, optimizer={"lr": 1e-12}, ema=0)
    curve = lines(tmp_path / "run")
    best = int(np.argmin([line["validation_loss"] for line in curve]))
    assert result["stopped_by"] == "patience"
    assert len(curve) == best + 3 < 50


def test_the_best_weights_are_kept(data, tmp_path):
    # until the end, to a rate that spoils what was learnt
    growing = {"kind": "constant", "warmup_steps": 96}
    result = train(
        data, tmp_path / "run", epochs=12, optimizer={"lr": 1.0}, ema=0, schedule=growing
    )
    curve = lines(tmp_path / "run")
    best = min(curve, key=lambda line: line["validation_loss"])
    assert result["best_step"] == best["step"] < curve[-1]["step"]
    assert result["validation"]["forces_mae"] == pytest.approx(best["forces_mae"], rel=1e-4)


def test_the_time_limit_ends_a_run_with_all_files_and_can_be_lifted(data, tmp_path):
    class Clock(Display):
        """Says that time is over after ten steps."""

        def stepped(self, progress, losses, steps_per_epoch):
            if progress.step == 10:
                progress.seconds += 3600

    result = train(data, tmp_path / "run", display=Clock(3), max_minutes=30)
    assert result["stopped_by"] == "max_minutes"
    assert result["steps"] == 10
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    result = train(data, tmp_path / "run", resume=True, max_minutes=90)
    assert (result["stopped_by"], result["steps"]) == ("epochs", 24)
    train(data, tmp_path / "whole")
    assert same_checkpoints(tmp_path / "run", tmp_path / "whole")
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")


DROPPING = {
    "architecture": "equiformer",
    "cutoff": 4.5,
    "l_max": 1,
    "channels": [8, 4],
    "num_blocks": 1,
    "num_heads": 2,
    "head_channels": [4, 2],
    "feed_forward_channels": [8, 4],
    "readout_channels": 8,
    "num_basis": 4,
    "radial_hidden": [4],
    "dropout": 0.2,
}


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"optimizer": {"name": "muon", "weight_decay": 0.01}, "edges_at_once": 30},
        {"optimizer": {"name": "adamw"}, "precision": "bfloat16"},
        {"model": DROPPING, "ema": 0},
    ],
    ids=["defaults", "muon, in pieces", "bfloat16", "dropout"],
)
def test_an_interrupt_saves_and_says_how_to_go_on(data, tmp_path, keys):
    class Impatient(Display):
        def stepped(self, progress, losses, steps_per_epoch):
            if progress.step == 5:
                self.interrupt(signal.SIGINT, None)

    with pytest.raises(TrainingError, match="interrupted after step 5; go on with --resume"):
        train(data, tmp_path / "run", display=Impatient(3), **keys)
    train(data, tmp_path / "run", resume=True, **keys)
    train(data, tmp_path / "whole", **keys)
    assert same_checkpoints(tmp_path / "run", tmp_path / "whole")
    assert same_weights(tmp_path / "run", tmp_path / "whole")


RESUMED = {
    "epochs": 20,
    "checkpoint_steps": 3,
    "evaluate_steps": 40,
    "schedule": {"kind": "plateau", "patience": 2},
    "max_atoms": 25,
}


def test_a_killed_run_ends_as_if_it_had_not_been(data, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(dump_config(tiny_config(**RESUMED)))
    command = [
        sys.executable,
        "-m",
        "app.cli.main",
        "train",
        config,
        "--run",
        tmp_path / "run",
        "--data-root",
        data,
    ]
    child = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    wait_for_steps(tmp_path / "run" / "checkpoint.pt", 50, child)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    result = train(data, tmp_path / "run", resume=True, **RESUMED)
    expected = train(data, tmp_path / "whole", **RESUMED)
    assert same_checkpoints(tmp_path / "run", tmp_path / "whole")
    assert same_weights(tmp_path / "run", tmp_path / "whole")
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")
    assert result["validation"] == expected["validation"]


def test_a_kill_between_an_evaluation_and_its_checkpoint_costs_nothing(data, tmp_path, monkeypatch):
    def killed(path, state):
        if state["progress"]["step"] == 16:
            raise SystemExit(9)
        save(path, state)

    save = checkpoint.save
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", killed)
        with pytest.raises(SystemExit):
            train(data, tmp_path / "run", checkpoint_steps=3)
    assert [line["step"] for line in lines(tmp_path / "run")] == [8, 16]
    train(data, tmp_path / "run", resume=True, checkpoint_steps=3)
    train(data, tmp_path / "whole", checkpoint_steps=3)
    assert same_checkpoints(tmp_path / "run", tmp_path / "whole")
    assert same_weights(tmp_path / "run", tmp_path / "whole")
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")


def test_a_run_is_not_overwritten(data, tmp_path):
    train(data, tmp_path / "run", epochs=1)
    with pytest.raises(
        TrainingError, match=r"run holds a run; go on with --resume, or choose another folder"
    ):
        train(data, tmp_path / "run", epochs=1)


def test_a_changed_config_is_refused_unless_it_only_ends_later(data, tmp_path):
    train(data, tmp_path / "run", epochs=1, schedule={"kind": "constant"})
    with pytest.raises(
        InvalidConfig,
        match=r"loss\.kind was 'mse', is 'mae'; optimizer\.lr was 0\.002, is 0\.1\. Only",
    ):
        train(
            data,
            tmp_path / "run",
            True,
            optimizer={"lr": 0.1},
            loss={"kind": "mae"},
            schedule={"kind": "constant"},
        )
    result = train(data, tmp_path / "run", True, epochs=2, schedule={"kind": "constant"})
    assert result["epochs"] == 2


def test_a_schedule_over_the_epochs_fixes_their_number(data, tmp_path):
    train(data, tmp_path / "run", epochs=1)
    with pytest.raises(
        InvalidConfig, match=r"another config: epochs was 1, is 2\. Only max_minutes, "
    ):
        train(data, tmp_path / "run", True, epochs=2)


def test_a_run_from_before_a_key_was_there_goes_on(data, tmp_path):
    train(data, tmp_path / "run", epochs=1, schedule={"kind": "constant"})
    path = tmp_path / "run" / "checkpoint.pt"
    state = checkpoint.load(path, "allegro")
    del state["config"]["loss"]["changes"], state["config"]["data"]["train"][0]["weight"]
    checkpoint.save(path, state)
    assert (
        train(data, tmp_path / "run", True, epochs=2, schedule={"kind": "constant"})["epochs"] == 2
    )


def test_a_full_disk_is_named_and_costs_what_was_done_since_the_checkpoint(
    data, tmp_path, monkeypatch
):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Filling(Display):
        """Fills the disk after ten steps."""

        def stepped(self, progress, losses, steps_per_epoch):
            if progress.step == 10:
                patch.setattr(os, "fsync", full)

    with (
        monkeypatch.context() as patch,
        pytest.raises(TrainingError, match=r"cannot be written: No space left"),
    ):
        train(data, tmp_path / "run", display=Filling(3), checkpoint_steps=3)
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt", "allegro")["progress"]["step"] == 9
    train(data, tmp_path / "run", resume=True, checkpoint_steps=3)
    train(data, tmp_path / "whole", checkpoint_steps=3)
    assert same_checkpoints(tmp_path / "run", tmp_path / "whole")
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")


def test_resume_without_a_checkpoint_starts(data, tmp_path):
    assert train(data, tmp_path / "run", resume=True, epochs=1)["steps"] == 8


def test_a_loss_that_is_not_finite_names_step_and_frames(data, tmp_path):
    with pytest.raises(
        TrainingError, match=r"step \d+: the loss is (nan|inf); .*train\.xyz, frame \d+"
    ):
        train(data, tmp_path / "run", optimizer={"lr": 1e30}, clip=None)


def test_a_single_frame_that_blows_up_the_loss_is_named(tmp_path, monkeypatch):
    def spoil(atoms):
        if atoms.info["molecule"] == "kind 4":
            atoms.calc.results["forces"] = np.full((len(atoms), 3), 1e30)

    statistics = fit_statistics(build_dataset(molecules(12), 4.5), ("Ne", "Ar"), "least_squares")
    monkeypatch.setattr("app.training.loop.problem.fit_statistics", lambda *_: statistics)
    write(tmp_path / "train.xyz", molecules(13), spoil)
    write(tmp_path / "validation.xyz", molecules(4))
    keys = {"data": {"train": "train.xyz", "validation": "validation.xyz"}, "batch_size": 13}
    message = r"step 1: the loss is inf; .* are 1 of its 13 frames: train\.xyz, frame 12\. Look"
    with pytest.raises(TrainingError, match=message):
        train(tmp_path, tmp_path / "run", **keys)


def test_tensorboard_shows_the_metrics(data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(data, tmp_path / "run", tensorboard=True)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    shown = [(event.step, event.value) for event in events.Scalars("validation_loss")]
    curve = lines(tmp_path / "run")
    assert [step for step, _ in shown] == [line["step"] for line in curve]
    assert [value for _, value in shown] == pytest.approx(
        [line["validation_loss"] for line in curve], rel=1e-5
    )


def test_no_cuda_is_said_before_data_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidConfig, match="device = 'cuda': there is no CUDA device"):
        train(tmp_path / "nowhere", tmp_path / "run", device="cuda")
