"""What a model takes from its training frames: reference energies of the atoms, scale of the
forces, neighbours.
"""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from ase.data import chemical_symbols

from app.atoms.ragged import rows_of
from app.atoms.structure import Floats, Integers
from app.errors import InvalidConfig, InvalidData
from app.training.data.dataset import Dataset
from app.training.models import Statistics

logger = logging.getLogger(__name__)


def fit_statistics(
    frames: Dataset, elements: Sequence[str], references: str | Mapping[str, float]
) -> Statistics:
    """Statistics of the training frames.

    Args:
        frames: the training frames.
        elements: chemical symbols, in the order of the species index.
        references: `least_squares`, `isolated` (energies of the single neutral atoms among the
            frames), or the reference energy of each element in eV.

    Raises:
        InvalidConfig: given reference energies, or single atoms, miss an element.
    """
    energies = element_energies(frames, elements, references)
    return Statistics(
        elements=tuple(elements),
        atomic_energies=energies,
        lone_ions=lone_ions(frames),
        charge_energies=charge_energies(frames, energies),
        force_scale=(force_square(frames) or 1.0) ** 0.5,
        average_neighbors=frames.average_neighbors or 1.0,
    )


def element_energies(
    frames: Dataset,
    elements: Sequence[str],
    references: str | Mapping[str, float],
    fixed: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    """eV; the reference energy of each element.

    Args:
        frames: the training frames.
        elements: chemical symbols, in the order of the species index.
        references: as for `fit_statistics`.
        fixed: what a fit leaves as it is.

    Raises:
        InvalidConfig: given reference energies, or single atoms, miss an element.
    """
    if references == "least_squares":
        return least_squares(frames, elements, fixed)
    if references == "isolated":
        references = {**isolated_atoms(frames), **fixed}
    assert not isinstance(references, str)
    missing = [symbol for symbol in elements if symbol not in references]
    if missing:
        raise InvalidConfig(
            f"references: no energy for {', '.join(missing)}; the data holds {', '.join(elements)}"
        )
    return {symbol: float(references[symbol]) for symbol in elements}


def isolated_atoms(frames: Dataset) -> dict[str, float]:
    """eV; energies of the single neutral atoms among the frames, by element."""
    return {
        symbol: energy for (symbol, charge), energy in _single_atoms(frames).items() if not charge
    }


def lone_ions(frames: Dataset) -> dict[str, dict[int, float]]:
    """eV; energies of the single charged atoms among the frames, by element and charge."""
    ions: dict[str, dict[int, float]] = {}
    for (symbol, charge), energy in sorted(_single_atoms(frames).items()):
        if charge:
            ions.setdefault(symbol, {})[charge] = energy
    return ions


def charge_energies(frames: Dataset, atomic_energies: Mapping[str, float]) -> dict[int, float]:
    """eV; by how much the energies of frames of each total charge lie above those of neutral ones.

    A chemical potential and a hardness, in effect, which no sum over atoms could learn but by their
    number: least squares beside a mean energy of each element's atoms. Single atoms are left out.

    Args:
        frames: the training frames.
        atomic_energies: eV, the reference energy of each element.
    """
    elements = list(atomic_energies)
    known = np.array(list(atomic_energies.values()))
    charges = [q for q in np.unique(frames.charge[frames.n_atoms > 1]).tolist() if q]
    if not charges:
        return {}
    width = len(elements) + len(charges)
    normal, right = np.zeros((width, width)), np.zeros(width)
    for part in frames.parts():
        used = np.isfinite(part.energy) & (part.n_atoms > 1)
        counts = composition(part, elements)[used]
        rows = np.column_stack([counts, part.charge[used, None] == np.array(charges)])
        normal += rows.T @ rows
        right += rows.T @ (part.energy[used] - counts @ known)
    solution = np.linalg.lstsq(normal, right, rcond=None)[0][len(elements) :]
    return dict(zip(charges, map(float, solution), strict=True))


def _single_atoms(frames: Dataset) -> dict[tuple[str, int], float]:
    """eV; energy by element and charge."""
    rows = _alone(frames)
    symbols = [chemical_symbols[z] for z in frames.arrays.numbers[frames.atom_start[rows]]]
    keys = zip(symbols, frames.charge[rows].tolist(), strict=True)
    return dict(zip(keys, frames.energy[rows].tolist(), strict=True))


def _alone(frames: Dataset) -> Integers:
    """Numbers of the frames of one atom without neighbours that have an energy."""
    single = (frames.n_atoms == 1) & (frames.n_edges == 0) & np.isfinite(frames.energy)
    rows: Integers = np.flatnonzero(single)
    return rows


def least_squares(
    frames: Dataset, elements: Sequence[str], fixed: Mapping[str, float] = MappingProxyType({})
) -> dict[str, float]:
    """eV; the reference energy of each element that best explains the frames' energies by
    composition alone.

    Elements with a `fixed` energy keep it.

    Where compositions do not tell the elements apart (a single molecule, say), the solution of
    least norm is taken, and the log says so. The equations are reduced by QR, some frames at a
    time, to as many as there are elements (Golub & Van Loan, Matrix Computations, 5.3).
    """
    free = [symbol for symbol in elements if symbol not in fixed]
    reduced = np.zeros((0, len(free) + 1))
    for part in frames.parts():
        rest = part.energy - composition(part, list(fixed)) @ np.array(list(fixed.values()))
        reduced = np.linalg.qr(
            np.concatenate([reduced, np.column_stack([composition(part, free), rest])])
        ).R
    cutoff = np.finfo(np.float64).eps * max(len(frames), len(free))
    solution, _, rank, _ = np.linalg.lstsq(reduced[:, :-1], reduced[:, -1], rcond=cutoff)
    if rank < len(free):
        logger.warning(
            "%d elements, but only %d independent compositions: reference energies are those of least norm, "
            "and energies of other compositions are not to be trusted",
            len(free),
            rank,
        )
    fitted = dict(zip(free, map(float, solution), strict=True))
    return {symbol: fixed[symbol] if symbol in fixed else fitted[symbol] for symbol in elements}


def reference_energies(frames: Dataset, statistics: Statistics) -> Floats:
    """(F,), eV; the reference energies of each frame's atoms and of its charge, or that of a lone
    ion.

    Raises:
        InvalidData: a lone ion that the training frames do not have.
    """
    energies = np.array([statistics.atomic_energies[symbol] for symbol in statistics.elements])
    sums = [composition(part, statistics.elements) @ energies for part in frames.parts()]
    references = np.concatenate([np.zeros(0), *sums])
    for charge, energy in statistics.charge_energies.items():
        references[frames.charge == charge] += energy
    for row in _alone(frames):
        if charge := int(frames.charge[row]):
            symbol = chemical_symbols[frames.arrays.numbers[frames.atom_start[row]]]
            known = statistics.lone_ions.get(symbol, {})
            if charge not in known:
                raise InvalidData(
                    f"{frames[int(row)].origin}: a single atom {symbol} of charge {charge}, which "
                    "is not among the training frames; leave this frame out"
                )
            references[row] = known[charge]
    return references


def composition(frames: Dataset, elements: Sequence[str]) -> Floats:
    """(F, S) how many atoms of each element are in each frame."""
    species = np.full(len(chemical_symbols), len(elements))
    for column, symbol in enumerate(elements):
        species[chemical_symbols.index(symbol)] = column
    width = len(elements) + 1  # the last column counts atoms of other elements
    frame = rows_of(frames.n_atoms)
    cells = frame * width + species[frames.arrays.numbers[frames.atoms()]]
    counts = np.bincount(cells, minlength=len(frames) * width).reshape(len(frames), width)
    return counts[:, :-1].astype(np.float64)


def force_square(frames: Dataset) -> float | None:
    """(eV/Å)²; mean square of the labelled force components, None where there are none."""
    total, count = 0.0, 0
    for part in frames.parts():
        forces = frames.arrays.forces[part.take(np.flatnonzero(part.has_forces)).atoms()]
        total, count = total + float((forces**2).sum()), count + forces.size
    return total / count if count else None
