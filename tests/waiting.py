"""Waiting for a training in another process, which tells of its progress by its checkpoints alone."""

import subprocess
import time
from pathlib import Path
from typing import Any

from app.training.runs import checkpoint


def wait_for_steps(path: Path, steps: int, child: subprocess.Popen[Any]) -> None:
    """Return once a checkpoint of Allegro has so many steps; fail if the process ends before."""
    while not path.exists() or checkpoint.load(path, "allegro")["progress"]["step"] < steps:
        assert child.poll() is None, f"the run ended before step {steps}: {child.communicate()[0]}"
        time.sleep(0.02)
