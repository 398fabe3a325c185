"""Sizes and distances of training data."""

import numpy as np
import pytest

from app.atoms.structure import Structure
from app.store.card import TrainingRange
from app.training.data.dataset import build_dataset
from app.training.data.frames import LabelledFrame
from app.training.data.ranges import joined, training_range


def frame(numbers: list[int], positions: list[list[float]]) -> LabelledFrame:
    structure = Structure(np.array(numbers), np.array(positions))
    return LabelledFrame(structure, 0.0, np.zeros((len(numbers), 3)), None, "made.xyz", 0)


def test_the_range_of_two_frames_and_a_single_atom() -> None:
    frames = [
        frame([8, 1, 1], [[0, 0, 0], [1.0, 0, 0], [0, 1.2, 0]]),
        frame([8, 1], [[0, 0, 0], [0, 0, 2.5]]),
        frame([8], [[0, 0, 0]]),
    ]
    found = training_range(build_dataset(frames, 4.0))
    assert found.most_atoms == 3
    assert found.closest == {"O-H": 1.0, "H-H": pytest.approx(1.562)}
    assert found.farthest == {"O": 2.5, "H": 2.5}


def test_of_two_data_sets_the_wider_range_counts() -> None:
    one = TrainingRange(most_atoms=3, closest={"O-H": 1.0}, farthest={"O": 2.5})
    other = TrainingRange(most_atoms=2, closest={"O-H": 0.9, "O-O": 1.4}, farthest={"H": 1.0})
    both = joined(one, other)
    assert both == TrainingRange(
        most_atoms=3, closest={"O-H": 0.9, "O-O": 1.4}, farthest={"O": 2.5, "H": 1.0}
    )
    assert joined(other, one) == both
