"""What each choice is worth: one molecule, a small fixed budget, one thing changed at a time.

    python -m benchmarks.accuracy.ablation recipes/rmd17/ethanol-small.yaml --data-root FOLDER
    --epochs 30

Each variation is a training run of its own in a folder below `--folder`; what is done is not run
again, and what was stopped goes on. With `--epochs`, all have equally many, and the column of
processor time says what these cost; with `--cpu-minutes`, each has as many as fit into this
processor time. Errors are those of the test set, in meV/Å and meV a structure; ratios are taken to
the first line, the unchanged config.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.cli.options import add_data_root
from benchmarks.accuracy.pool import Job, equipot, run_all

BASE = "base"
VARIATIONS: dict[str, tuple[str, ...]] = {
    BASE: (),
    "l_max 1": ("model.l_max=1",),
    "l_max 3": ("model.l_max=3",),
    "1 layer": ("model.num_layers=1",),
    "3 layers": ("model.num_layers=3",),
    "half the features": (
        "model.num_scalars=32",
        "model.num_tensors=8",
        "model.two_body_mlp=[32]",
        "model.latent_mlp=[32]",
    ),
    "twice the features": (
        "model.num_scalars=128",
        "model.num_tensors=32",
        "model.two_body_mlp=[128]",
        "model.latent_mlp=[128]",
    ),
    "twice the tensor channels": ("model.num_tensors=32",),
    "wide and deep MLPs": (
        "model.two_body_mlp=[256,256]",
        "model.latent_mlp=[256,256]",
        "optimizer.lr=0.003",
    ),
    "cutoff 4 Å": ("model.cutoff=4.0",),
    "cutoff 6 Å": ("model.cutoff=6.0",),
    "cutoff 7 Å": ("model.cutoff=7.0",),
    "parity natural": ("model.parity=natural",),
    "parity none": ("model.parity=none",),
    "loss MAE": ("loss.kind=mae", "loss.energy=1.0"),
    "loss MAE of vectors": ("loss.kind=mae", "loss.forces_per=vector", "loss.energy=1.0"),
    "loss Huber": ("loss.kind=huber",),
    "energy per structure": ("loss.energy_per=structure", "loss.energy=0.05"),
    "energy weight 1": ("loss.energy=1.0",),
    "energy weight 100": ("loss.energy=100.0",),
    "forces first, then energy": ("loss.energy=1.0", "loss.changes=[{epoch: HALF, energy: 100.0}]"),
    "Adam, rate 0.005": ("optimizer.name=adam", "optimizer.lr=0.005"),
    "AdamW, rate 0.005": (
        "optimizer.name=adamw",
        "optimizer.lr=0.005",
        "optimizer.weight_decay=0.01",
    ),
    "half the rate": ("optimizer.lr=0.005",),
    "twice the rate": ("optimizer.lr=0.02",),
    "constant rate": ("schedule.kind=constant",),
    "batches of 1": ("batch_size=1",),
    "batches of 10": ("batch_size=10",),
    "no EMA": ("ema=0.0",),
    "EMA 0.999": ("ema=0.999",),
    "float64": ("dtype=float64",),
}
"""Overrides of the base config; `HALF` stands for half of the epochs, and needs --epochs."""


def folder_name(variation: str) -> str:
    """The name of a variation as that of a folder."""
    return "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in variation)


def parse_variations(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Variations as they are typed, `name: key=value key=value`, with quotes as in a shell; the
    base comes first.
    """
    found: dict[str, tuple[str, ...]] = {BASE: ()}
    for text in given:
        name, colon, keys = text.partition(":")
        if not colon:
            raise SystemExit(f"--variation '{text}': write 'name: key=value key=value'")
        found[name.strip()] = tuple(shlex.split(keys))
    return found


