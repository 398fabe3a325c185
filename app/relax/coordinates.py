"""The internal coordinates of many structures on common arrays."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.atoms.ragged import ranges, starts_of
from app.atoms.structure import Booleans, Floats, Integers
from app.relax.primitives import PAIRS, SLOTS, Primitives
from app.relax.wilson import DERIVED

CARTESIAN = 0.3
"""eV/Å², stiffness of each Cartesian coordinate; these are coordinates as well, so that the model
Hessian is definite and whole molecules have a place.
"""
TOO_STRAIGHT, TOO_BENT = np.deg2rad(175.0), np.deg2rad(160.0)
"""Beyond the one an angle is singular, below the other a bend is far from its reference."""
Derivatives: TypeAlias = Floats
"""(12, R), Å or rad by Å: of internal coordinates by the Cartesian ones that each depends on."""


class Coordinates:
    """Coordinates of B structures: C in all, one structure's after those of another.

    Of each structure these are its R internal ones in the order of `Primitives`, then x, y and z of
    each of its atoms. Positions, moves and forces are flat, (3 N,) of the N atoms of all.

    Args:
        primitives: of each structure.
        free: (N,) whether an atom may move.

    Attributes:
        constants: (C,) their stiffness, eV/Å² or eV/rad².
        lengths: (B,) how many coordinates each structure has.
    """

    def __init__(self, primitives: Sequence[Primitives], free: Booleans) -> None:
        self._primitives = primitives
        self._n_atoms = np.array([p.n_atoms for p in primitives])
        self._first_atoms = starts_of(self._n_atoms)[:-1]
        internal = np.array([len(p.constants) for p in primitives])
        self.lengths: Integers = internal + 3 * self._n_atoms
        starts = starts_of(self.lengths)
        self._bounds = list(pairwise(starts.tolist()))
        self._atom_bounds = list(pairwise((3 * starts_of(self._n_atoms)).tolist()))
        self._internal = ranges(starts[:-1], internal)
        self._cartesian = ranges(starts[:-1] + internal, 3 * self._n_atoms)
        self.constants = np.full(int(starts[-1]), CARTESIAN)
        self.constants[self._internal] = np.concatenate([p.constants for p in primitives])
        dofs = np.concatenate([p.dofs for p in primitives], axis=1)
        self._dofs: Integers = dofs + np.repeat(3 * self._first_atoms, internal)
        self._free = None if free.all() else np.repeat(free, 3)[self._dofs]
        self._find_sites()
        self._number_kinds(starts_of(internal)[:-1])

    def _find_sites(self) -> None:
        """Note the atom of each site, and where images are."""
        n_images = np.array([len(p.images) for p in self._primitives])
        n_sites = self._n_atoms + n_images
        self._first_sites = starts_of(n_sites)[:-1]
        self._site_atoms = ranges(self._first_atoms, n_sites)
        self._images = ranges(self._first_sites + self._n_atoms, n_images)
        if len(self._images):
            images = np.concatenate([p.images for p in self._primitives])
            self._site_atoms[self._images] = images + np.repeat(self._first_atoms, n_images)
            self._offsets = np.concatenate([p.offsets for p in self._primitives]).T

    def _number_kinds(self, at: Integers) -> None:
        """Note, for each kind, the sites of its primitives, and which of the R coordinates they are.

        Args:
            at: (B,) where the internal coordinates of each structure begin, among these.
        """
        self._sites: dict[str, Integers] = {}
        self._targets: dict[str, Integers] = {}
        self._spans: list[dict[str, slice]] = [{} for _ in self._primitives]
        for kind in SLOTS:
            own = [getattr(p, kind) for p in self._primitives]
            counts = np.array([part.shape[1] for part in own])
            self._sites[kind] = np.concatenate(own, axis=1) + np.repeat(self._first_sites, counts)
            if kind == "bends":  # come as x of all structures, y of all, z of all
                parts = [ranges(at + axis * counts, counts) for axis in range(3)]
                self._targets[kind] = np.concatenate(parts)
                counts = 3 * counts
            else:
                self._targets[kind] = ranges(at, counts)
            for spans, first, count in zip(self._spans, at.tolist(), counts.tolist(), strict=True):
                if count:
                    spans[kind] = slice(first, first + count)
            at = at + counts

    def parts(self, values: Floats) -> list[Floats]:
        """Each structure's part of a (C,) array, as views."""
        return [values[start:end] for start, end in self._bounds]

    def atom_parts(self, values: Floats) -> list[Floats]:
        """Each structure's part of a (3 N,) array, as views."""
        return [values[start:end] for start, end in self._atom_bounds]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """(3 N,) a value of each structure, on all its atoms."""
        return np.repeat(values, 3 * self._n_atoms)

    def longest(self, moves: Floats) -> Floats:
        """(B,), Å, of the atom of each structure that moves most."""
        own = moves.reshape(-1, 3)
        squares = np.maximum.reduceat(np.einsum("ij,ij->i", own, own), self._first_atoms)
        lengths: Floats = np.sqrt(squares)
        return lengths

    def values(self, x: Floats) -> Floats:
        """(C,), Å or rad: the coordinates at x (3 N,), Å."""
        return self._evaluated(x, None)

    def derived(self, x: Floats) -> tuple[Floats, Derivatives]:
        """The coordinates at x, and the derivatives of the internal ones."""
        derivatives = np.zeros(self._dofs.shape)
        values = self._evaluated(x, derivatives)
        if self._free is not None:
            derivatives *= self._free
        return values, derivatives

    def _evaluated(self, x: Floats, derivatives: Floats | None) -> Floats:
        points = np.ascontiguousarray(x.reshape(-1, 3).T).take(self._site_atoms, axis=1)
        if len(self._images):
            points[:, self._images] += self._offsets
        values = np.empty(len(self._internal))
        for kind, sites in self._sites.items():
            if not sites.size:
                continue
            values[self._targets[kind]], derive = DERIVED[kind](points.take(sites, axis=1))
            if derivatives is not None:
                derivatives[: 3 * SLOTS[kind], self._targets[kind]] = derive()
        q = np.empty(len(self.constants))
        q[self._internal] = values
        q[self._cartesian] = x
        return q

    def along(self, derivatives: Derivatives, moves: Floats) -> Floats:
        """(C,) B v: by how much the coordinates change with moves v (3 N,)."""
        changes = np.empty(len(self.constants))
        changes[self._internal] = (derivatives * moves[self._dofs]).sum(axis=0)
        changes[self._cartesian] = moves
        return changes

    def back(self, derivatives: Derivatives, pulls: Floats) -> Floats:
        """(3 N,) Bᵀ p: pulls p (C,) on coordinates, as forces on atoms."""
        weights = (derivatives * pulls[self._internal]).ravel()
        on_atoms = _summed(self._dofs.ravel(), weights, len(self._cartesian))
        forces: Floats = on_atoms + pulls[self._cartesian]
        return forces

    def hessians(self, derivatives: Derivatives) -> Iterator[Floats]:
        """Bᵀ K B of each structure, (3 N, 3 N), eV/Å², the lower triangle."""
        scaled = np.sqrt(self.constants[self._internal]) * derivatives
        for primitives, spans in zip(self._primitives, self._spans, strict=True):
            weights, first = np.empty(len(primitives.entries)), 0
            for kind, span in spans.items():
                i, j = PAIRS[kind]
                own = scaled[: 3 * SLOTS[kind], span]
                last = first + len(i) * own.shape[1]
                products = weights[first:last].reshape(len(i), -1)
                np.multiply(own.take(i, axis=0), own.take(j, axis=0), out=products)
                first = last
            if len(primitives.twice):
                weights[primitives.twice] *= 2.0
            size = 3 * primitives.n_atoms
            hessian = _summed(primitives.entries, weights, size * size)
            hessian[:: size + 1] += CARTESIAN
            yield hessian.reshape(size, size)

    def difference(self, after: Floats, before: Floats) -> Floats:
        """(C,) after − before, of torsions the way round that is shorter."""
        difference: Floats = after - before
        turns = self._internal[self._targets["torsions"]]
        difference[turns] = wrapped(difference[turns])
        return difference

    def spoiled(self, q: Floats) -> list[int]:
        """Structures of which an angle has become straight at q (C,), or a bend an angle."""
        found = []
        internal = q[self._internal]
        for b, spans in enumerate(self._spans):
            straight = "angles" in spans and internal[spans["angles"]].max() > TOO_STRAIGHT
            if straight or ("bends" in spans and _bent(internal[spans["bends"]])):
                found.append(b)
        return found


def wrapped(angles: Floats) -> Floats:
    """The same angles, rad, within ±π."""
    near: Floats = angles - 2.0 * np.pi * np.rint(angles / (2.0 * np.pi))
    return near


def _summed(places: Integers, values: Floats, size: int) -> Floats:
    """(size,) sums of the values at each place."""
    if not len(places):  # of which `bincount` makes integers
        return np.zeros(size)
    sums: Floats = np.bincount(places, values, size).astype(np.float64, copy=False)
    return sums


def _bent(sums: Floats) -> bool:
    """Whether one of some bends, (3 n,), has become an angle."""
    longest = np.linalg.norm(sums.reshape(3, -1), axis=0).max()
    return bool(longest > 2.0 * np.cos(TOO_BENT / 2.0))
