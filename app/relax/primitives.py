"""Redundant internal coordinates of a structure: bonds, angles, torsions, and their stiffness.

Stiffness is that of the model Hessian of Lindh, Bernhardsson, Karlström & Malmqvist, Chem. Phys.
Lett. 241, 423 (1995), with ρ = exp(α (r_ref² − r²)) of a bond: 0.45 ρ of a bond, 0.15 ρ ρ of an
angle, 0.005 ρ ρ ρ of a torsion, in hartree, bohr and radians.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np
from ase.data import covalent_radii
from ase.units import Bohr, Hartree

from app.atoms.neighbors import build_graph
from app.atoms.ragged import ranges, starts_of
from app.atoms.structure import Floats, Integers, Structure

BONDED = 1.3
"""Times the sum of two covalent radii; pairs that are closer get a coordinate."""
STRAIGHT = np.deg2rad(170.0)
"""Wider angles are linear bends; no torsion has one, or one below the supplement, in it."""
MOST_AT_ANGLES, MOST_AT_TORSIONS = 6, 4
"""Bonds of an atom; one that has more, as in metals, is the centre of no angle or torsion."""
STRETCH, BEND, TWIST = 0.45 * Hartree / Bohr**2, 0.15 * Hartree, 0.005 * Hartree
"""eV/Å² and eV/rad², at ρ = 1."""
EXPONENTS = np.array([[1.0, 0.3949, 0.3949], [0.3949, 0.28, 0.28], [0.3949, 0.28, 0.28]])
REFERENCES = np.array([[1.35, 2.10, 2.53], [2.10, 2.87, 3.40], [2.53, 3.40, 3.40]])
"""α, 1/bohr², and r_ref, bohr, by the periods of both atoms; later ones count as the third."""
SLOTS = {"bonds": 2, "angles": 3, "bends": 3, "torsions": 4}
"""Atoms of each kind of primitive."""
PAIRS = {kind: np.array(np.tril_indices(3 * slots)) for kind, slots in SLOTS.items()}
"""(2, P) pairs of derivatives of one primitive, each once."""


class Bonds(NamedTuple):
    """Bonds of a structure, each from both ends, sorted by the atom they start from.

    Attributes:
        start: (E,) atoms.
        end: (E,) atoms.
        shift: (E, 3) lattice translations of the end.
        reverse: (E,) the bond from the other end.
        vectors: (E, 3), Å, from start to end.
        stretch: (E,) lengths over the sums of the radii.
    """

    start: Integers
    end: Integers
    shift: Integers
    reverse: Integers
    vectors: Floats
    stretch: Floats


@dataclass(frozen=True, eq=False)
class Primitives:
    """Coordinates of N atoms; a site is an atom, or beyond N an image of one.

    A bond is a length, an angle lies at its second site, a torsion turns around its middle bond,
    and of a bend, which is an angle that is almost straight, there are three coordinates: the sum
    of the unit vectors from its second site to the others.

    Attributes:
        n_atoms: N.
        bonds: (2, b) sites.
        angles: (3, a) sites.
        bends: (3, l) sites.
        torsions: (4, t) sites.
        images: (s,) the atoms that the sites beyond N are images of.
        shifts: (s, 3) lattice translations of these.
        offsets: (s, 3), Å, the same as vectors.
        constants: (R,), eV/Å² or eV/rad², of bonds, angles, x, y and z of bends, and torsions.
    """

    n_atoms: int
    bonds: Integers
    angles: Integers
    bends: Integers
    torsions: Integers
    images: Integers
    shifts: Integers
    offsets: Floats
    constants: Floats

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many coordinates there are of each kind."""
        return {
            kind: getattr(self, kind).shape[1] * (3 if kind == "bends" else 1) for kind in SLOTS
        }

    @cached_property
    def dofs(self) -> Integers:
        """(12, R) which of the 3 N Cartesian coordinates each coordinate depends on; 0 past its sites."""
        atom = np.concatenate([np.arange(self.n_atoms), self.images])
        columns = []
        for kind, slots in SLOTS.items():
            own = 3 * atom[getattr(self, kind)][:, None] + np.arange(3)[:, None]
            own = own.reshape(3 * slots, -1)
            if kind == "bends":
                own = np.tile(own, 3)
            columns.append(np.pad(own, [(0, 12 - len(own)), (0, 0)]))
        return cast(Integers, np.concatenate(columns, axis=1))

    @cached_property
    def entries(self) -> Integers:
        """Where products of derivatives stand in the (3 N, 3 N) Hessian, flattened, lower triangle.

        For each kind in turn, the products of `PAIRS` of the derivatives of each coordinate, (P, n).
        """
        own, first = [], 0
        for kind, n in self.counts.items():
            i, j = self.dofs[:, first : first + n][PAIRS[kind], :]
            own.append((np.maximum(i, j) * 3 * self.n_atoms + np.minimum(i, j)).ravel())
            first += n
        return np.concatenate(own).astype(np.int32)

    @cached_property
    def twice(self) -> Integers:
        """Which of `entries` count twice: off the diagonal of an atom and its own image."""
        own, first = [], 0
        for kind, n in self.counts.items():
            pairs = PAIRS[kind]
            i, j = self.dofs[:, first : first + n][pairs, :]
            own.append(((i == j) & (pairs[0] != pairs[1])[:, None]).ravel())
            first += n
        return np.flatnonzero(np.concatenate(own))

    @property
    def turns(self) -> slice:
        """Which of the coordinates are torsions."""
        return slice(len(self.constants) - self.torsions.shape[1], len(self.constants))

    @property
    def bonded(self) -> tuple[Integers, Integers, Integers]:
        """Atoms of each bond, (b,) and (b,), and the lattice translation of the second, (b, 3)."""
        start, end = self.bonds
        atoms = np.concatenate([np.arange(self.n_atoms), self.images])
        shifts = np.concatenate([np.zeros((self.n_atoms, 3), dtype=np.int64), self.shifts])
        return atoms[start], atoms[end], shifts[end]


