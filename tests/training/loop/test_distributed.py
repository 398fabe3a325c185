"""Runs on two processes that `torchrun` starts: they learn what one process learns, and end
together.
"""

import io
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file

from app.training.data.load import Finder
from app.training.loop.display import Display
from app.training.loop.distributed import ProcessGroup
from app.training.run import train_model
from app.training.runs import checkpoint
from app.training.runs.config_file import dump_config
from app.training.runs.folder import RunFolder
from tests.training.labelled import drop_forces, molecules, tiny_config, write
from tests.waiting import wait_for_steps

TORCHRUN = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "--",
]
KEYS = {"dtype": "float64", "batch_size": 9, "schedule": {"kind": "plateau", "warmup_steps": 3}}


@pytest.fixture
def project(tmp_path):
    """Training data, the last batch of whose epochs is a single frame."""
    write(tmp_path / "train.xyz", molecules(54))
    write(tmp_path / "energies.xyz", molecules(18, seed=1), drop_forces)
    return tmp_path


def config(**keys):
    sources = ["train.xyz", {"path": "energies.xyz", "missing_forces": True, "weight": 0.5}]
    return tiny_config(**{**KEYS, "data": {"train": sources, "split": {"validation": 8}}, **keys})


def start(folder, settings, *options):
    (folder / "config.yaml").write_text(dump_config(settings))
    command = [
        *TORCHRUN,
        "app.cli.main",
        "train",
        folder / "config.yaml",
        "--run",
        folder / "two",
        *options,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def alone(folder, name, settings, resume=False):
    return train_model(
        settings, RunFolder(folder / name), Finder(folder), Display(99, io.StringIO()), resume
    )


def assert_same(folder):
    """The same curve, and the same weights but for the order of sums."""
    first, second = (RunFolder(folder / name).lines() for name in ("one", "two"))
    assert [line["step"] for line in first] == [line["step"] for line in second]
    for a, b in zip(first, second, strict=True):
        assert {k: v for k, v in b.items() if not k.endswith("seconds")} == pytest.approx(
            {k: v for k, v in a.items() if not k.endswith("seconds")}, rel=2e-8
        )
    first, second = (load_file(folder / name / "weights.safetensors") for name in ("one", "two"))
    for key, value in first.items():
        np.testing.assert_allclose(second[key], value, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(project):
    output, _ = (child := start(project, config(edges_at_once=40))).communicate()
    assert child.returncode == 0, output
    assert output.count("step 24, epoch 3") == output.count("written to") == 1
    alone(project, "one", config())
    assert_same(project)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_another_number_of_processes(project):
    settings = config(epochs=15, checkpoint_steps=2)
    child = start(project, settings)
    path = project / "two" / "checkpoint.pt"
    wait_for_steps(path, 6, child)
    child.send_signal(signal.SIGTERM)
    output, _ = child.communicate()
    assert child.returncode != 0
    assert output.count("equipot train: interrupted after step") == 1
    assert 6 <= checkpoint.load(path, "allegro")["progress"]["step"] < 8 * 15
    alone(project, "two", settings, resume=True)
    alone(project, "one", settings)
    assert_same(project)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_all_with_one_message(project):
    child = start(project, config(dtype="float32", optimizer={"lr": 1e30}, clip=None))
    output, _ = child.communicate()
    assert child.returncode != 0
    assert output.count("equipot train: ") == output.count("Not finite by themselves are") == 1


TOGETHER = """
from pathlib import Path
import torch
from app.errors import InvalidData
from app.training.loop.distributed import process_group

with process_group() as group:
    if group.is_first:
        import app.training.run
    assert group.any(group.rank == 1, False) == [True, False]
    assert group.gather(group.rank) == [0, 1]
    assert group.share(lambda: f"from {group.rank}") == "from 0"
    tensors = [torch.full((2, 2), 1.0 + group.rank), torch.tensor(10.0)]
    group.all_reduce(tensors)
    assert tensors[0].tolist() == [[3.0, 3.0], [3.0, 3.0]] and tensors[1].item() == 20.0
    for share in (True, False):
        try:
            if share:
                with group.together():
                    if group.rank == 1:
                        raise InvalidData("no file here")
            else:
                group.share(lambda: (_ for _ in ()).throw(InvalidData("no folder here")))
        except Exception as error:
            print(f"<{group.rank}: {type(error).__name__} {error}>", flush=True)
names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
print(f"<{group.rank}: {sum('gloo' in name for name in names)} threads left>", flush=True)
"""
"""A thread that is alive when the interpreter ends may abort the process."""


def test_what_fails_in_one_process_fails_in_all(tmp_path):
    (tmp_path / "script.py").write_text(TOGETHER)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [*TORCHRUN[:-2], tmp_path / "script.py"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    for message in (
        "<0: TrainingError process 1: no file here>",
        "<1: InvalidData no file here>",
        "<0: InvalidData no folder here>",
        "<1: TrainingError process 0: no folder here>",
        "<0: 0 threads left>",
    ):
        assert message in done.stdout


def test_a_process_alone_needs_nobody():
    group = ProcessGroup()
    assert group.is_first
    assert group.any(True, False) == [True, False]
    assert group.gather(3) == [3]
