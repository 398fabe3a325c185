"""What a model takes from its training frames: reference energies of the atoms, scale of the forces, neighbours."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from ase.data import chemical_symbols

from app.errors import InvalidConfig
from app.structure import Floats
from app.training.frames import LabelledFrame
from app.training.models import Statistics

logger = logging.getLogger(__name__)


def fit_statistics(
    frames: Sequence[LabelledFrame],
    elements: Sequence[str],
    references: str | Mapping[str, float],
    average_neighbors: float,
) -> Statistics:
    """Statistics of the training frames.

    Args:
        frames: the training frames.
        elements: chemical symbols, in the order of the species index.
        references: `least_squares`, or the reference energy of each element in eV.
        average_neighbors: mean number of neighbours of their atoms.

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
    labelled = [f.forces for f in frames if f.has_forces]
    square = np.mean(np.concatenate(labelled) ** 2) if labelled else 1.0
    return Statistics(
        elements=tuple(elements),
        atomic_energies=energies,
        force_scale=float(np.sqrt(square)) or 1.0,
        average_neighbors=average_neighbors or 1.0,
    )


def least_squares(frames: Sequence[LabelledFrame], elements: Sequence[str]) -> dict[str, float]:
    """eV; the reference energy of each element that best explains the frames' energies by composition alone.

    Where compositions do not tell the elements apart (a single molecule, say), the solution of least norm is
    taken, and the log says so.
    """
    counts = composition(frames, elements)
    energies = np.array([frame.energy for frame in frames])
    solution, _, rank, _ = np.linalg.lstsq(counts, energies)
    if rank < len(elements):
        logger.warning(
            "%d elements, but only %d independent compositions: reference energies are those of least norm, "
            "and energies of other compositions are not to be trusted",
            len(elements),
            rank,
        )
    return {symbol: float(value) for symbol, value in zip(elements, solution, strict=True)}


def composition(frames: Sequence[LabelledFrame], elements: Sequence[str]) -> Floats:
    """(F, S) how many atoms of each element are in each frame."""
    numbers = np.array([chemical_symbols.index(symbol) for symbol in elements])
    return np.array([(f.structure.numbers[:, None] == numbers).sum(axis=0) for f in frames], dtype=np.float64)
