"""Blocks: the atoms of a box, parted into blocks of like weight, and found by where they are.

A block is a share of a larger one, cut across its longest side, so that all are compact and have
about the same weight in a crystal, a slab or a cluster alike. Everything here is a pure function of
coordinates.
"""

import numpy as np

from app.atoms.ragged import ranges, starts_of
from app.atoms.structure import Booleans, Floats, Integers


def divided(fractions: Floats, heights: Floats, weights: Floats, count: int) -> list[Integers]:
    """Blocks of about equal weight.

    Args:
        fractions: (N, 3) fractional coordinates.
        heights: (3,), Å, of the cell that they are fractions of.
        weights: (N,), > 0.
        count: of blocks; fewer are made of fewer atoms.

    Returns:
        The atoms of each block; each atom is in one.
    """
    blocks = []
    left = [(np.arange(len(fractions)), min(count, len(fractions)))]
    while left:
        block, parts = left.pop()
        if parts == 1:
            blocks.append(block)
            continue
        few = parts // 2
        order = np.argsort(fractions[block, longest_side(fractions[block], heights)], kind="stable")
        total = np.cumsum(weights[block[order]])
        cut = int(np.searchsorted(total, total[-1] * few / parts, "right"))
        cut = min(max(cut, few), len(block) - (parts - few))
        left += [(block[order[cut:]], parts - few), (block[order[:cut]], few)]
    return blocks


def halved(fractions: Floats, heights: Floats) -> tuple[Integers, Integers]:
    """Two halves of N >= 2 atoms, as indices, cut at the median of the longest side; see `divided`."""
    along = fractions[:, longest_side(fractions, heights)]
    order = np.argpartition(along, len(along) // 2)
    return order[: len(along) // 2], order[len(along) // 2 :]


def longest_side(fractions: Floats, heights: Floats) -> int:
    """The axis along which atoms reach furthest, in Å."""
    return int(np.argmax(np.ptp(fractions, axis=0) * heights))


def edge_weights(fractions: Floats, heights: Floats, pbc: Booleans, cutoff: float) -> Floats:
    """(N,) what the evaluation of each atom takes: 1, and the edges that it is expected to have.

    These are estimated from the atoms in the bins around its own, without a search.

    Args:
        fractions: (N, 3) fractional coordinates, in [0, 1) where periodic.
        heights: (3,), Å, of the cell that they are fractions of.
        pbc: (3,) whether it repeats.
        cutoff: Å.
    """
    low = np.where(pbc, 0.0, fractions.min(axis=0))
    span = np.where(pbc, 1.0, np.maximum(np.ptp(fractions, axis=0), cutoff / heights))
    bins = _bins(span * heights / cutoff, len(fractions))
    own = np.minimum(((fractions - low) / span * bins).astype(np.int64), bins - 1)
    around = np.zeros(bins)
    np.add.at(around, tuple(own.T), 1.0)
    for axis in range(3):
        padding = [(0, 0)] * 3
        padding[axis] = (1, 1)
        padded = np.pad(around, padding, mode="wrap" if pbc[axis] else "constant")
        sums = np.cumsum(padded, axis=axis)
        width = bins[axis]
        around = sums.take(range(2, width + 2), axis) - np.insert(
            sums.take(range(width - 1), axis), 0, 0.0, axis
        )
    sphere = 4.0 / 3.0 * np.pi * cutoff**3
    share = sphere / (27.0 * np.prod(span * heights / bins))
    weights: Floats = 1.0 + share * np.maximum(around[tuple(own.T)] - 1.0, 0.0)
    return weights


class Bins:
    """Atoms sorted by bins of space, so that those within a box are found among the bins it meets.

    Args:
        fractions: (N, 3) fractional coordinates.
        widths: (3,), in fractions; a bin is at least so wide.
    """

    def __init__(self, fractions: Floats, widths: Floats) -> None:
        self._fractions = fractions
        self._low = fractions.min(axis=0)
        span = np.ptp(fractions, axis=0)
        self._bins = _bins(span / widths, len(fractions))
        self._step = np.where(span > 0, span, 1.0) / self._bins
        number = np.ravel_multi_index(self._own(fractions).T, self._bins)
        self._order = np.argsort(number, kind="stable")
        self._starts = starts_of(np.bincount(number, minlength=int(np.prod(self._bins))))

    def within(self, low: Floats, high: Floats) -> Integers:
        """The atoms of which no coordinate is below (3,) `low` or above (3,) `high`."""
        first, last = self._own(np.stack([low, high]))
        rows = np.stack(
            np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(first[:2], last[:2], strict=True))),
            axis=-1,
        ).reshape(-1, 2)
        begin = (rows[:, 0] * self._bins[1] + rows[:, 1]) * self._bins[2] + first[2]
        starts, ends = self._starts[begin], self._starts[begin + last[2] - first[2] + 1]
        near = self._order[ranges(starts, ends - starts)]
        points = self._fractions[near]
        inside = ((points >= low) & (points <= high)).all(axis=1)
        found: Integers = near[inside]
        return found

    def _own(self, points: Floats) -> Integers:
        """(n, 3) bins of points; the outermost ones reach to infinity."""
        steps = np.clip((points - self._low) / self._step, 0, self._bins - 1)
        own: Integers = steps.astype(np.int64)
        return own


def _bins(across: Floats, most: int) -> Integers:
    """(3,) how many bins there are along each axis: no more than fit, nor than there are atoms.

    Args:
        across: (3,) how many fit.
        most: in all.
    """
    bins = np.maximum(1, np.floor(across))
    while bins.prod() > max(most, 1):
        bins[bins.argmax()] = max(1, bins.max() // 2)
    whole: Integers = bins.astype(np.int64)
    return whole
