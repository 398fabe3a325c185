"""Findings: single things of a structure that a model's training data never held, in words.

Each comparison is one of arrays; only what is beyond the data is looked at further.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple, Self, TypeAlias

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from app.atoms.decomposition import Piece
from app.atoms.graph import Graph
from app.atoms.ragged import starts_of
from app.atoms.structure import Floats, Integers
from app.atoms.surroundings import (
    Surroundings,
    kind_name,
    kind_of,
    pair_name,
    pair_of,
    parts_of,
    surroundings,
)
from app.store.training_range import TrainingRange

TOLERANCE = 0.02
"""Å by which a distance may be beyond those of the training data before it is told; of a mean over
bonds, in sums of two radii.
"""
FORCE_TOLERANCE = 1.1
"""Times the longest force of the training data, up to which nothing is said."""
TOLD = 3
"""Pairs, atoms or kinds of atoms that a warning names."""
ELEMENTS = len(chemical_symbols)
NO_KIND = np.iinfo(np.int64).max


class Finding(NamedTuple):
    """Something that is out of domain.

    Attributes:
        excess: by how much, so that the worst is told first.
        atom: the first that it is about; of what is equally bad, the lower one is told first.
        text: what it is.
    """

    excess: float
    atom: int
    text: str

    @property
    def rank(self) -> tuple[float, int]:
        """Higher for what is told first."""
        return self.excess, -self.atom


Found: TypeAlias = Iterator[tuple[int, str, Finding]]
"""By structure, and by pair of elements, element or kind of atom, the worst of each."""


class Tables:
    """What training data held, as arrays by atomic number and by kind of atom.

    Args:
        trained_on: of a card.
        cutoff: Å, of the model.

    Attributes:
        cutoff: as given.
        oddities: how many odd atoms of each sort its structures have; None where that is not known.
        closest: (Z · Z,), Å, shortest distances of pairs; infinite where there were none.
        farthest: (Z,), Å, largest distances from the nearest neighbour; 0 where there were none,
            infinite where a sample had none.
        strongest: (Z,), eV/Å, longest forces; infinite where that is not known.
        allowed: (Z,), eV/Å, of these, up to which nothing is said.
        alone: (Z,) whether single atoms are known, or it is not known which are.
        kinds: (K + 1,) known kinds of atoms, sorted, and one that no atom is of; None where these
            are not known.
        stretch: (2, K + 1) least and largest stretch of each.
    """

    def __init__(self, trained_on: TrainingRange, cutoff: float) -> None:
        self.cutoff, self.oddities = cutoff, trained_on.oddities
        ratio = trained_on.least_ratio
        closest = np.full((ELEMENTS, ELEMENTS), np.inf)
        if ratio is not None:
            closest = ratio * (covalent_radii[:ELEMENTS, None] + covalent_radii[:ELEMENTS])
        for name, length in trained_on.closest.items():
            i, j = pair_of(name)
            closest[i, j] = closest[j, i] = length
        self.closest = closest.reshape(-1)
        self.farthest = _by_number(trained_on.farthest, 0.0 if ratio is None else np.inf)
        self.strongest = _by_number(trained_on.strongest or {}, np.inf)
        self.allowed = FORCE_TOLERANCE * self.strongest
        self.alone = np.full(ELEMENTS, trained_on.alone is None)
        self.alone[[atomic_numbers[symbol] for symbol in trained_on.alone or ()]] = True
        known = trained_on.surroundings
        ranges = [(kind_of(name), *ends) for name, ends in (known or {}).items()]
        kinds, *ends = zip(*sorted([*ranges, (NO_KIND, 0.0, 0.0)]), strict=True)
        self.kinds = None if known is None else np.array(kinds, np.int64)
        self.stretch = np.array(ends)


class Around:
    """The n core atoms of a piece, or all atoms of B structures, their edges, and what is around them.

    Attributes:
        atoms: (m,) number in its structure of each of the graph's atoms, a core first.
        structure: (m,) to which of the B structures each belongs.
        numbers: (m,) atomic numbers of the same.
        i, j: (E,) the graph's atoms at both ends of each edge whose centre is in the core.
        vectors: (E, 3), Å, from i to j.
        lengths: (E,), Å.
        of_core: what is around each of the n atoms.
        sizes: (B,) atoms of each structure.
        alone: (B,) whether it is a single atom without images in reach.
    """

    def __init__(self, graph: Graph, atoms: Integers, core: int) -> None:
        self.atoms, self.structure, self.numbers = atoms, graph.atom_structure, graph.numbers
        edges = int(np.searchsorted(graph.edge_index[0], core))
        self.i, self.j = graph.edge_index[:, :edges]
        self.vectors: Floats = graph.edge_vectors()[:edges]
        self.lengths: Floats = np.sqrt(np.einsum("ij,ij->i", self.vectors, self.vectors))
        self.of_core: Surroundings = surroundings(
            self.numbers[:core], self.i, self.numbers[self.j], self.lengths
        )
        self.sizes = graph.n_whole
        self.alone = (graph.n_whole == 1) & (graph.n_edges == 0)

    @classmethod
    def of_piece(cls, piece: Piece) -> Self:
        """What is around the core of a piece."""
        return cls(piece.graph, piece.atoms, piece.core)

    @classmethod
    def of_whole(cls, graph: Graph) -> Self:
        """What is around all atoms of B structures."""
        count = len(graph.numbers)
        first = np.repeat(starts_of(graph.n_atoms)[:-1], graph.n_atoms)
        return cls(graph, np.arange(count) - first, count)

    def named(self, atom: int) -> str:
        """`atom 3 (C)`."""
        return f"atom {self.atoms[atom]} ({chemical_symbols[self.numbers[atom]]})"

    def described(self, atom: int) -> str:
        """`atom 3 (C) has 3 neighbours (1 H) within bond range`."""
        _, bonds, hydrogens = parts_of(int(self.of_core.kind[atom]))
        among = f" ({hydrogens} H)" if bonds else ""
        neighbours = f"{bonds or 'no'} neighbour{'' if bonds == 1 else 's'}{among}"
        return f"{self.named(atom)} has {neighbours} within bond range"


def close(known: Tables, around: Around) -> Found:
    """Pairs that are closer than any of their elements in the data, or that are not in them."""
    pairs = around.numbers[around.i] * ELEMENTS + around.numbers[around.j]
    least, lengths = known.closest[pairs], around.lengths
    beyond = np.flatnonzero(lengths < least - TOLERANCE)
    of_edges = around.structure[around.i[beyond]]
    for edge in _worst(beyond, (of_edges, pairs[beyond]), lengths):
        i, j = int(around.i[edge]), int(around.j[edge])
        name = pair_name(int(around.numbers[i]), int(around.numbers[j]))
        first, last = sorted(around.atoms[[i, j]].tolist())
        where = f"atoms {first} and {last}" if first != last else f"atom {first} and its image"
        if np.isinf(least[edge]):
            text = f"{where} are {lengths[edge]:.2f} Å apart, and no pair {name} within"
            text += f" {known.cutoff:g} Å is in the training data"
            excess = known.cutoff - float(lengths[edge])
        else:
            text = f"{where} ({name}) are {lengths[edge]:.2f} Å apart; the training data begin at"
            text += f" {least[edge]:.2f} Å"
            excess = float(least[edge] - lengths[edge])
        yield int(around.structure[i]), name, Finding(excess, first, text)


def lonely(known: Tables, around: Around) -> Found:
    """Atoms further from all others than any of their element in the data."""
    nearest = around.of_core.nearest
    numbers, of_atoms = around.numbers[: len(nearest)], around.structure[: len(nearest)]
    most = known.farthest[numbers]
    beyond = np.flatnonzero((nearest > most + TOLERANCE) & ~around.alone[of_atoms])
    for atom in _worst(beyond, (of_atoms[beyond], numbers[beyond]), -nearest, around.atoms):
        away = f"{nearest[atom]:.2f}" if np.isfinite(nearest[atom]) else f"over {known.cutoff:g}"
        text = f"{around.named(atom)} is {away} Å from its nearest neighbour; in the training data"
        finding = Finding(
            float(nearest[atom] - most[atom]),
            int(around.atoms[atom]),
            f"{text} at most {most[atom]:.2f} Å",
        )
        yield int(of_atoms[atom]), chemical_symbols[numbers[atom]], finding


def single(known: Tables, around: Around) -> Found:
    """Single atoms, of elements of which the data have none."""
    strange = around.alone[around.structure] & ~known.alone[around.numbers]
    for atom in np.flatnonzero(strange).tolist():
        text = f"{around.named(atom)} is alone, and single atoms of its element are not in the"
        name = kind_name(int(around.of_core.kind[atom]))
        yield int(around.structure[atom]), name, Finding(np.inf, 0, f"{text} training data")


def kinds(known: Tables, around: Around) -> Found:
    """Atoms whose number of neighbours is not in the data, or whose bonds are longer or shorter."""
    yield from single(known, around)
    if known.kinds is None:
        return
    kind, stretch = around.of_core.kind, around.of_core.stretch
    of_atoms = around.structure[: len(kind)]
    place = np.searchsorted(known.kinds, kind)
    seen = known.kinds[place] == kind
    least, most = known.stretch[:, place]
    excess = np.where(seen, np.maximum(least - stretch, stretch - most), np.inf)
    beyond = np.flatnonzero((excess > TOLERANCE) & ~around.alone[of_atoms])
    for atom in _worst(beyond, (of_atoms[beyond], kind[beyond]), -excess, around.atoms):
        text = around.described(atom)
        if seen[atom]:
            text += (
                f", on average at {stretch[atom]:.2f} times the sum of the radii; in the training "
                f"data at {least[atom]:.2f} to {most[atom]:.2f} times"
            )
        else:
            text += ", as none in the training data"
        finding = Finding(float(excess[atom]), int(around.atoms[atom]), text)
        yield int(of_atoms[atom]), kind_name(int(kind[atom])), finding


def strong(known: Tables, numbers: Integers, forces: Floats) -> Iterator[Finding]:
    """Atoms (N,) on which the predicted force (N, 3) is longer than any of their element."""
    lengths = np.sqrt(np.vecdot(forces, forces))
    (beyond,) = (lengths > known.allowed[numbers]).nonzero()
    for atom in _worst(beyond, (numbers[beyond],), -lengths):
        number = numbers[atom]
        most, symbol = known.strongest[number], chemical_symbols[number]
        text = f"the force on atom {atom} ({symbol}) is {lengths[atom]:.3g} eV/Å; in the training"
        excess = float(lengths[atom] / most)
        yield Finding(excess, atom, f"{text} data at most {most:.3g} eV/Å")


def novel(numbers: Integers, novelty: Floats) -> Iterator[Finding]:
    """Atoms (N,) whose surroundings are less like any of the training data than 99.9 % of those are,
    by the model's own features; `novelty` (N,) says how much less, in multiples of that.
    """
    for atom in (novelty > 1).nonzero()[0].tolist():
        value = float(novelty[atom])
        symbol = chemical_symbols[numbers[atom]]
        text = f"atom {atom} ({symbol}) is unlike those of the training data (novelty {value:.3g}"
        yield Finding(value, atom, f"{text}, limit 1)")


def uncertain(usual: float, errors: Floats) -> str:
    """That the estimated errors (N,) of a structure's forces, in eV/Å, are larger than usual, the root
    mean square over its atoms; empty where they are not.
    """
    size = math.sqrt(errors @ errors / len(errors))
    if size <= usual:
        return ""
    return (
        f"the forces are estimated to be off by {size:.3g} eV/Å, root mean square over the atoms; of "
        f"structures like those of the training data, 99 % are below {usual:.3g} eV/Å"
    )


def joined(findings: Iterable[Finding]) -> str:
    """The worst findings in words, and how many more there are."""
    told = [each.text for each in sorted(findings, key=attrgetter("rank"), reverse=True)]
    more = f"; and {len(told) - TOLD} more" if len(told) > TOLD else ""
    return "; ".join(told[:TOLD]) + more


def _by_number(values: dict[str, float], otherwise: float) -> Floats:
    """(Z,) values of elements by atomic number."""
    table = np.full(ELEMENTS, otherwise)
    for symbol, value in values.items():
        table[atomic_numbers[symbol]] = value
    return table


def _worst(
    beyond: Integers, groups: Sequence[Integers], *values: Floats | Integers
) -> Iterator[int]:
    """Of what is beyond the data, (b,), where the least value of each group is; of equal ones, that
    with the least second value. The (b,) of `groups` are the same in one group.
    """
    if not len(beyond):
        return
    order = np.lexsort((*(value[beyond] for value in reversed(values)), *reversed(groups)))
    changes = [np.diff(group[order], prepend=-1) != 0 for group in groups]
    yield from beyond[order[np.logical_or.reduce(changes)]].tolist()
