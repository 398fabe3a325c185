"""Conformers, ranked: those that are the same to within the threshold are counted once."""

import numpy as np
from numpy.typing import NDArray

from app.integrations.mcp.rows import Row, row_of
from equipot import Result

EV_IN_KJ_PER_MOL = 96.48533212
KT = 8.617333262e-5 * 298.15
"""eV."""
SAME_ENERGY = 2e-3
"""eV."""
SAME_DISTANCE = 0.1
"""Å, of all pairs of atoms."""


def ranked(results: list[Result]) -> list[Result]:
    """Those that differ, the lowest first."""
    distinct: list[tuple[float, NDArray[np.float64], Result]] = []
    for result in sorted(results, key=lambda result: result.energy or 0.0):
        energy, shape = result.energy or 0.0, _shape(result)
        if not any(
            energy - other < SAME_ENERGY and np.abs(shape - known).max(initial=0.0) < SAME_DISTANCE
            for other, known, _ in distinct
        ):
            distinct.append((energy, shape, result))
    return [result for _, _, result in distinct]


def rows(results: list[Result]) -> list[Row]:
    """A row for each, with its energy above the lowest one and its weight among them."""
    above = np.array([result.energy or 0.0 for result in results])
    above -= above.min(initial=np.inf) if len(above) else 0.0
    weights = np.exp(-above / KT)
    weights /= weights.sum() or 1.0
    return [
        row_of(index, result)
        | Row(
            relative_energy_kJ_per_mol=round(float(above[index] * EV_IN_KJ_PER_MOL), 3),
            boltzmann_weight_298_K=round(float(weights[index]), 4),
        )
        for index, result in enumerate(results)
    ]


def _shape(result: Result) -> NDArray[np.float64]:
    """Distances of all pairs, in order: the same for a copy that is turned, mirrored or renumbered."""
    positions = np.asarray((result.structure or {})["positions"])
    first, second = np.triu_indices(len(positions), 1)
    return np.sort(np.linalg.norm(positions[first] - positions[second], axis=1))
