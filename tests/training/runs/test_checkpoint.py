"""Files that are there whole or not at all, and checkpoints that are refused with a reason."""

import errno
import os

import pytest
import torch

from app.errors import TrainingError
from app.training.data.load import Finder
from app.training.loop.display import Quiet
from app.training.run import train_model
from app.training.runs import checkpoint
from app.training.runs.folder import RunFolder
from tests.training.labelled import molecules, tiny_config, write


def test_a_checkpoint_comes_back(tmp_path):
    path = tmp_path / "checkpoint.pt"
    state = {"architecture": "allegro", "deep": [{"a": torch.arange(3), "b": 1.5}], "none": None}
    checkpoint.save(path, state)
    found = checkpoint.load(path, "allegro")
    assert torch.equal(found["deep"][0]["a"], torch.arange(3))
    assert found["deep"][0]["b"] == 1.5
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"nothing\.pt: there is no checkpoint to resume from"):
        checkpoint.load(tmp_path / "nothing.pt", "allegro")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "bad.pt"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"bad\.pt: not a checkpoint"):
        checkpoint.load(path, "allegro")


def test_a_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / "bad.pt"
    checkpoint.save(path, {"architecture": "allegro", "a": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(TrainingError, match=r"bad\.pt: not a checkpoint"):
        checkpoint.load(path, "allegro")


class Other:
    pass


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path = tmp_path / "bad.pt"
    torch.save({"format": 1, "architecture": "allegro", "other": Other()}, path)
    with pytest.raises(TrainingError, match="not a checkpoint"):
        checkpoint.load(path, "allegro")


@pytest.mark.parametrize(
    "content", [{"format": 99, "architecture": "allegro"}, {"weights": 1}, [1, 2]]
)
def test_another_format_is_named(tmp_path, content):
    path = tmp_path / "old.pt"
    torch.save(content, path)
    with pytest.raises(
        TrainingError, match=r"checkpoint of format (99|None); this version reads format 1"
    ):
        checkpoint.load(path, "allegro")


def test_another_architecture_is_named(tmp_path):
    path = tmp_path / "other.pt"
    checkpoint.save(path, {"architecture": "equiformer"})
    with pytest.raises(TrainingError, match="checkpoint of architecture equiformer, not allegro"):
        checkpoint.load(path, "allegro")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    checkpoint.write_atomically(path, lambda file: file.write(b"old"))

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="file: cannot be written: No space left on device"):
        checkpoint.write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


FORMAT_1 = {
    "format": None,
    "architecture": None,
    "config": None,
    "model": None,
    "optimizer": {"state", "param_groups"},
    "average": None,
    "rate": {"level", "bad", "best"},
    "memory": {"edges_at_once", "lowered"},
    "progress": {
        "step",
        "epoch",
        "batch",
        "seconds",
        "cpu_seconds",
        "lines",
        "sums",
        "best_loss",
        "best_step",
        "since_best",
        "best",
    },
}
"""What a checkpoint of format 1 holds; whoever changes it raises the number, or reads both."""


def test_a_checkpoint_has_the_layout_of_its_format(tmp_path):
    write(tmp_path / "train.xyz", molecules(12))
    config = tiny_config(epochs=1, data={"train": "train.xyz", "split": {"validation": 4}})
    train_model(config, RunFolder(tmp_path / "run"), Finder(tmp_path), Quiet())
    state = checkpoint.load(tmp_path / "run" / "checkpoint.pt", "allegro")
    assert checkpoint.FORMAT == 1
    assert state.keys() == FORMAT_1.keys()
    for key, inner in FORMAT_1.items():
        assert inner is None or set(state[key]) == inner, key
