"""The final evaluation: errors on all sets of a run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from app.training.data.dataset import Dataset
from app.training.data.load import Frames
from app.training.evaluation.errors import Errors, Values, errors

TRAIN_SAMPLE = 1000
"""Training frames that the final evaluation looks at."""


def final_sets(frames: Frames) -> dict[str, Dataset]:
    """What the final evaluation looks at: some of the training frames, and the other sets that
    there are.
    """
    sample = np.random.default_rng(0).permutation(len(frames.train))[:TRAIN_SAMPLE]
    sets = {
        "train": frames.train.take(np.sort(sample)),
        "validation": frames.validation,
        "test": frames.test,
    }
    return {name: part for name, part in sets.items() if part}


def evaluate_sets(
    frames: Frames, predict: Callable[[Dataset], Values], folder: Path, picture: Path
) -> dict[str, Any]:
    """Errors on all sets, as `metrics.json` has them; the last set is drawn.

    Args:
        frames: of the run.
        predict: what the model says about some frames, in their order.
        folder: of the run, named in the picture.
        picture: a PNG file of predictions against labels.
    """
    from app.training.evaluation.plots import parity

    by_set: dict[str, Errors] = {}
    for name, part in final_sets(frames).items():
        values, labelled = predict(part), list(part)
        by_set[name] = errors(values, labelled)
    parity(picture, f"{folder.name}, {name}", labelled, values)
    return errors_by_set(by_set)


def errors_by_set(by_set: Mapping[str, Errors]) -> dict[str, Any]:
    """Errors of some sets, without those that are not known."""
    return {name: e.model_dump(exclude_none=True) for name, e in by_set.items()}