def find_bonds(structure: Structure) -> Bonds:
    """The bonds of a structure, by distances and covalent radii."""
    radii = covalent_radii[structure.numbers]
    graph = build_graph(structure, 2 * BONDED * float(radii.max()))
    start, end = graph.edge_index
    vectors = graph.edge_vectors()
    stretch = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) / (radii[start] + radii[end])
    keep = stretch < BONDED
    rank = starts_of(keep)
    return Bonds(
        start[keep],
        end[keep],
        graph.edge_shift[keep].astype(np.int64),
        rank[graph.edge_reverse[keep]],
        vectors[keep],
        stretch[keep],
    )


def find_primitives(structure: Structure) -> Primitives:
    """The coordinates of a structure, and their stiffness, where its atoms are."""
    bonds = find_bonds(structure)
    lengths = np.sqrt(np.einsum("ij,ij->i", bonds.vectors, bonds.vectors))
    rho = _rho(structure.numbers, bonds, lengths)
    units = bonds.vectors / lengths[:, None]
    degree = np.bincount(bonds.start, minlength=len(structure))
    forward = np.flatnonzero(np.arange(len(rho)) < bonds.reverse)

    first, second = _angle_pairs(bonds, degree)
    straight = np.einsum("ij,ij->i", units[first], units[second]) < np.cos(STRAIGHT)
    bent, wide = np.flatnonzero(~straight), np.flatnonzero(straight)
    before, middle, after = _torsion_triples(bonds, degree, forward, units)

    zero = np.zeros_like(bonds.shift)
    chains = [
        _chain((bonds.start, zero, forward), (bonds.end, bonds.shift, forward)),
        *(
            _chain(
                (bonds.end, bonds.shift, first[some]),
                (bonds.start, zero, first[some]),
                (bonds.end, bonds.shift, second[some]),
            )
            for some in (bent, wide)
        ),
        _chain(
            (bonds.end, bonds.shift, before),
            (bonds.start, zero, middle),
            (bonds.end, bonds.shift, middle),
            (bonds.end[after], bonds.shift[middle] + bonds.shift[after], None),
        ),
    ]
    sites, images, shifts = _sites(chains, len(structure))
    stretches, angles, bends, torsions = sites
    bend = BEND * rho[first] * rho[second]
    constants = np.concatenate(
        [
            STRETCH * rho[forward],
            bend[bent],
            np.tile(bend[wide], 3),
            TWIST * rho[before] * rho[middle] * rho[after],
        ]
    )
    offsets = shifts @ structure.cell
    return Primitives(
        len(structure), stretches, angles, bends, torsions, images, shifts, offsets, constants
    )


