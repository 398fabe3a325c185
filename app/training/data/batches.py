"""Batches: some frames of a data set as tensors, and how an epoch is cut into them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from app.atoms.ragged import ranges, rows_of, starts_of
from app.atoms.structure import Integers
from app.training.data.dataset import Dataset
from app.training.data.references import reference_energies
from app.training.models import ModelInputs, Statistics

UNLIMITED = np.iinfo(np.int64).max


class Targets(NamedTuple):
    """What a model should say about B structures with N atoms.

    Attributes:
        energy: (B,), eV, without the reference energies of the atoms.
        forces: (N, 3), eV/Å; zeros where there is no label.
        stress: (B, 3, 3), eV/Å³; zeros where there is none.
        has_forces: (N,) whether the atom's force is labelled.
        has_stress: (B,) whether there is one.
        n_atoms: (B,) atoms of each structure.
        weight: (B,) how many times the errors of each structure count.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    has_forces: Tensor
    has_stress: Tensor
    n_atoms: Tensor
    weight: Tensor

    @property
    def atom_weight(self) -> Tensor:
        """(N,) the weight of each atom's structure."""
        counts = self.n_atoms.round().long()
        return self.weight.repeat_interleave(counts, output_size=len(self.forces))


class Batch(NamedTuple):
    """Some structures as tensors, with their targets.

    Attributes:
        inputs: the graph of all N atoms.
        structure: (N,) index of the structure of each atom.
        volume: (B,), Å³; 1 where the structure is not bulk.
        targets: what a model should say about them.
    """

    inputs: ModelInputs
    structure: Tensor
    volume: Tensor
    targets: Targets

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        inputs = self.inputs.to(device)
        targets = Targets(*(tensor.to(device) for tensor in self.targets))
        return Batch(inputs, self.structure.to(device), self.volume.to(device), targets)


class Collator:
    """Makes batches of a dataset's frames.

    Args:
        dataset: the frames.
        statistics: elements, and reference energies to subtract.

    Attributes:
        dataset: as given.
        elements: S, how many there are.
    """

    def __init__(self, dataset: Dataset, statistics: Statistics) -> None:
        self.dataset = dataset
        numbers = [chemical_symbols.index(symbol) for symbol in statistics.elements]
        table = np.zeros(len(chemical_symbols), dtype=np.int64)
        table[numbers] = np.arange(len(numbers))
        self.species_of_number, self.elements = table, len(numbers)
        self.references = reference_energies(dataset, statistics)
        self.energy = dataset.energy - self.references
        self.volume, self.weight = dataset.volume, dataset.weight

    def __call__(self, indices: Integers) -> Batch:
        """The frames of these (B,) numbers as one batch."""
        data = self.dataset
        n_atoms = data.n_atoms[indices]
        atoms = ranges(data.atom_start[indices], n_atoms)
        volume = np.nan_to_num(self.volume[indices], nan=1.0).astype(data.dtype)
        species = self.species_of_number[data.arrays.numbers[atoms]]
        return Batch(
            inputs=_inputs(data, indices, atoms, torch.from_numpy(species)),
            structure=torch.from_numpy(rows_of(n_atoms)),
            volume=torch.from_numpy(volume),
            targets=self.targets(indices, atoms),
        )

    def targets(self, indices: Integers, atoms: Integers) -> Targets:
        """What a model should say about some frames.

        Args:
            indices: (B,) numbers of the frames.
            atoms: (N,) where their atoms stand in the arrays.
        """
        data = self.dataset
        forces, stress = data.arrays.forces[atoms], data.arrays.stress[data.rows[indices]]

        def tensor(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(values.astype(data.dtype))

        return Targets(
            energy=tensor(self.energy[indices]),
            forces=tensor(np.nan_to_num(forces)),
            stress=tensor(np.nan_to_num(stress)),
            has_forces=torch.from_numpy(~np.isnan(forces).any(axis=1)),
            has_stress=torch.from_numpy(~np.isnan(stress).any(axis=(1, 2))),
            n_atoms=tensor(data.n_atoms[indices]),
            weight=tensor(self.weight[indices]),
        )

    def all_targets(self) -> Targets:
        """What a model should say about all frames."""
        return self.targets(np.arange(len(self.dataset)), self.dataset.atoms())


def _inputs(data: Dataset, indices: Integers, atoms: Integers, species: Tensor) -> ModelInputs:
    """The frames' edges in K slots an atom; slot arithmetic as in `app.backends.layout`."""
    arrays, n_atoms, n_edges = data.arrays, data.n_atoms[indices], data.n_edges[indices]
    edges = ranges(data.edge_start[indices], n_edges)
    degree = arrays.degree[atoms]
    n, k = len(atoms), max(int(degree.max()), 1)
    slots = np.arange(len(edges)) + np.repeat(np.arange(n) * k - starts_of(degree)[:-1], degree)

    mask = np.zeros(n * k, dtype=bool)
    vectors = np.zeros((n * k, 3), dtype=data.dtype)
    neighbors = np.repeat(np.arange(n), k)
    reverse = np.arange(n * k)
    mask[slots] = True
    vectors[slots] = arrays.edge_vectors[edges]
    neighbors[slots] = arrays.neighbors[edges] + np.repeat(starts_of(n_atoms)[:-1], n_edges)
    reverse[slots] = slots[arrays.reverse[edges] + np.repeat(starts_of(n_edges)[:-1], n_edges)]
    return ModelInputs(
        species,
        torch.from_numpy(vectors.reshape(n, k, 3)),
        torch.from_numpy(neighbors.reshape(n, k)),
        torch.from_numpy(mask.reshape(n, k)),
        torch.from_numpy(reverse.reshape(n, k)),
        torch.from_numpy(np.repeat(data.charge[indices], n_atoms).astype(data.dtype)),
    )


@dataclass(frozen=True)
class BatchSize:
    """The most that a batch may hold; a frame that is larger than a limit on its own goes alone."""

    structures: int
    atoms: int | None = None
    edges: int | None = None


def batches(dataset: Dataset, order: Integers, size: BatchSize) -> Iterator[Integers]:
    """Cut (F,) numbers of frames, in this order, into (B,) numbers of batches of at most that size."""
    sizes = np.stack(
        [np.ones(len(dataset), dtype=np.int64), dataset.n_atoms, dataset.n_edges], axis=1
    )
    largest = np.array([size.structures, size.atoms or UNLIMITED, size.edges or UNLIMITED])
    start, used = 0, np.zeros(3, dtype=np.int64)
    for position, index in enumerate(order):
        used = used + sizes[index]
        if position > start and (used > largest).any():
            yield order[start:position]
            start, used = position, sizes[index]
    if start < len(order):
        yield order[start:]


def epoch_batches(
    dataset: Dataset, size: BatchSize, seed: int, epoch: int, bucket: int = 1
) -> list[Integers]:
    """(B,) numbers of the frames of each batch, in an order that depends on seed and epoch alone.

    Args:
        dataset: the frames.
        size: the most that a batch may hold.
        seed: of the run.
        epoch: counted from 0.
        bucket: so many batches' worth of frames, drawn at random, are sorted by their largest
            number of neighbours before they are cut into batches: these have fewer padded slots. 1
            sorts nothing.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(dataset))
    if bucket == 1:
        return list(batches(dataset, order, size))
    width, several = dataset.width, bucket * size.structures
    parts = [order[i : i + several] for i in range(0, len(order), several)]
    cut = [
        b
        for part in parts
        for b in batches(dataset, part[np.argsort(width[part], kind="stable")], size)
    ]
    return [cut[i] for i in random.permutation(len(cut))]
