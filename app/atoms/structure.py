"""Structure: atoms in an optional periodic box.

The one place where a structure's own values are validated.
"""

from copy import copy
from dataclasses import dataclass, field
from operator import index
from typing import Self, SupportsIndex

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from app.errors import InvalidStructure

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

MAX_ATOMIC_NUMBER = 118
MAX_COORDINATE = 1e6
"""Å; beyond it float64 no longer resolves a bond length to the digits that a force needs."""
MIN_VOLUME_RATIO = 1e-6
"""Volume over the product of the lattice vectors' lengths; below it the cell is flat."""
MIN_DISTANCE = 0.3
"""Å; two atoms (or an atom and its image) closer than this are an input error, not chemistry."""
MAX_CHARGE = 10_000
"""Largest charge, of either sign, and largest multiplicity."""


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Atoms in an optional periodic box.

    Attributes:
        numbers: (N,) atomic numbers, 1 to 118, N >= 1.
        positions: (N, 3), Å. Atoms may lie outside the cell.
        cell: (3, 3), Å, rows are lattice vectors; zeros along directions without one.
        pbc: (3,) whether the structure repeats along each lattice vector.
        charge: total charge, in elementary charges.
        multiplicity: spin multiplicity 2S+1, or None where it was not given.
        fixed: (N,) atoms that a relaxation does not move but with the cell, or None if it may move all.

    Raises:
        InvalidStructure: naming the atom or field, the value, the limit and the remedy.
    """

    numbers: Integers
    positions: Floats
    cell: Floats = field(default_factory=lambda: np.zeros((3, 3)))
    pbc: Booleans = field(default_factory=lambda: np.zeros(3, dtype=bool))
    charge: int = 0
    multiplicity: int | None = None
    fixed: Booleans | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "numbers", _numbers(self.numbers))
        put(self, "positions", _array(self.positions, "positions", (len(self.numbers), 3)))
        put(self, "cell", _array(self.cell, "cell", (3, 3)))
        put(self, "pbc", _pbc(self.pbc))
        put(self, "charge", _integer(self.charge, "charge", -MAX_CHARGE))
        if self.multiplicity is not None:
            put(self, "multiplicity", _integer(self.multiplicity, "multiplicity", 1))
        if self.fixed is not None:
            put(self, "fixed", _fixed(self.fixed, len(self.numbers)))
        _check_charge(self.charge, self.numbers)
        _check_positions(self.positions, self.numbers)
        _check_cell(self.cell, self.pbc)

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, positions: ArrayLike) -> Self:
        """The same with its atoms at other positions, (N, 3), Å.

        Raises:
            InvalidStructure: as of any structure's positions.
        """
        moved = copy(self)
        own = _array(positions, "positions", self.positions.shape)
        object.__setattr__(moved, "positions", own)
        _check_positions(own, self.numbers)
        return moved

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols of the N atoms."""
        return [chemical_symbols[z] for z in self.numbers]

    @property
    def is_bulk(self) -> bool:
        """Whether it repeats in all three directions, so that a stress is defined."""
        return bool(self.pbc.all())

    @property
    def volume(self) -> float:
        """Å³; of the cell as it was given, whatever its handedness."""
        return float(abs(np.linalg.det(self.cell)))


def _check_charge(charge: int, numbers: Integers) -> None:
    if charge > 0 and charge > (electrons := int(numbers.sum())):
        raise InvalidStructure(
            f"charge: {charge}, but the atoms have {electrons} electrons between them"
        )


def complete_cell(cell: Floats) -> Floats:
    """(3, 3), Å: the cell with zero vectors replaced by unit vectors orthogonal to the others."""
    missing = ~cell.any(axis=1)
    if not missing.any():
        return cell
    full = cell.copy()
    _, _, axes = np.linalg.svd(cell)
    full[missing] = axes[3 - int(missing.sum()) :]
    return full


def periodic_cell(cell: Floats, pbc: Booleans) -> Floats:
    """(3, 3), Å: the periodic vectors of a cell, completed by unit vectors orthogonal to them."""
    return cell if pbc.all() else complete_cell(np.where(pbc[:, None], cell, 0.0))