def jobs(options: argparse.Namespace, variations: Mapping[str, tuple[str, ...]]) -> list[Job]:
    """The training runs that are not done yet."""
    todo = []
    for name, keys in variations.items():
        run = options.folder / folder_name(name)
        if (run / "metrics.json").is_file():
            continue
        todo.append(Job(name, command(options, run, keys), options.folder / f"{run.name}.log"))
    return todo


def command(options: argparse.Namespace, run: Path, keys: Sequence[str]) -> list[str]:
    """The training of one variation."""
    sets = ["threads=1", "device=cpu", *keys]
    words: list[str | Path] = [options.config, "--run", run]
    words += ["--data-root", options.data_root] if options.data_root else []
    if options.cpu_minutes is not None:
        words += ["--cpu-minutes", str(options.cpu_minutes)]
        made = [sys.executable, "-m", "benchmarks.accuracy.timed", *map(str, words)]
    else:
        sets = [
            key.replace("HALF", f"{options.epochs / 2:g}")
            for key in (f"epochs={options.epochs}", *sets)
        ]
        made = equipot("train", *words, "--resume")
    return [*made, *(word for key in sets for word in ("--set", key))]


def table(folder: Path, variations: Mapping[str, tuple[str, ...]]) -> str:
    """What is done, as Markdown."""
    lines = [
        "| variation | parameters | epochs | CPU, s | forces, meV/Å | ÷ base | energy, meV | ÷ base |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    results = {name: _result(folder / folder_name(name)) for name in variations}
    base = results.get(BASE)
    for name, result in results.items():
        if result is not None:
            forces, energy = (_error(result, base, key) for key in ("forces_mae", "energy_mae"))
            seconds = result.get("cpu_seconds")
            cpu = "–" if seconds is None else f"{seconds:.0f}"
            lines.append(
                f"| {name} | {result['parameters']} | {result['epochs']} | {cpu} | {forces} | {energy} |"
            )
    return "\n".join(lines)


def _result(run: Path) -> dict[str, Any] | None:
    path = run / "metrics.json"
    content: dict[str, Any] | None = (
        json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    )
    return content


def _error(result: Mapping[str, Any], base: Mapping[str, Any] | None, key: str) -> str:
    value = result["test"].get(key)
    if value is None:
        return "– | –"
    ratio = "–" if base is None else f"{value / base['test'][key]:.2f}"
    return f"{value:.2f} | {ratio}"


def main() -> None:
    """Run what is to be run, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, help="the base")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/ablation"), help="of the runs (%(default)s)"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        help="runs at a time, each with one thread (%(default)s)",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="variations to run; all by default"
    )
    parser.add_argument(
        "--variation",
        action="append",
        default=[],
        metavar="'NAME: KEY=VALUE …'",
        help="in place of those built in",
    )
    parser.add_argument(
        "--list", action="store_true", help="print the names of the variations, and stop"
    )
    add_data_root(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--epochs", type=int, default=30, help="of each variation (%(default)s)")
    either.add_argument(
        "--cpu-minutes", type=float, help="of each variation, in place of equal epochs"
    )
    options = parser.parse_args()
    variations = parse_variations(options.variation) if options.variation else VARIATIONS
    if options.list:
        print("\n".join(f"{name}: {' '.join(keys)}" for name, keys in variations.items()))
        return
    failed = run_all(jobs(options, chosen(options, variations)), options.processes)
    print(table(options.folder, variations))
    if failed:
        raise SystemExit(f"failed: {', '.join(f'{job.name} (see {job.log})' for job in failed)}")


def chosen(
    options: argparse.Namespace, variations: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The variations to run."""
    if options.cpu_minutes is not None:
        variations = {
            name: keys for name, keys in variations.items() if "HALF" not in " ".join(keys)
        }
    strange = [name for name in options.only or () if name not in variations]
    if strange:
        raise SystemExit(f"--only {', '.join(strange)}: no such variation; see --list")
    return {
        name: keys
        for name, keys in variations.items()
        if options.only is None or name in options.only
    }


if __name__ == "__main__":
    main()
