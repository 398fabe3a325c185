"""Ends of a path: whether they are of the same atoms, and how they are laid upon each other."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from app.atoms.structure import Floats, Structure
from app.errors import InvalidStructure
from app.relax import Relaxed
from app.tasks.neb.options import EndPoint

SAME_CELL = 1e-3
"""Å by which vectors of two cells that are the same may differ, and places of fixed atoms."""
SAME_MINIMUM = 0.05
"""Å that no atom is from its place in the other one of two minima that are the same."""


def end_of(structure: Structure, end: EndPoint, name: str) -> Structure:
    """The structure at the end of a path.

    Args:
        structure: where the path begins.
        end: as it is stated.
        name: of it, for errors.

    Raises:
        InvalidStructure: it is not of the same atoms in the same order, or in another cell.
    """
    _check_atoms(structure, end.symbols, name)
    _check_cell(structure, end, name)
    _check_state(structure, end, name)
    try:
        moved = structure.at(np.array(end.positions, dtype=np.float64))
    except (InvalidStructure, ValueError) as error:
        raise InvalidStructure(f"{name}: {error}") from None
    held = structure.fixed
    if held is not None and held.any():
        away = np.linalg.norm(shortest(structure, moved), axis=1) * held
        if away.max() > SAME_CELL:
            raise InvalidStructure(
                f"{name}: atom {int(np.argmax(away))} is fixed, and {away.max():.3g} Å from its place in "
                "the structure; fixed atoms have one place on all of the path"
            )
    return moved


def _check_atoms(structure: Structure, symbols: Sequence[str], name: str) -> None:
    own = structure.symbols
    if list(symbols) == own:
        return
    if sorted(symbols) != sorted(own):
        raise InvalidStructure(
            f"{name}.symbols: {_formula(symbols)}, and the structure is {_formula(own)}; a path has the "
            "same atoms from its beginning to its end"
        )
    atom = next(i for i, (a, b) in enumerate(zip(symbols, own, strict=True)) if a != b)
    raise InvalidStructure(
        f"{name}.symbols: atom {atom} is {symbols[atom]}, and {own[atom]} in the structure; bring the atoms "
        "into the same order"
    )


def _formula(symbols: Sequence[str]) -> str:
    return "".join(f"{s}{list(symbols).count(s)}" for s in sorted(set(symbols)))


def _check_cell(structure: Structure, end: EndPoint, name: str) -> None:
    if end.pbc is not None and end.pbc != structure.pbc.tolist():
        raise InvalidStructure(
            f"{name}.pbc: {end.pbc}, and {structure.pbc.tolist()} in the structure; a path has one cell"
        )
    if end.cell is None:
        return
    if len(end.cell) != 3 or any(len(row) != 3 for row in end.cell):
        raise InvalidStructure(f"{name}.cell: expected 3 rows of 3 numbers")
    differs = np.abs(np.array(end.cell) - structure.cell).max(axis=1)
    if not differs.max() <= SAME_CELL:
        row = int(np.argmax(differs))
        raise InvalidStructure(
            f"{name}.cell: vector {row} is {end.cell[row]}, and {structure.cell[row].tolist()} in the "
            "structure; a path has one cell: bring both ends into the same one"
        )


def _check_state(structure: Structure, end: EndPoint, name: str) -> None:
    """Whether what is stated of charge, spin and fixed atoms is that of the structure."""
    if end.charge is not None and end.charge != structure.charge:
        raise InvalidStructure(
            f"{name}.charge: {end.charge}, and {structure.charge} in the structure; a path has one charge"
        )
    if end.multiplicity is not None and end.multiplicity != structure.multiplicity:
        own = structure.multiplicity
        raise InvalidStructure(
            f"{name}.multiplicity: {end.multiplicity}, and {'not stated' if own is None else own} in the "
            "structure; a path has one spin state: state it there, too"
        )
    held = [] if structure.fixed is None else np.flatnonzero(structure.fixed).tolist()
    if end.fixed is not None and sorted(set(end.fixed)) != held:
        raise InvalidStructure(
            f"{name}.fixed: {sorted(set(end.fixed))}, and {held} in the structure; atoms are fixed on all of "
            "the path: state the same, or none here"
        )


def shortest(start: Structure, end: Structure) -> Floats:
    """(N, 3), Å: from each atom to the nearest image of its place at the end."""
    moves: Floats = end.positions - start.positions
    if start.pbc.any():
        from ase.geometry import find_mic

        moves = find_mic(moves, start.cell, start.pbc)[0]
    return moves


def laid_upon(start: Structure, end: Structure) -> Structure:
    """The end, moved as a whole to where it is nearest to the start, by nearest images of its atoms;
    turned, too, where nothing repeats. Where atoms are fixed it stays.
    """
    if start.fixed is not None and start.fixed.any():
        positions = start.positions + shortest(start, end)
        positions[start.fixed] = start.positions[start.fixed]
        return end.at(positions)
    from ase.build import minimize_rotation_and_translation

    moved = _atoms(end)
    minimize_rotation_and_translation(_atoms(start), moved)
    return end.at(moved.positions)


def check_apart(start: Structure, end: Structure, name: str) -> None:
    """Whether two minima, laid upon each other, are two.

    Raises:
        InvalidStructure: they are one.
    """
    furthest = float(np.linalg.norm(end.positions - start.positions, axis=1).max())
    if furthest < SAME_MINIMUM:
        raise InvalidStructure(
            f"{name}: it comes to rest where the structure does (no atom is further than {furthest:.2g} Å "
            "from there); state ends in different minima"
        )


def parts_of(minimum: Relaxed) -> int:
    """How many parts it has that no pair of atoms within the model's cutoff joins."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    graph = minimum.graph
    assert graph is not None
    atoms = len(minimum.structure)
    pairs = (np.ones(graph.edge_index.shape[1]), graph.edge_index)
    return int(connected_components(csr_array(pairs, shape=(atoms, atoms)), directed=False)[0])


def _atoms(structure: Structure) -> Atoms:
    return Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
