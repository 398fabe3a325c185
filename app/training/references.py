"""What a model takes from its training frames: reference energies of the atoms, scale of the forces, neighbours."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

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
    energies = reference_energies(frames, elements, references)
    labelled = [f.forces for f in frames if f.has_forces]
    square = np.mean(np.concatenate(labelled) ** 2) if labelled else 1.0
    return Statistics(
        elements=tuple(elements),
        atomic_energies=energies,
        force_scale=float(np.sqrt(square)) or 1.0,
        average_neighbors=average_neighbors or 1.0,
    )


def reference_energies(
    frames: Sequence[LabelledFrame],
    elements: Sequence[str],
    references: str | Mapping[str, float],
    fixed: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    """eV; the reference energy of each element.

    Args:
        frames: the training frames.
        elements: chemical symbols, in the order of the species index.
        references: `least_squares`, or the reference energy of each element.
        fixed: what a fit leaves as it is.

    Raises:
        InvalidConfig: given reference energies miss an element.
    """
    if isinstance(references, str):
        return least_squares(frames, elements, fixed)
    missing = [symbol for symbol in elements if symbol not in references]
    if missing:
        raise InvalidConfig(f"references: no energy for {', '.join(missing)}; the data holds {', '.join(elements)}")
    return {symbol: float(references[symbol]) for symbol in elements}


def least_squares(
    frames: Sequence[LabelledFrame], elements: Sequence[str], fixed: Mapping[str, float] = MappingProxyType({})
) -> dict[str, float]:
    """eV; the reference energy of each element that best explains the frames' energies by composition alone.

    Elements with a `fixed` energy keep it.

    Where compositions do not tell the elements apart (a single molecule, say), the solution of least norm is
    taken, and the log says so.
    """
    energies = np.array([frame.energy for frame in frames]) - composition(frames, list(fixed)) @ list(fixed.values())
    free = [symbol for symbol in elements if symbol not in fixed]
    solution, _, rank, _ = np.linalg.lstsq(composition(frames, free), energies)
    if rank < len(free):
        logger.warning(
            "%d elements, but only %d independent compositions: reference energies are those of least norm, "
            "and energies of other compositions are not to be trusted",
            len(free),
            rank,
        )
    found = dict(zip(free, map(float, solution), strict=True))
    return {symbol: fixed[symbol] if symbol in fixed else found[symbol] for symbol in elements}


def composition(frames: Sequence[LabelledFrame], elements: Sequence[str]) -> Floats:
    """(F, S) how many atoms of each element are in each frame."""
    numbers = np.array([chemical_symbols.index(symbol) for symbol in elements], dtype=np.int64)
    return np.array([(f.structure.numbers[:, None] == numbers).sum(axis=0) for f in frames], dtype=np.float64)
