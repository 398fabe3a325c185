"""Frames set aside for sets that have no files of their own."""

import numpy as np

from app.atoms.structure import Integers
from app.errors import InvalidData
from app.training.data.config import Share, Split
from app.training.data.dataset import Dataset


def split(
    frames: Dataset, how: Split, validation: Share, test: Share
) -> tuple[Dataset, Dataset, Dataset]:
    """Frames that stay, frames for validation, frames for the test; the same for the same seed.

    With `how.by`, frames that share the value of that info key stay together, and groups are added
    to a set until it has as many frames as asked for.

    Raises:
        InvalidData: a frame without that key, or fewer frames than the two sets need.
    """
    if not validation and not test:
        return frames, frames.take([]), frames.take([])
    wanted = [_count(share, len(frames)) for share in (validation, test)]
    if sum(wanted) >= len(frames):
        raise InvalidData(
            f"split: {wanted[0]} frames for validation and {wanted[1]} for the test of {len(frames)} leave none"
        )
    group = np.arange(len(frames)) if how.by is None else _groups(frames, how.by)
    sizes = np.bincount(group)
    order = np.arange(len(sizes))
    np.random.default_rng(how.seed).shuffle(order)
    order = order[::-1]
    part_of_group = np.zeros(len(sizes), dtype=np.int64)
    taken = 0
    for part, count in enumerate(wanted, start=1):
        several = _enough(sizes[order[taken:]], count)
        part_of_group[order[taken : taken + several]] = part
        taken += several
    part_of_frame = part_of_group[group]
    kept, for_validation, for_test = (
        frames.take(np.flatnonzero(part_of_frame == part)) for part in range(3)
    )
    return kept, for_validation, for_test


def _enough(sizes: Integers, count: int) -> int:
    """How many groups, from the first on, have so many frames together; all, if they have fewer."""
    return min(int(np.searchsorted(np.cumsum(sizes), count)) + 1, len(sizes)) if count else 0


def _count(share: Share, total: int) -> int:
    if isinstance(share, float):
        return max(1, round(share * total)) if share else 0
    return share


def _groups(frames: Dataset, by: str) -> Integers:
    """(F,) the group of each frame, numbered as they appear."""
    numbers: dict[str, int] = {}
    groups = np.empty(len(frames), dtype=np.int64)
    for frame, row in enumerate(frames.rows):
        info = frames.arrays.info_of(row)
        if by not in info:
            origin = frames[frame].origin
            raise InvalidData(
                f"{origin}: no '{by}' to split by; it has: {', '.join(info) or 'nothing'}"
            )
        groups[frame] = numbers.setdefault(str(info[by]), len(numbers))
    return groups
