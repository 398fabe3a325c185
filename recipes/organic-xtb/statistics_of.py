"""Counts of a split: molecules, frames, kinds, sources, elements, charges, sizes, forces."""

from collections import Counter
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

SIZES = (1, 2, 6, 11, 21, 31, 41, 61, 101)
BINS = np.concatenate([np.linspace(0, 20, 2001), [50.0, 100.0]])  # eV/Å, of force components


class Frame(Protocol):
    """What is counted."""

    @property
    def info(self) -> dict[str, Any]: ...
    @property
    def species(self) -> list[str]: ...
    @property
    def forces(self) -> np.ndarray[Any, np.dtype[np.float64]]: ...


class Statistics:
    """Grows frame by frame, without keeping them."""

    def __init__(self) -> None:
        self.frames = 0
        self._molecules: set[str] = set()
        self._scaffolds: set[str] = set()
        self._counts: dict[str, Counter[Any]] = {
            name: Counter() for name in ("kinds", "sources", "charges", "elements", "sizes")
        }
        self._squares = self._atoms = 0.0
        self._largest = 0.0
        self._histogram = np.zeros(len(BINS) - 1, dtype=np.int64)

    def add(self, frame: Frame) -> None:
        """Count a frame."""
        info, size = frame.info, len(frame.species)
        self.frames += 1
        self._atoms += size
        self._molecules.add(info["molecule"])
        if "scaffold" in info:
            self._scaffolds.add(info["scaffold"])
        self._counts["kinds"][info["kind"]] += 1
        self._counts["sources"][info["source"]] += 1
        self._counts["charges"][str(int(info["charge"]))] += 1
        self._counts["elements"].update(set(frame.species))
        self._counts["sizes"][_range(size)] += 1
        self._squares += float((frame.forces**2).sum())
        self._largest = max(self._largest, float(np.abs(frame.forces).max()))
        self._histogram += np.histogram(np.abs(frame.forces), BINS)[0]

    def summary(self) -> dict[str, Any]:
        """What stands in `splits.json`; forces in eV/Å, elements by the frames that have them."""
        share = np.cumsum(self._histogram) / max(1, self._histogram.sum())
        return {
            "molecules and complexes": len(self._molecules),
            "scaffolds of two rings or more": len(self._scaffolds),
            "frames": self.frames,
            "atoms": int(self._atoms),
            "atoms per frame": round(self._atoms / self.frames, 1),
            "force rms": round(float(np.sqrt(self._squares / (3 * self._atoms))), 3),
            "force 99%": round(float(BINS[1:][np.searchsorted(share, 0.99)]), 2),
            "force max": round(self._largest, 1),
            **{
                name: dict(sorted(counts.items(), key=_order))
                for name, counts in self._counts.items()
            },
        }


def _order(entry: tuple[Any, int]) -> tuple[int, str]:
    return -entry[1], str(entry[0])


def _range(size: int) -> str:
    for low, high in pairwise(SIZES):
        if size < high:
            return str(low) if high - low == 1 else f"{low}-{high - 1}"
    return f"{SIZES[-1]}-"
