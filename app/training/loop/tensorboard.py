"""The metrics of a run for TensorBoard, beside `metrics.csv`."""

import math
from collections.abc import Mapping
from pathlib import Path

from app.errors import InvalidConfig


class Board:
    """Writes each evaluation's line as scalars.

    Args:
        folder: where TensorBoard's files go.
        step: of the checkpoint that a run goes on from; what is later in the files is hidden.

    Raises:
        InvalidConfig: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InvalidConfig(
                "tensorboard = true: it is not installed; pip install tensorboard"
            ) from error
        self.writer = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, line: Mapping[str, float]) -> None:
        """Add one evaluation."""
        for name, value in line.items():
            if name != "step" and math.isfinite(value):
                self.writer.add_scalar(name, value, int(line["step"]))
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.writer.close()
