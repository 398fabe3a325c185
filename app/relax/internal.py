"""L-BFGS in redundant internal coordinates, over a model Hessian, without a line search.

Coordinates q are those of `app.relax.coordinates`, with the stiffness K of a model Hessian, which in
Cartesian coordinates is P = Bᵀ K B. A step takes one evaluation, and no energy:

- The gradient by q is K B P⁻¹ g, of which Bᵀ makes g again.
- Pairs s = Δq, y = Δ(gradient) are damped against K (Powell, Algorithms for nonlinear constraints that
  use Lagrangian functions, Math. Program. 14, 224 (1978)), so that no curvature falls below `SOFTEST`
  of the model's, whatever the energy's is.
- The direction is L-BFGS's (Nocedal, Math. Comp. 35, 773 (1980)) with H₀ = B P⁻¹ Bᵀ. Its two loops are
  triangular systems of the products s·y (Byrd, Nocedal & Schnabel, Math. Program. 63, 129 (1994)).
- The step follows the curved coordinates: to where q has changed by as much as the direction says. Its
  length is bounded; the bound is halved where the mean of the gradients at both ends of a step says that
  it led uphill.

Coordinates are made again, and what was learnt is forgotten, where they do not fit any more: an angle
has become straight or a bend an angle, atoms have come together or bonds are broken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, cast

import numpy as np
from ase.data import covalent_radii

from app.atoms.structure import Booleans, Floats, Integers, Structure
from app.relax.coordinates import Coordinates, wrapped
from app.relax.optimizers import TINY, Optimizer
from app.relax.primitives import Primitives, find_bonds, find_primitives
from app.relax.rows import Rows

MEMORY = 20
"""Steps that are remembered."""
SOFTEST = 0.05
"""The least curvature along a step, of the model's."""
MAX_STEP, MAX_CURVED, LEAST_STEP = 0.2, 0.3, 0.02
"""Å, of the atom that moves most: before the step is curved, after it, and where steps fail."""
GROWTH = 1.2
"""Of the longest step, up to `MAX_STEP`, after each that led downhill."""
NOTHING = 1e-24
"""eV, of the model along a step, that is rounding and teaches nothing."""
CURVINGS = 2
"""Corrections of a step."""
LOOK_EVERY = 0.5
"""Å that an atom moves until bonds are looked at again."""
TOUCHING, BROKEN = 1.15, 1.6
"""Times the sum of two covalent radii; atoms that are closer without being bonded, and bonds that are
longer, make new coordinates.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """What the last m steps taught about C coordinates, newest last.

    Attributes:
        s: (m, C), Å or rad, by how much the coordinates changed.
        y: (m, C), eV/Å or eV/rad, by how much the gradient did, damped.
        products: (m, m), eV, of s and y, nothing below the diagonal.
    """

    s: Floats
    y: Floats
    products: Floats

    def and_one(self, s: Floats, y: Floats) -> "Pairs":
        """These with one more, s and y (C,), and without the oldest where they are too many."""
        all_s = np.concatenate([self.s, s[None]])[-MEMORY:]
        all_y = np.concatenate([self.y, y[None]])[-MEMORY:]
        steps = len(all_s)
        products = np.zeros((steps, steps))
        products[:-1, :-1] = self.products[len(self.s) + 1 - steps :, len(self.s) + 1 - steps :]
        products[:, -1] = all_s @ y
        return Pairs(all_s, all_y, products)

    def peel(self, pulls: Floats) -> Floats:
        """The first loop: takes from pulls (C,) what is known of them; the weights (m,) of that."""
        weights: Floats = _lapack().dtrtrs(self.products, self.s @ pulls)[0]
        pulls -= weights @ self.y
        return weights

    def learnt(self, weights: Floats, wanted: Floats) -> Floats:
        """(C,) the second loop: what is added to the change (C,) that the model wants."""
        right = np.diagonal(self.products) * weights - self.y @ wanted
        added: Floats = _lapack().dtrtrs(self.products, right, trans=1)[0] @ self.s
        return added


@dataclass(slots=True)
class Internal(Optimizer):
    """What is remembered of a structure of N atoms with C coordinates.

    Attributes:
        primitives: its internal coordinates; None before the first step.
        looked: (N, 3), Å, where the atoms were when its bonds were last looked at.
        pairs: what the last steps taught; None before the second.
        last: coordinates and gradient of the last step, (C,) each.
        radius: Å that the atom that moves most may move.
    """

    primitives: Primitives | None = None
    looked: Floats | None = None
    pairs: Pairs | None = None
    last: tuple[Floats, Floats] | None = None
    radius: float = MAX_STEP

    @classmethod
    def moves(
        cls,
        states: Sequence[Self],
        x: Floats,
        forces: Floats,
        rows: Rows,
        origins: Sequence[Structure],
    ) -> Floats:
        """See `Optimizer`."""
        positions = x[rows.is_atom]
        each = rows.split_atoms(positions)
        for state, origin, own in zip(states, origins, each, strict=True):
            state._look(origin, own.copy())
        step = _Step(states, positions.ravel(), origins)
        if spoiled := step.spoiled:
            for b in spoiled:
                states[b]._start_over(origins[b].at(each[b]))
            step = _Step(states, positions.ravel(), origins)
        moves = np.zeros_like(x)
        moves[rows.is_atom] = step.moves(forces[rows.is_atom].ravel()).reshape(-1, 3)
        return moves

    @property
    def coordinates(self) -> Primitives:
        """Its internal coordinates, once there are any."""
        assert self.primitives is not None
        return self.primitives

    def forget(self) -> None:
        """Go on as at the first step."""
        self.pairs = self.last = None

    def remember(self, q: Floats, gradient: Floats, stiffness: Floats) -> None:
        """Note what the step that led here teaches.

        Args:
            q: (C,), Å or rad.
            gradient: (C,), eV/Å or eV/rad.
            stiffness: (C,), eV/Å² or eV/rad².
        """
        if self.last is not None:
            s, y = q - self.last[0], gradient - self.last[1]
            turns = self.coordinates.turns
            s[turns] = wrapped(s[turns])
            model = stiffness * s
            if s @ (gradient + self.last[1]) > 0.0:
                self.radius = max(self.radius / 2.0, LEAST_STEP)
            else:
                self.radius = min(self.radius * GROWTH, MAX_STEP)
            expected, found = float(s @ model), float(s @ y)
            if found < SOFTEST * expected:
                kept = (1.0 - SOFTEST) * expected / (expected - found)
                y = kept * y + (1.0 - kept) * model
            if expected > NOTHING:
                none = Pairs(np.empty((0, len(s))), np.empty((0, len(s))), np.empty((0, 0)))
                self.pairs = (self.pairs or none).and_one(s, y)
        self.last = q, gradient

    def _look(self, origin: Structure, positions: Floats) -> None:
        """Start over where atoms have come together, or bonds are broken; and at the first step."""
        if self.primitives is None or self.looked is None:
            self._start_over(origin.at(positions))
            return
        moved = positions - self.looked
        if np.einsum("ij,ij->i", moved, moved).max() < LOOK_EVERY**2:
            return
        self.looked = positions
        if _bonds_have_changed(self.primitives, origin, positions):
            self._start_over(origin.at(positions))

    def _start_over(self, structure: Structure) -> None:
        self.primitives, self.looked = find_primitives(structure), structure.positions
        self.forget()


class _Step:
    """A step of B structures of N atoms in all, with C coordinates.

    Args:
        states: of the structures.
        x: (3 N,), Å, where the atoms are.
        origins: the structures as they were given.

    Attributes:
        spoiled: those whose coordinates do not fit any more.
    """

    def __init__(self, states: Sequence[Internal], x: Floats, origins: Sequence[Structure]) -> None:
        self._states, self._x = states, x
        free = np.concatenate([_free(origin) for origin in origins])
        self._coordinates = Coordinates([state.coordinates for state in states], free)
        self._q, self._derivatives = self._coordinates.derived(x)
        self.spoiled = self._coordinates.spoiled(self._q)

    def moves(self, forces: Floats) -> Floats:
        """(3 N,), Å, of forces (3 N,), eV/Å."""
        coordinates = self._coordinates
        self._factors = [_factor(hessian) for hessian in coordinates.hessians(self._derivatives)]
        straight = self._solved(forces)
        downhill = self._along(straight)
        self._remember(-coordinates.constants * downhill)
        wanted, moves = self._directions(coordinates.constants * downhill)
        own = [coordinates.atom_parts(values) for values in (moves, forces, straight)]
        for b, (move, force, model) in enumerate(zip(*own, strict=True)):
            if move @ force < 0.0:
                self._states[b].forget()
                move[:] = model
                coordinates.parts(wanted)[b][:] = coordinates.parts(downhill)[b]
        radii = np.array([state.radius for state in self._states])
        scale = np.minimum(1.0, radii / np.maximum(coordinates.longest(moves), TINY))
        wanted *= np.repeat(scale, coordinates.lengths)
        return self._curved(moves * coordinates.spread(scale), wanted)

    def _remember(self, gradient: Floats) -> None:
        own = map(self._coordinates.parts, (self._q, gradient, self._coordinates.constants))
        for state, q, g, stiffness in zip(self._states, *own, strict=True):
            state.remember(q.copy(), g.copy(), stiffness)

    def _directions(self, pulls: Floats) -> tuple[Floats, Floats]:
        """How coordinates (C,) and atoms (3 N,) are to change, from pulls (C,), downhill."""
        rest = pulls.copy()
        pasts = [state.pairs for state in self._states]
        weights = [
            past.peel(own) if past else None
            for past, own in zip(pasts, self._coordinates.parts(rest), strict=True)
        ]
        moves = self._solved(self._back(rest))
        wanted = self._along(moves)
        learnt = np.zeros_like(wanted)
        parts = map(self._coordinates.parts, (learnt, wanted))
        for past, weight, own, model in zip(pasts, weights, *parts, strict=True):
            if past and weight is not None:
                own[:] = past.learnt(weight, model)
        moves += self._solved(self._back(self._coordinates.constants * learnt))
        return wanted + learnt, moves

    def _curved(self, moves: Floats, wanted: Floats) -> Floats:
        """(3 N,), Å: moves after which the coordinates have changed as wanted, where there are any."""
        coordinates, curved = self._coordinates, moves
        for _ in range(CURVINGS):
            there = coordinates.values(self._x + curved)
            beyond = coordinates.difference(there, self._q) - wanted
            curved = curved - self._solved(self._back(coordinates.constants * beyond))
        found = coordinates.longest(curved - moves) <= MAX_STEP / 2.0
        curved = np.where(coordinates.spread(found), curved, moves)
        longest = np.maximum(coordinates.longest(curved), TINY)
        capped: Floats = curved * coordinates.spread(np.minimum(1.0, MAX_CURVED / longest))
        return capped

    def _solved(self, forces: Floats) -> Floats:
        """(3 N,), Å: P⁻¹ f of forces (3 N,), eV/Å."""
        dpotrs = _lapack().dpotrs
        parts = zip(self._factors, self._coordinates.atom_parts(forces), strict=True)
        return np.concatenate([dpotrs(factor, own, lower=0)[0] for factor, own in parts])

    def _along(self, moves: Floats) -> Floats:
        return self._coordinates.along(self._derivatives, moves)

    def _back(self, pulls: Floats) -> Floats:
        return self._coordinates.back(self._derivatives, pulls)


def _factor(hessian: Floats) -> Floats:
    """Cholesky's, for `dpotrs`, of the lower triangle.

    It exists of all finite ones; another one's is NaN, with which its structure's relaxation ends.
    """
    factor, failed = _lapack().dpotrf(hessian.T, lower=0, clean=0, overwrite_a=1)
    if failed:
        factor[:] = np.nan
    return cast(Floats, factor)


def _free(structure: Structure) -> Booleans:
    return np.ones(len(structure), dtype=bool) if structure.fixed is None else ~structure.fixed


def _bonds_have_changed(primitives: Primitives, origin: Structure, positions: Floats) -> bool:
    """Whether, with atoms at positions (N, 3), some are close without a bond, or bonds are broken."""
    start, end, shift = primitives.bonded
    radii = covalent_radii[origin.numbers]
    vectors = positions[end] + shift @ origin.cell - positions[start]
    longest = BROKEN * (radii[start] + radii[end])
    if (np.einsum("ij,ij->i", vectors, vectors) > longest**2).any():
        return True
    if origin.pbc.any():
        bonds = find_bonds(origin.at(positions))
        close = np.flatnonzero(bonds.stretch < TOUCHING)
        found = _keys(bonds.start[close], bonds.end[close], bonds.shift[close])
        return not found <= _keys(start, end, shift) | _keys(end, start, -shift)
    apart = positions[:, None] - positions
    limits = (TOUCHING * (radii[:, None] + radii)) ** 2
    touching = np.triu(np.einsum("ija,ija->ij", apart, apart) < limits, 1)
    touching[start, end] = touching[end, start] = False
    return bool(touching.any())


def _keys(start: Integers, end: Integers, shift: Integers) -> set[tuple[int, ...]]:
    return set(map(tuple, np.column_stack([start, end, shift]).tolist()))


@cache
def _lapack() -> Any:
    """SciPy's LAPACK, imported with the first step: that takes longer than the service's start."""
    from scipy.linalg import lapack

    return lapack
