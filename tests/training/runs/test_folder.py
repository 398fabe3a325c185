"""The files of a run's folder."""

import pytest

from app.errors import TrainingError
from app.training.runs.folder import RunFolder


def test_metrics_that_cannot_be_written_are_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.curve.mkdir()
    with pytest.raises(TrainingError, match=r"metrics\.csv: cannot be written: Is a directory"):
        folder.add_line({"step": 1})