def _numbers(values: ArrayLike) -> Integers:
    given = np.asarray(values)
    if given.ndim != 1:
        raise InvalidStructure(f"numbers: shape {given.shape}; expected (N,)")
    if given.size == 0:
        raise InvalidStructure("the structure has no atoms; give at least one")
    if given.dtype.kind not in "iu":
        raise InvalidStructure(
            f"numbers: {given.dtype} values; expected integers from 1 to {MAX_ATOMIC_NUMBER}"
        )
    if given.min() < 1 or given.max() > MAX_ATOMIC_NUMBER:
        atom = int(np.argmax((given < 1) | (given > MAX_ATOMIC_NUMBER)))
        raise InvalidStructure(
            f"atom {atom}: atomic number {given[atom]}; expected 1 to {MAX_ATOMIC_NUMBER}"
        )
    return _frozen(given.astype(np.int64))


def _array(values: ArrayLike, name: str, shape: tuple[int, ...]) -> Floats:
    try:
        given = np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError):
        raise InvalidStructure(f"{name}: not an array of numbers of shape {shape}") from None
    if given.shape != shape:
        raise InvalidStructure(f"{name}: shape {given.shape}; expected {shape}")
    return _frozen(given)


def _pbc(values: ArrayLike) -> Booleans:
    given = np.asarray(values)
    if given.dtype != np.bool_ or given.shape not in {(), (3,)}:
        raise InvalidStructure("pbc: expected true, false or three of them")
    flags = np.empty(3, dtype=bool)
    flags[:] = given
    return _frozen(flags)


def _fixed(values: ArrayLike, n_atoms: int) -> Booleans:
    given = np.array(values)
    if given.dtype != np.bool_ or given.shape != (n_atoms,):
        raise InvalidStructure(
            f"fixed: {given.dtype} of shape {given.shape}; expected ({n_atoms},) of true or false"
        )
    return _frozen(given)


def _integer(value: SupportsIndex, name: str, minimum: int) -> int:
    try:
        integer = index(value)
    except TypeError:
        raise InvalidStructure(f"{name}: {value!r}; expected an integer") from None
    if not minimum <= integer <= MAX_CHARGE:
        raise InvalidStructure(f"{name}: {integer}; expected {minimum} to {MAX_CHARGE}")
    return integer


def _frozen(array: NDArray) -> NDArray:  # type: ignore[type-arg]
    array.setflags(write=False)
    return array


def _check_positions(positions: Floats, numbers: Integers) -> None:
    if np.abs(positions).max() <= MAX_COORDINATE:  # false for NaN, too
        return
    atom, axis = np.argwhere(~(np.abs(positions) <= MAX_COORDINATE))[0]
    value, symbol = positions[atom, axis], chemical_symbols[numbers[atom]]
    raise InvalidStructure(
        f"atom {atom} ({symbol}): {'xyz'[axis]} = {value}; coordinates must be finite, at most {MAX_COORDINATE:g} Å"
    )


def _check_cell(cell: Floats, pbc: Booleans) -> None:
    if not (pbc.any() or cell.any()):
        return
    lengths = np.sqrt(np.einsum("ij,ij->i", cell, cell))
    if not lengths.max() <= MAX_COORDINATE:
        row = int(np.argmax(~(lengths <= MAX_COORDINATE)))
        raise InvalidStructure(
            f"cell: vector {row} is {cell[row].tolist()}; it must be finite, at most {MAX_COORDINATE:g} Å long"
        )
    if not pbc.any():
        return
    if (pbc & (lengths < MIN_DISTANCE)).any():
        row = int(np.argmax(pbc & (lengths < MIN_DISTANCE)))
        raise InvalidStructure(
            f"cell: periodic along vector {row}, which is {lengths[row]:g} Å long; "
            "give a cell, or set pbc to false along it"
        )
    full = periodic_cell(cell, pbc)
    lengths = np.sqrt(np.einsum("ij,ij->i", full, full))
    if abs(np.linalg.det(full)) <= MIN_VOLUME_RATIO * lengths.prod():
        raise InvalidStructure(
            "cell: its volume is zero; its periodic vectors must be linearly independent"
        )
