"""Errors after equal wall time on equal cores: our trainer, and that of nequip-allegro.

    python -m benchmarks.accuracy.against_nequip_allegro recipes/rmd17/aspirin.yaml --data-root
        FOLDER \\ --peer-python PEER/bin/python --minutes 10 30 60

Both have the same frames to train on and to validate, the same hyperparameters of the network and
batches of the same size. Ours is trained by its recipe, once for each time, since its cosine ends
with the run (the pace is measured before, which is not counted). The peer is trained by its own
recipe (`benchmarks.accuracy.peer_config`), once for all times: its plateau schedule knows of no
end, so that what it has reached after 10 minutes of 60 is what a run of 10 minutes gives.

Each run has one thread on a core of its own; two at a time, or with `--one-at-a-time` one. The
times are those of the training with its validation. Test errors come afterwards, from the weights
that were best in validation, by the same code for both. What is done is not run again; a run that
was stopped half-way begins anew.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import yaml

from app.cli.options import add_data_root, data_root
from app.machine import machine
from app.training.data.frames import LabelledFrame
from app.training.data.load import Finder, Frames, load_frames
from app.training.evaluation.errors import Errors, Values, errors
from app.training.evaluation.predictors import run_predictor
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import load_config
from app.training.runs.folder import to_atoms
from app.training.runs.trained import TrainedRun
from benchmarks.accuracy.peer_config import peer_config
from benchmarks.accuracy.pool import ROOT, Job, run_all

OWN, PEER = "equipot", "nequip-allegro"
OPTIONS = ("config", "folder", "peer_python", "data_root")
"""Paths that the processes get."""


@dataclass(frozen=True)
class Setting:
    """What is compared.

    Attributes:
        config: ours.
        frames: of both.
        options: of the command line.
    """

    config: TrainConfig
    frames: Frames
    options: argparse.Namespace

    @property
    def peer(self) -> Path:
        """Where the peer writes."""
        return Path(self.options.folder) / "peer"

    def own(self, minutes: float) -> Path:
        """Where our run of so many minutes writes."""
        return Path(self.options.folder) / f"own-{minutes:g}"

    def cell(self, side: str, minutes: float) -> Path:
        """The result of a side after so many minutes."""
        return Path(self.options.folder) / f"{side}-{minutes:g}.json"


def jobs(setting: Setting) -> list[Job]:
    """The runs that are not done yet, the longest first."""
    options, todo = setting.options, []
    if options.peer_python and not all(
        (setting.peer / f"{m:g}.json").is_file() for m in options.minutes
    ):
        todo.append(prepare_peer(setting))
    for minutes in sorted(options.minutes, reverse=True):
        run = setting.own(minutes)
        if not (run / "metrics.json").is_file():
            shutil.rmtree(run, ignore_errors=True)
            todo.append(
                Job(
                    run.name, own_command(options, run, minutes), options.folder / f"{run.name}.log"
                )
            )
    return todo


def own_command(options: argparse.Namespace, run: Path, minutes: float) -> list[str]:
    """Our training."""
    words = [
        sys.executable,
        "-m",
        "benchmarks.accuracy.timed",
        options.config,
        "--minutes",
        minutes,
        "--run",
        run,
    ]
    words += ["--data-root", options.data_root] if options.data_root else []
    keys = ("threads=1", "device=cpu", *options.overrides)
    return [*map(str, words), *(word for key in keys for word in ("--set", key))]


def prepare_peer(setting: Setting) -> Job:
    """Write the peer's data and its config; returns its training."""
    folder, options = setting.peer, setting.options
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("train", "validation", "test"):
        atoms = [to_atoms(frame) for frame in getattr(setting.frames, name)]
        ase.io.write(folder / f"{name}.xyz", atoms, format="extxyz")
    content = peer_config(
        setting.config, setting.frames.elements(), folder, options.minutes, options.peer_mode
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    command = [
        str(options.peer_python),
        "-m",
        "nequip.scripts.train",
        "-cp",
        str(folder),
        "-cn",
        "config",
    ]
    return Job("peer", [*command, f"hydra.run.dir={folder}"], options.folder / "peer.log")


def evaluate(setting: Setting) -> None:
    """Test errors of all that is trained and not evaluated yet."""
    test = list(setting.frames.test)
    for minutes in setting.options.minutes:
        own, peer = (setting.cell(side, minutes) for side in (OWN, PEER))
        if not own.is_file() and (setting.own(minutes) / "metrics.json").is_file():
            run = TrainedRun(setting.own(minutes))
            found = errors(run_predictor(run, "cpu", 1, 32)(test), test)
            write(own, found, run.metrics())
        reached = setting.peer / f"{minutes:g}.json"
        if not peer.is_file() and reached.is_file():
            found = errors(peer_predictions(setting, minutes, test), test)
            write(peer, found, json.loads(reached.read_text()))


def peer_predictions(setting: Setting, minutes: float, test: Sequence[LabelledFrame]) -> Values:
    """What the peer says about the test frames after so many minutes."""
    folder = setting.peer
    output = folder / f"{minutes:g}.npz"
    checkpoints = [str(path) for path in sorted(folder.glob(f"{minutes:g}-*.ckpt"))]
    command = [
        str(setting.options.peer_python),
        "-m",
        "benchmarks.peers.nequip_allegro_predict",
        *checkpoints,
    ]
    command += ["--data", str(folder / "test.xyz"), "--validation", str(folder / "validation.xyz")]
    command += ["--output", str(output), "--cutoff", str(setting.config.model.cutoff)]
    subprocess.run([*command, "--types", *setting.frames.elements()], cwd=ROOT, check=True)
    with np.load(output) as arrays:
        missing = np.full((len(test), 3, 3), np.nan)
        return Values(arrays["energy"], arrays["forces"], missing)


def write(path: Path, found: Errors, progress: dict[str, Any]) -> None:
    """Write the result of a cell."""
    kept = {key: value for key, value in progress.items() if isinstance(value, int | float | str)}
    content = {"test": found.model_dump(exclude_none=True), **kept}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def table(setting: Setting) -> str:
    """What is done, as Markdown."""
    counted = "parameters | wall, s | CPU, s | steps | epochs"
    lines = [
        f"| minutes | trainer | {counted} | forces, meV/Å | energy, meV | energy, meV/atom |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for minutes in sorted(setting.options.minutes):
        for side in (OWN, PEER):
            path = setting.cell(side, minutes)
            if path.is_file():
                lines.append(
                    f"| {minutes:g} | {_row(side, json.loads(path.read_text(encoding='utf-8')))} |"
                )
    return "\n".join(lines)


def _row(side: str, found: dict[str, Any]) -> str:
    cut = " (schedule cut short)" if found.get("stopped_by") == "max_minutes" else ""
    errors = [
        f"{found['test'][key]:.2f}" for key in ("forces_mae", "energy_mae", "energy_per_atom_mae")
    ]
    counts = [
        f"{found[key]:,.0f}" for key in ("parameters", "seconds", "cpu_seconds", "steps", "epochs")
    ]
    return " | ".join([f"{side}{cut}", *counts, *errors])


def arguments() -> argparse.Namespace:
    """The command line, with absolute paths."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, help="ours; of Allegro, with a test file")
    parser.add_argument(
        "--peer-python",
        type=Path,
        help="interpreter of the peer's environment; without it, ours only",
    )
    parser.add_argument(
        "--peer-mode", choices=["eager", "compile"], default="compile", help="(%(default)s)"
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 30.0, 60.0])
    parser.add_argument(
        "--one-at-a-time", action="store_true", help="rather than two, on a core each"
    )
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="of ours"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/against"), help="of all runs (%(default)s)"
    )
    add_data_root(parser)
    options = parser.parse_args()
    options.data_root = data_root(options)
    for name in OPTIONS:
        if (path := getattr(options, name)) is not None:
            setattr(options, name, path.absolute())
    return options


def main() -> None:
    """Train, evaluate, and print the table."""
    options = arguments()
    config = load_config(options.config, options.overrides)
    find = Finder(options.config.parent, options.data_root)
    setting = Setting(
        config, load_frames(config.data, find, config.model.cutoff, config.dtype), options
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    failed = run_all(jobs(setting), 1 if options.one_at_a_time else 2)
    evaluate(setting)
    print(f"{machine()}, one thread each; peer: {options.peer_mode}\n\n{table(setting)}")
    if failed:
        raise SystemExit(f"failed: {', '.join(f'{job.name} (see {job.log})' for job in failed)}")


if __name__ == "__main__":
    main()
