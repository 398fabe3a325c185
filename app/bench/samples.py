"""What is measured: structures of the elements that a model knows, or the user's own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from app.atoms.elements import read_symbols
from app.atoms.structure import Structure
from app.backends.synthetic import lattice_piece
from app.bench.aspirin import ASPIRIN
from app.errors import InputError, InvalidFormat
from app.formats.files import read_structures
from app.formats.notation import Smiles
from app.store.card import ModelCard

MOLECULE_ATOMS = 21
CRYSTAL_ATOMS = 64
COPIES = 64
AMPLITUDE = 0.05
"""Å, standard deviation of the displacements by which the copies of one structure differ."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Structures that are measured together.

    Attributes:
        name: what they are, in the singular: a molecule of 21 atoms.
        structures: at least one.
    """

    name: str
    structures: Sequence[Structure]

    @property
    def atoms(self) -> float:
        """Mean number of atoms."""
        return sum(map(len, self.structures)) / len(self.structures)

    def take(self, count: int) -> list[Structure]:
        """So many of them, from the first one again where there are fewer."""
        return list(islice(cycle(self.structures), count))


def molecules(card: ModelCard) -> Sample:
    """Distorted aspirins, or clusters of a lattice where the model lacks their elements."""
    symbols, *coordinates = zip(*ASPIRIN, strict=True)
    if set(symbols) <= set(card.elements):
        one = Structure(read_symbols(symbols).numbers, np.array(coordinates).T)
        return Sample(f"aspirin, {len(one)} atoms", _distorted(one))
    return Sample(
        f"cluster, {MOLECULE_ATOMS} atoms", _distorted(lattice_piece(card, MOLECULE_ATOMS, False))
    )


def crystals(card: ModelCard) -> Sample:
    """Periodic lattices of the model's elements, each distorted in its own way."""
    return Sample(
        f"crystal, {CRYSTAL_ATOMS} atoms", _distorted(lattice_piece(card, CRYSTAL_ATOMS, True))
    )


def of_file(path: Path, card: ModelCard) -> Sample:
    """The structures of a file, all of which the model must know.

    Raises:
        InputError: the file cannot be read or is empty, or a frame of it cannot be evaluated; names
            both.
    """
    structures = []
    for index, frame in enumerate(read_structures(path)):
        if isinstance(frame.structure, InputError):
            raise InvalidFormat(f"{path}: frame {index}: {frame.structure}")
        if isinstance(frame.structure, Smiles):
            raise InvalidFormat(f"{path}: frame {index}: a SMILES, which has no geometry")
        try:
            card.check(frame.structure)
        except InputError as error:
            raise type(error)(f"{path}: frame {index}: {error}") from error
        structures.append(frame.structure)
    if not structures:
        raise InvalidFormat(f"{path}: no structures; give at least one")
    sample = Sample(path.name, structures)
    return replace(sample, name=f"{path.name}, {sample.atoms:.4g} atoms on average")


def _distorted(structure: Structure) -> list[Structure]:
    generator = np.random.default_rng(0)
    shape = (COPIES, *structure.positions.shape)
    shifts = generator.normal(0.0, AMPLITUDE, shape)
    return [structure.at(structure.positions + shift) for shift in shifts]
