"""Which of the explored frames are worth a label: uncertain ones, unlike each other."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

OF_A_MOLECULE = 6  # frames at most
UNLIKE = 0.25  # Å, between the sorted distances of two frames of a molecule, at the least


def select(
    frames: Iterable[dict[str, Any]], wanted: int, least: float = 0.0
) -> list[dict[str, Any]]:
    """The most uncertain frames in descending order, without near duplicates.

    Args:
        frames: of any molecules, as `exploration.explore` returns them.
        wanted: how many at most.
        least: eV/Å; frames that are more certain are worth no label.
    """
    chosen: list[dict[str, Any]] = []
    kept: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for frame in sorted(frames, key=_order):
        of_molecule = kept[frame["info"]["molecule"]]
        if len(chosen) >= wanted or frame["uncertainty"] < least:
            break
        if len(of_molecule) >= OF_A_MOLECULE:
            continue
        distances = sorted_distances(frame)
        if all(np.abs(distances - other).max(initial=0.0) > UNLIKE for other in of_molecule):
            of_molecule.append(distances)
            chosen.append(frame)
    return chosen


def sorted_distances(frame: dict[str, Any]) -> NDArray[np.float64]:
    """(N(N-1)/2,) distances in Å, sorted within each pair of elements.

    They do not change when a frame is turned, mirrored or equal atoms change places.
    """
    positions, numbers = np.array(frame["positions"]), np.array(frame["numbers"])
    first, second = np.triu_indices(len(numbers), 1)
    distances = np.linalg.norm(positions[first] - positions[second], axis=1)
    pairs = np.sort(np.stack([numbers[first], numbers[second]]), axis=0)
    return np.asarray(distances[np.lexsort((distances, pairs[1], pairs[0]))])


def _order(frame: dict[str, Any]) -> tuple[float, str]:
    return -frame["uncertainty"], frame["info"]["molecule"]
