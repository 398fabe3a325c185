"""Validation errors of a small model after the same number of epochs, by optimiser and learning
rate.

    python benchmarks/optimizers.py --data rmd17_aspirin_train_01.npz --units kcal/mol

`soap` needs `pytorch_optimizer`, `schedulefree` the package of that name; what is not installed is
left out. Errors do not depend on what else the machine does; the time of a step is CPU time of this
process.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.training.data.load import Finder
from app.training.loop.optimizers import AnyOptimizer, make_optimizer
from app.training.loop.problem import Problem, load_problem
from app.training.loop.progress import Progress
from app.training.loop.trainer import Trainer
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import override, parse_config
from app.training.runs.folder import RunFolder

Make = Callable[[nn.Module, TrainConfig], AnyOptimizer]
RATES = (0.001, 0.003, 0.01)
WEIGHT_DECAY = 0.01


class Quiet:
    """A watch that shows nothing and keeps the last line of metrics."""

    interrupted = False

    def __init__(self) -> None:
        self.best: dict[str, float] = {"validation_loss": float("inf")}

    def stepped(self, progress: Progress, losses: list[float], steps_per_epoch: int) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def evaluated(self, line: dict[str, float]) -> None:
        if line["validation_loss"] < self.best["validation_loss"]:
            self.best = line


class ScheduleFreeAverage:
    """The average that a schedule-free optimiser keeps itself, in place of the trainer's."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.values: list[torch.Tensor] = []
        optimizer.train()

    def update(self, step: int) -> None:
        pass

    @contextmanager
    def applied(self) -> Iterator[None]:
        self.optimizer.eval()
        yield
        self.optimizer.train()


def soap(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    from pytorch_optimizer import SOAP

    return SOAP(model.parameters(), lr=config.optimizer.lr, weight_decay=WEIGHT_DECAY)


def schedule_free(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    from schedulefree import AdamWScheduleFree

    return AdamWScheduleFree(model.parameters(), lr=config.optimizer.lr, weight_decay=WEIGHT_DECAY)


OPTIMIZERS: dict[str, tuple[Make, str]] = {
    "adam": (make_optimizer, "torch"),
    "adamw": (make_optimizer, "torch"),
    "muon": (make_optimizer, "torch"),
    "soap": (soap, "pytorch_optimizer"),
    "schedulefree": (schedule_free, "schedulefree"),
}
"""How each is made, and the package that it needs; the first three are Equipot's own."""


def config_of(options: argparse.Namespace, name: str, lr: float) -> TrainConfig:
    """The run's config; a schedule-free optimiser needs neither schedule nor average."""
    averaged, ours = name != "schedulefree", OPTIMIZERS[name][0] is make_optimizer
    source: dict[str, Any] = {"path": str(options.data.absolute()), "index": options.index}
    if options.units:
        source["units"] = {"energy": options.units}
    content = {
        "data": {"train": source, "split": {"validation": options.validation}},
        "model": {
            "architecture": "allegro",
            "cutoff": options.cutoff,
            "l_max": 2,
            "num_scalars": 32,
            "num_tensors": 8,
            "two_body_mlp": [32],
            "latent_mlp": [32],
        },
        "loss": {"kind": "mse", "forces_per": "component"},
        "optimizer": {
            "name": name if ours else "adam",
            "lr": lr,
            "weight_decay": 0 if name == "adam" else WEIGHT_DECAY,
        },
        "schedule": {"kind": "cosine" if averaged else "constant", "warmup_steps": 50},
        "ema": 0.99 if averaged else 0,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
        "seed": options.seed,
        "threads": 1,
        "device": "cpu",
    }
    override(content, options.overrides)
    return parse_config(content, "benchmark")


def train(problem: Problem, config: TrainConfig, name: str) -> tuple[dict[str, float], float, int]:
    """The best line of metrics, CPU time of the training in seconds, and its steps."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, problem, RunFolder(Path(folder)), torch.device("cpu"))
        trainer.optimizer = OPTIMIZERS[name][0](trainer.model, config)
        if name == "schedulefree":
            trainer.average = ScheduleFreeAverage(trainer.optimizer)  # type: ignore[assignment]
        watch, start = Quiet(), time.process_time()
        trainer.fit(watch)
        return watch.best, time.process_time() - start, trainer.progress.step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled frames")
    parser.add_argument("--units", help="of energies in an npz, such as kcal/mol")
    parser.add_argument("--index", default=":250", help="which frames")
    parser.add_argument("--validation", type=int, default=50, help="of these frames")
    parser.add_argument("--cutoff", type=float, default=5.0, help="Å")
    parser.add_argument("--batch-size", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the config",
    )
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    problem = load_problem(config_of(options, "adam", 0.001), Finder(Path()))
    print(
        "| optimiser | rate | forces MAE, meV/Å | energy MAE, meV/atom | CPU time of a step, ms |"
    )
    print("|---|---|---|---|---|")
    for name in options.optimizers:
        for lr in options.rates if find_spec(OPTIMIZERS[name][1]) else ():
            line, seconds, steps = train(problem, config_of(options, name, lr), name)
            mae = (
                f"{line['forces_mae']:.1f} | {line['energy_per_atom_mae']:.2f}"
                if "forces_mae" in line
                else "– | –"
            )
            print(f"| {name} | {lr:g} | {mae} | {1e3 * seconds / steps:.0f} |", flush=True)


if __name__ == "__main__":
    main()
