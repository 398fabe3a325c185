"""What a model takes from its training frames: reference energies of the atoms, scale of the forces, neighbours."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from ase.data import chemical_symbols

from app.errors import InvalidConfig
from app.structure import Floats
from app.training.dataset import Dataset
from app.training.models import Statistics

logger = logging.getLogger(__name__)


def fit_statistics(frames: Dataset, elements: Sequence[str], references: str | Mapping[str, float]) -> Statistics:
    """Statistics of the training frames.

    Args:
        frames: the training frames.
        elements: chemical symbols, in the order of the species index.
        references: `least_squares`, or the reference energy of each element in eV.

    Raises:
        InvalidConfig: given reference energies miss an element.
    """
    if isinstance(references, str):
        energies = least_squares(frames, elements)
    else:
        missing = [symbol for symbol in elements if symbol not in references]
        if missing:
            raise InvalidConfig(f"references: no energy for {', '.join(missing)}; the data holds {', '.join(elements)}")
        energies = {symbol: float(references[symbol]) for symbol in elements}
    return Statistics(
        elements=tuple(elements),
        atomic_energies=energies,
        force_scale=(force_square(frames) or 1.0) ** 0.5,
        average_neighbors=frames.average_neighbors or 1.0,
    )


def least_squares(frames: Dataset, elements: Sequence[str]) -> dict[str, float]:
    """eV; the reference energy of each element that best explains the frames' energies by composition alone.

    Where compositions do not tell the elements apart (a single molecule, say), the solution of least norm is
    taken, and the log says so. The equations are reduced by QR, some frames at a time, to as many as there are
    elements (Golub & Van Loan, Matrix Computations, 5.3).
    """
    reduced = np.zeros((0, len(elements) + 1))
    for part in frames.parts():
        equations = np.column_stack([composition(part, elements), part.energy])
        reduced = np.linalg.qr(np.concatenate([reduced, equations])).R
    cutoff = np.finfo(np.float64).eps * max(len(frames), len(elements))
    solution, _, rank, _ = np.linalg.lstsq(reduced[:, :-1], reduced[:, -1], rcond=cutoff)
    if rank < len(elements):
        logger.warning(
            "%d elements, but only %d independent compositions: reference energies are those of least norm, "
            "and energies of other compositions are not to be trusted",
            len(elements),
            rank,
        )
    return {symbol: float(value) for symbol, value in zip(elements, solution, strict=True)}


def reference_energies(frames: Dataset, statistics: Statistics) -> Floats:
    """(F,), eV; the sum of the reference energies of each frame's atoms."""
    energies = np.array([statistics.atomic_energies[symbol] for symbol in statistics.elements])
    sums = [composition(part, statistics.elements) @ energies for part in frames.parts()]
    return np.concatenate([np.zeros(0), *sums])


def composition(frames: Dataset, elements: Sequence[str]) -> Floats:
    """(F, S) how many atoms of each element are in each frame."""
    species = np.full(len(chemical_symbols), len(elements))
    species[[chemical_symbols.index(symbol) for symbol in elements]] = np.arange(len(elements))
    width = len(elements) + 1  # the last column counts atoms of other elements
    frame = np.repeat(np.arange(len(frames)), frames.n_atoms)
    places = frame * width + species[frames.arrays.numbers[frames.atoms()]]
    counts = np.bincount(places, minlength=len(frames) * width).reshape(len(frames), width)
    return counts[:, :-1].astype(np.float64)


def force_square(frames: Dataset) -> float | None:
    """(eV/Å)²; mean square of the labelled force components, None where there are none."""
    total, count = 0.0, 0
    for part in frames.parts():
        forces = frames.arrays.forces[part.take(np.flatnonzero(part.has_forces)).atoms()]
        total, count = total + float((forces**2).sum()), count + forces.size
    return total / count if count else None
