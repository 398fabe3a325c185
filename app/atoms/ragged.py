"""Ragged arrays: rows of different lengths, kept one after the other in a flat array."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.atoms.structure import Integers

Lengths = NDArray[Any] | Sequence[int]


def starts_of(lengths: Lengths) -> Integers:
    """(R + 1,) where each of R rows starts, and where the last one ends."""
    starts = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def rows_of(lengths: Lengths) -> Integers:
    """(Σ lengths,) the row that each element belongs to."""
    return np.repeat(np.arange(len(lengths)), lengths)


def parts(values: NDArray[Any], firsts: Integers) -> list[NDArray[Any]]:
    """Each of R rows of an array (Σ lengths, ...), as views; `np.split` takes several times as long.

    Args:
        values: of all rows.
        firsts: (R,) where each of them starts.
    """
    return [values[start:end] for start, end in pairwise([*firsts.tolist(), len(values)])]


def ranges(starts: Integers, lengths: Integers) -> Integers:
    """(Σ lengths,) start, start + 1, … of each row, one row after the other."""
    ends = np.cumsum(lengths)
    flat: Integers = np.repeat(starts - ends + lengths, lengths) + np.arange(int(lengths.sum()))
    return flat
