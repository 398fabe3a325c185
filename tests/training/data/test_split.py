"""Frames set aside for validation and test."""

import pytest

from app.errors import InvalidData
from app.training.data.config import Split
from app.training.data.dataset import build_dataset
from app.training.data.split import split
from tests.training.labelled import molecules

FRAMES = build_dataset(molecules(30), 4.5)


def numbers(parts):
    return [[frame.index for frame in part] for part in parts]


@pytest.mark.parametrize(
    ("validation", "test", "sizes"),
    [(5, 3, [22, 5, 3]), (0.2, 0.1, [21, 6, 3]), (0, 4, [26, 0, 4])],
)
def test_counts_and_fractions(validation, test, sizes):
    parts = numbers(split(FRAMES, Split(), validation, test))
    assert [len(part) for part in parts] == sizes
    assert sorted(index for part in parts for index in part) == list(range(30))


def test_the_seed_decides():
    first, again, other = (numbers(split(FRAMES, Split(seed=s), 5, 5)) for s in (1, 1, 2))
    assert first == again != other


def test_the_split_is_the_same_tomorrow():
    assert numbers(split(FRAMES, Split(seed=1), 3, 0))[1] == [6, 19, 27]


def test_frames_of_a_group_stay_together():
    parts = split(FRAMES, Split(by="molecule"), 7, 0.1)
    groups = [{frame.info["molecule"] for frame in part} for part in parts]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 10
    assert [len(part) for part in parts] == [18, 9, 3]


def test_a_frame_without_the_key_is_named():
    with pytest.raises(
        InvalidData, match=r"made\.xyz, frame 0: no 'family' to split by; it has: molecule"
    ):
        split(FRAMES, Split(by="family"), 5, 0)


def test_too_few_frames_are_refused():
    with pytest.raises(
        InvalidData, match="20 frames for validation and 10 for the test of 30 leave none"
    ):
        split(FRAMES, Split(), 20, 10)
