"""Spill: rows sorted into bins by way of files, where memory does not hold them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from app.atoms.structure import Integers

MOST_BINS = 512
"""Files that are open at a time."""


class Spill:
    """Rows in bins, each a file, in the order in which they were added.

    Args:
        folder: for the files.
        name: of these files.
        bins: how many, at most `MOST_BINS`.
        dtype: of a row.

    Attributes:
        counts: (bins,) rows in each.
    """

    def __init__(self, folder: Path, name: str, bins: int, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._files = [(folder / f"{name}-{index}").open("w+b") for index in range(bins)]
        self.counts = np.zeros(bins, dtype=np.int64)

    def __enter__(self) -> "Spill":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def add(self, bins: Integers, rows: NDArray[Any]) -> None:
        """Add (n,) rows, each to its (n,) bin."""
        order = np.argsort(bins, kind="stable")
        counts = np.bincount(bins, minlength=len(self.counts))
        ends = np.cumsum(counts)
        for index in np.flatnonzero(counts).tolist():
            end = int(ends[index])
            self._files[index].write(rows[order[end - counts[index] : end]].tobytes())
        self.counts += counts

    def read(self, index: int) -> NDArray[Any]:
        """The rows of a bin."""
        file = self._files[index]
        file.seek(0)
        rows = np.fromfile(file, self._dtype)
        return rows


@contextmanager
def scratch(near: Path) -> Iterator[Path]:
    """A folder for files that are gone at the end of the block, beside a path.

    Args:
        near: of what is written in the end; there is room for that.
    """
    near.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=f".{near.name}.", dir=near.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
