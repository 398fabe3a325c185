"""Train for a given time: as many epochs as fit, so that the schedule ends with it.

    python -m benchmarks.accuracy.timed recipes/rmd17/aspirin.yaml --minutes 10 --run runs/ten --set
    threads=1

The pace is measured first, in steps that are thrown away and not counted. A budget of wall time
(`--minutes`) also ends the run where the pace has become slower; one of processor time
(`--cpu-minutes`) decides the number of epochs alone.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from app.cli.main import main as equipot
from app.cli.options import add_data_root, data_root
from app.training.data.load import Finder
from app.training.loop.display import Quiet
from app.training.loop.hardware import set_up
from app.training.loop.problem import load_problem
from app.training.loop.progress import Progress
from app.training.loop.trainer import Trainer
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import load_config
from app.training.runs.folder import RunFolder

WARM = 3
"""Steps before the measurement."""
NEVER = {
    "evaluate_steps": 10**9,
    "checkpoint_minutes": 1e9,
    "epochs": 10**6,
    "max_minutes": None,
    "patience": None,
}
"""Keys for a run that does nothing but steps."""
MARGIN = 0.97
"""Of the budget is planned, since the pace is not known exactly."""


class Pace(Quiet):
    """Measures steps, and ends the training after a while.

    Args:
        clock: of wall time or of processor time.
        seconds: how long to measure.

    Attributes:
        steps: measured.
        taken: seconds of the clock that they took.
        steps_per_epoch: of the data set.
    """

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds
        self.began_at = self.taken = 0.0
        self.steps, self.steps_per_epoch = -WARM, 1

    def stepped(self, progress: Progress, losses: list[float], steps_per_epoch: int) -> None:
        """Count a step, from the end of the warm-up on."""
        self.steps, self.steps_per_epoch = self.steps + 1, steps_per_epoch
        if self.steps == 0:
            self.began_at = self.clock()
        self.taken = self.clock() - self.began_at
        self.interrupted = self.steps > 0 and self.taken >= self.seconds


def epoch_seconds(
    config: TrainConfig, find: Finder, seconds: float, clock: Callable[[], float]
) -> float:
    """What an epoch takes, with its evaluations.

    Args:
        config: of the run.
        find: from the config's paths to files.
        seconds: how long to measure.
        clock: of wall time or of processor time.
    """
    device = set_up(config)
    problem = load_problem(config, find)
    with tempfile.TemporaryDirectory() as folder:
        rare = config.model_copy(update=NEVER)
        trainer, pace = (
            Trainer(rare, problem, RunFolder(Path(folder)), device),
            Pace(clock, seconds),
        )
        trainer.fit(pace)
        began = clock()
        trainer.evaluate()
        evaluation = clock() - began
    evaluations = pace.steps_per_epoch / (config.evaluate_steps or pace.steps_per_epoch)
    return pace.steps_per_epoch * pace.taken / pace.steps + evaluations * evaluation


def overrides(options: argparse.Namespace) -> list[str]:
    """The config's overrides for the budget: measured, or those that the run in the folder began
    with.
    """
    wall = options.minutes is not None
    minutes = options.minutes if wall else options.cpu_minutes
    stop = [f"max_minutes={minutes}"] if wall else []
    begun = RunFolder(options.run).config
    if begun.is_file():
        return [*stop, f"epochs={load_config(begun).epochs}"]
    config = load_config(options.config, [*options.overrides, *stop])
    measured = min(60.0, 6.0 * minutes)
    clock = time.monotonic if wall else time.process_time
    epoch = epoch_seconds(
        config, Finder(options.config.parent, data_root(options)), measured, clock
    )
    epochs = max(1, int(MARGIN * 60 * minutes / epoch))
    print(f"{epoch:.2f} s an epoch: {epochs} epochs in {minutes} minutes", flush=True)
    return [*stop, f"epochs={epochs}"]


def command(options: argparse.Namespace, found: list[str]) -> list[str]:
    """The training, as it is typed."""
    words = ["train", str(options.config), "--run", str(options.run), "--resume"]
    words += ["--data-root", str(options.data_root)] if options.data_root else []
    return [*words, *(word for key in (*options.overrides, *found) for word in ("--set", key))]


def main() -> None:
    """Measure, then train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument(
        "--run", type=Path, required=True, help="where to write; a run that is there goes on"
    )
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    add_data_root(parser)
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--minutes", type=float, help="of wall time")
    either.add_argument("--cpu-minutes", type=float, help="of processor time")
    options = parser.parse_args()
    raise SystemExit(equipot(command(options, overrides(options))))


if __name__ == "__main__":
    main()
