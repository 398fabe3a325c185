"""The mean binding energies of training frames."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch

from app.training.data.batches import BatchSize, Collator, batches
from app.training.data.dataset import Dataset
from app.training.models import Statistics
from app.training.models.binding import Binding

AT_ONCE = BatchSize(structures=512, edges=200_000)


def fit_binding(
    frames: Dataset,
    statistics: Statistics,
    cutoff: float,
    fixed: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    """eV; the binding energy of each element that best explains the frames' energies an atom.

    What is left is the network's to learn. Where the frames do not tell the elements apart, the
    solution of least norm is taken.

    Args:
        frames: the training frames.
        statistics: elements and reference energies.
        cutoff: Å.
        fixed: what the fit leaves as it is.
    """
    elements, collator = statistics.elements, Collator(frames, statistics)
    binding = Binding(elements, cutoff, dict.fromkeys(elements, 0.0))
    known = np.array([fixed.get(symbol, 0.0) for symbol in elements])
    free = np.array([symbol not in fixed for symbol in elements])
    normal, right = np.zeros((len(elements), len(elements))), np.zeros(len(elements))
    labelled = np.flatnonzero(np.isfinite(frames.energy))
    for indices in batches(frames, labelled, AT_ONCE):
        batch = collator(indices)
        shares = torch.zeros(len(indices), len(elements), dtype=torch.float64)
        shares.index_put_(
            (batch.structure, batch.inputs.species),
            binding.bound(batch.inputs.local()).double(),
            accumulate=True,
        )
        each = shares.numpy() / frames.n_atoms[indices, None]
        rest = collator.energy[indices] / frames.n_atoms[indices] - each @ known
        normal, right = normal + each.T @ each, right + each.T @ rest
    fitted = known.copy()
    fitted[free] = np.linalg.lstsq(normal[np.ix_(free, free)], right[free], rcond=None)[0]
    return dict(zip(elements, map(float, fitted), strict=True))