def _rho(numbers: Integers, bonds: Bonds, lengths: Floats) -> Floats:
    """(E,) Lindh's ρ of each bond."""
    period = (numbers > 2).astype(np.int64) + (numbers > 10)
    of_both = period[bonds.start], period[bonds.end]
    rho: Floats = np.exp(EXPONENTS[of_both] * (REFERENCES[of_both] ** 2 - (lengths / Bohr) ** 2))
    return rho


def _angle_pairs(bonds: Bonds, degree: Integers) -> tuple[Integers, Integers]:
    """(A,) pairs of bonds from one atom."""
    own = np.arange(len(bonds.start))
    later = np.cumsum(degree)[bonds.start] - own - 1
    later[degree[bonds.start] > MOST_AT_ANGLES] = 0
    return np.repeat(own, later), ranges(own + 1, later)


def _torsion_triples(
    bonds: Bonds, degree: Integers, forward: Integers, units: Floats
) -> tuple[Integers, Integers, Integers]:
    """(T,) bonds from the start of a middle bond, middle bonds, and bonds from their ends."""
    few = degree <= MOST_AT_TORSIONS
    middle = forward[few[bonds.start[forward]] & few[bonds.end[forward]]]
    first = starts_of(degree)
    start, end = bonds.start[middle], bonds.end[middle]
    counts = degree[start] * degree[end]
    number = ranges(np.zeros_like(counts), counts)
    width = np.repeat(degree[end], counts)
    before = np.repeat(first[start], counts) + number // width
    after = np.repeat(first[end], counts) + number % width
    middle = np.repeat(middle, counts)
    others = np.flatnonzero((before != middle) & (after != bonds.reverse[middle]))
    before, middle, after = before[others], middle[others], after[others]
    apart = (bonds.end[before] != bonds.end[after]) | (
        bonds.shift[before] != bonds.shift[middle] + bonds.shift[after]
    ).any(axis=1)
    cosines = (
        np.einsum("ij,ij->i", units[before], units[middle]),
        np.einsum("ij,ij->i", units[middle], units[after]),
    )
    bent = np.maximum(*np.abs(cosines)) < -np.cos(STRAIGHT)
    some = np.flatnonzero(apart & bent)
    return before[some], middle[some], after[some]


Chain = tuple[Integers, Integers]


def _chain(*slots: tuple[Integers, Integers, Integers | None]) -> Chain:
    """(k, n) atoms and (k, n, 3) translations of n primitives, slot by slot."""
    atoms = [a if i is None else a[i] for a, _, i in slots]
    shifts = [s if i is None else s[i] for _, s, i in slots]
    return np.stack(atoms), np.stack(shifts)


def _sites(chains: list[Chain], n_atoms: int) -> tuple[list[Integers], Integers, Integers]:
    """Each chain as (k, n) sites; and of the sites beyond the atoms, their atoms and translations."""
    atoms = np.concatenate([a.ravel() for a, _ in chains])
    shifts = np.concatenate([s.reshape(-1, 3) for _, s in chains])
    moved = np.flatnonzero(shifts.any(axis=1))
    keys = np.concatenate([atoms[moved, None], shifts[moved]], axis=1)
    images, which = np.unique(keys, axis=0, return_inverse=True)
    sites = atoms.copy()
    sites[moved] = n_atoms + which.ravel()
    ends = np.cumsum([a.size for a, _ in chains])[:-1]
    split = np.split(sites, ends)
    own = [part.reshape(a.shape) for part, (a, _) in zip(split, chains, strict=True)]
    return own, images[:, 0], images[:, 1:]
