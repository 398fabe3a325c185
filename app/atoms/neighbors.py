"""Neighbour lists: the graph of a structure, exact in every kind of cell.

Molecules of up to `DENSE_ATOMS` atoms take a dense pair matrix in numpy. Everything else takes the
cell list of `vesin`, asked for each pair once, so that the reverse of an edge is known by
construction.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from app.atoms import cell_list, hash_grid
from app.atoms.graph import Graph, collate
from app.atoms.ragged import starts_of
from app.atoms.structure import MIN_DISTANCE, Floats, Integers, Structure, periodic_cell
from app.errors import AtomsTooClose, InvalidStructure, StructureTooLarge

MAX_EDGES = 10_000_000
"""Directed edges of one structure; each takes about 0.1 kB while the list is made."""
DENSE_ATOMS = 300
"""Molecules up to this size are searched faster by all pairs than by a cell list."""
DENSE_PAIRS = 65_536
"""Pairs of one dense block of molecules; larger blocks leave the processor's cache."""
SLACK = 8
"""By how much the estimate of edges may exceed the limit: it is too high for sheets and wires."""
MOST_CELLS = 50_000
"""Cells, one cutoff wide, of the largest box that is searched by `vesin`; beyond 100,000 its grid
can end up with none in a thin direction, and a division by zero ends the process.
"""
SKEW = 0.5
"""Height over length of a lattice vector; a more skewed cell is reduced before the search."""


def build_graph(structure: Structure, cutoff: float, max_edges: int = MAX_EDGES) -> Graph:
    """The graph of one structure: its pairs closer than the cutoff, images included.

    Args:
        structure: atoms, which may lie outside the cell.
        cutoff: Å, > 0.
        max_edges: limit of directed edges, estimated before memory is taken.

    Raises:
        AtomsTooClose: two atoms, or an atom and an image, are closer than `MIN_DISTANCE`; names
            both.
        StructureTooLarge: more than `max_edges` edges.
    """
    if _is_small_molecule(structure):
        return _dense_graph([structure], cutoff, max_edges)
    return cell_list_graph(structure, cutoff, max_edges)


def build_graphs(
    structures: Sequence[Structure], cutoff: float, max_edges: int = MAX_EDGES
) -> Graph:
    """The graph of B >= 1 structures, in their order.

    Neighbouring small molecules are searched together.

    Args:
        structures: at least one.
        cutoff: Å, > 0.
        max_edges: limit of directed edges of each structure.

    Raises:
        InvalidStructure: as `build_graph`; names the structure, too.
        StructureTooLarge: as `build_graph`; names the structure, too.
    """
    try:
        return collate([_run_graph(run, cutoff, max_edges) for run in _runs(structures)])
    except (InvalidStructure, StructureTooLarge):
        for index, structure in enumerate(structures):
            _build_named(index, structure, cutoff, max_edges)
        raise


def _run_graph(run: Sequence[Structure], cutoff: float, max_edges: int) -> Graph:
    return (
        build_graph(run[0], cutoff, max_edges)
        if len(run) == 1
        else _dense_graph(run, cutoff, max_edges)
    )


def _build_named(index: int, structure: Structure, cutoff: float, max_edges: int) -> None:
    try:
        build_graph(structure, cutoff, max_edges)
    except (InvalidStructure, StructureTooLarge) as error:
        raise type(error)(f"structure {index}: {error}") from error


def _is_small_molecule(structure: Structure) -> bool:
    return len(structure) <= DENSE_ATOMS and not structure.pbc.any()


def _runs(structures: Sequence[Structure]) -> Iterator[Sequence[Structure]]:
    """Consecutive structures that are searched together.

    Several are small molecules, of up to `DENSE_PAIRS` padded pairs in all.
    """
    run: list[Structure] = []
    width, is_open = 0, False
    for structure in structures:
        size, is_small = len(structure), _is_small_molecule(structure)
        width = max(width, size)
        joins = is_open and is_small and (len(run) + 1) * width**2 <= DENSE_PAIRS
        if run and not joins:
            yield run
            run, width = [], size
        run.append(structure)
        is_open = is_small
    if run:
        yield run


def _dense_graph(structures: Sequence[Structure], cutoff: float, max_edges: int) -> Graph:
    """The graph of molecules from their (B, n, n) distances, n the size of the largest."""
    sizes = np.array([len(s) for s in structures])
    width = int(sizes.max())
    squares = _squared_distances(_padded(structures, sizes), width)
    inside = squares < cutoff * cutoff  # false for the padding, which is NaN
    inside.reshape(len(sizes), width * width)[:, :: width + 1] = False
    n_edges = np.count_nonzero(inside, axis=(1, 2))
    _check_edges(int(n_edges.max()), cutoff, max_edges)

    slots = np.flatnonzero(inside)
    _check_slots(structures, slots, squares, width)
    edge_index, edge_reverse = _dense_edges(slots, inside.size, width)
    if len(sizes) > 1:
        padding = np.arange(len(sizes)) * width - starts_of(sizes)[:-1]
        edge_index -= np.repeat(padding, n_edges)
    return _graph(
        structures, edge_index, np.zeros((slots.size, 3), dtype=np.int64), edge_reverse, n_edges
    )


def _dense_edges(slots: Integers, n_slots: int, width: int) -> tuple[Integers, Integers]:
    """Edges, counting padded atoms, and their reverse, from indices in a flat (B, n, n) array."""
    rank = np.empty(n_slots, dtype=np.int64)
    rank[slots] = np.arange(slots.size)
    centre = slots // width
    first = centre - centre % width
    neighbour = first + slots - centre * width
    return np.stack([centre, neighbour]), rank[neighbour * width + centre - first]


def _check_slots(
    structures: Sequence[Structure], slots: Integers, squares: Floats, width: int
) -> None:
    of_pairs = squares.ravel()[slots]
    if of_pairs.size and of_pairs.min() < MIN_DISTANCE**2:
        structure, i, j = np.unravel_index(slots[of_pairs.argmin()], squares.shape)
        raise _too_close(
            structures[structure],
            (int(i), int(j)),
            np.zeros(3, dtype=np.int64),
            math.sqrt(of_pairs.min()),
        )


def _padded(structures: Sequence[Structure], sizes: Integers) -> Floats:
    """(B, n, 3), Å: positions, NaN beyond each structure's own atoms."""
    if len(structures) == 1:
        return structures[0].positions[None]
    padded = np.full((len(sizes), int(sizes.max()), 3), np.nan)
    padded[np.arange(padded.shape[1]) < sizes[:, None]] = np.concatenate(
        [s.positions for s in structures]
    )
    return padded


def _squared_distances(positions: Floats, width: int) -> Floats:
    """(B, n, n), Å²: symmetric to the last bit."""
    squares = np.zeros((len(positions), width, width))
    for axis in range(3):
        along = positions[:, :, axis]
        difference = along[:, None, :] - along[:, :, None]
        squares += difference * difference
    return squares


def cell_list_graph(structure: Structure, cutoff: float, max_edges: int) -> Graph:
    """The graph of one structure from a list of its pairs."""
    cell, combination = search_cell(structure)
    check_lattice(structure, cell, combination)
    box = _search_box(structure, cell, cutoff)
    _check_density(structure.positions, box, cutoff, max_edges)
    with _half_list(structure.positions, box, cutoff) as (pairs, shifts, distances):
        _check_edges(2 * len(pairs), cutoff, max_edges)
        _check_pairs(structure, pairs, shifts, distances, combination)
        centres = pairs.T.flatten()  # of the M pairs, then of the same pairs reversed
        order, rank = _centre_order(centres, len(structure))
        edge_shift = _edge_shifts(shifts, rank, combination)
    edge_index = np.stack([centres[order], np.roll(centres, len(pairs))[order]])
    edge_reverse = np.roll(rank, len(pairs))[order]
    return _graph([structure], edge_index, edge_shift, edge_reverse, [order.size])


def _half_list(
    positions: Floats, box: Floats, cutoff: float
) -> AbstractContextManager[tuple[Integers, Integers, Floats]]:
    """The half list, by whichever search is made for a box of this size."""
    if np.prod(np.maximum(1.0, heights(box) / cutoff)) <= MOST_CELLS:
        return cell_list.half_list(positions, box, cutoff)
    return nullcontext(hash_grid.half_list(positions, box, cutoff))


def search_cell(structure: Structure) -> tuple[Floats, Integers]:
    """A compact cell of the same lattice.

    Returns:
        (3, 3), Å, its vectors in rows; and (3, 3), the integer combinations of the structure's
        vectors that they are.
    """
    cell = periodic_cell(structure.cell, structure.pbc)
    if (heights(cell) >= SKEW * np.linalg.norm(cell, axis=1)).all():
        return cell, np.eye(3, dtype=np.int64)
    from ase.geometry import minkowski_reduce

    combination: Integers = minkowski_reduce(cell, pbc=structure.pbc)[1]
    return combination @ cell, combination


def _search_box(structure: Structure, cell: Floats, cutoff: float) -> Floats:
    """The cell, as wide in directions without period as is needed to keep images out of reach."""
    if structure.pbc.all():
        return cell
    extents = np.ptp(structure.positions @ cell.T, axis=0) + 2.0 * cutoff
    return np.where(structure.pbc, 1.0, extents)[:, None] * cell


def _centre_order(centres: Integers, n_atoms: int) -> tuple[Integers, Integers]:
    """Order of the edges by centre, and each one's rank: a radix sort by digits of 16 bits."""
    order = np.argsort(centres.astype(np.uint16), kind="stable")
    if n_atoms > 2**16:
        order = order[np.argsort((centres[order] >> 16).astype(np.uint16), kind="stable")]
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return order, rank


def _edge_shifts(shifts: Integers, rank: Integers, combination: Integers) -> Integers:
    """(2M, 3) translations by the structure's own lattice vectors, in the order of the edges."""
    edge_shift = np.zeros((rank.size, 3), dtype=np.int64)
    crossing = np.flatnonzero(shifts[:, 0] | shifts[:, 1] | shifts[:, 2])
    own = shifts[crossing] @ combination
    edge_shift[rank[crossing]] = own
    edge_shift[rank[crossing + len(shifts)]] = -own
    return edge_shift


def _graph(
    structures: Sequence[Structure],
    edge_index: Integers,
    edge_shift: Integers,
    edge_reverse: Integers,
    n_edges: Integers | Sequence[int],
) -> Graph:
    one = structures[0] if len(structures) == 1 else None
    numbers = one.numbers if one else np.concatenate([s.numbers for s in structures])
    n_atoms = np.array([len(s) for s in structures])
    return Graph(
        numbers=numbers,
        positions=one.positions if one else np.concatenate([s.positions for s in structures]),
        cell=np.array([s.cell for s in structures]),
        pbc=np.array([s.pbc for s in structures]),
        edge_index=edge_index,
        edge_shift=edge_shift,
        edge_reverse=edge_reverse,
        n_atoms=n_atoms,
        n_whole=n_atoms,
        n_edges=np.asarray(n_edges),
        charge=np.array([s.charge for s in structures]),
        multiplicity=np.array([s.multiplicity or 0 for s in structures]),
        halo=np.zeros(len(numbers), dtype=bool),
    )


def heights(cell: Floats) -> Floats:
    """(3,), Å: distances between the planes that each pair of the other vectors spans."""
    between: Floats = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    return between


def check_lattice(structure: Structure, cell: Floats, combination: Integers) -> None:
    """Refuse a lattice that puts an atom's image on the atom; its search would take forever.

    Args:
        structure: with this lattice.
        cell: (3, 3), Å, as of `search_cell`.
        combination: (3, 3), as of `search_cell`.

    Raises:
        AtomsTooClose: names the atom, the image and their distance.
    """
    lengths = np.linalg.norm(cell, axis=1)
    short = np.flatnonzero(structure.pbc & (lengths < MIN_DISTANCE))
    if short.size:
        raise _too_close(structure, (0, 0), combination[short[0]], lengths[short[0]])


def _check_density(positions: Floats, box: Floats, cutoff: float, max_edges: int) -> None:
    """Refuse what would not fit into memory, from the atoms in each of a grid's bins.

    Atoms are taken to be spread evenly within a bin and around it, so that each of a bin's c atoms
    has c · (4/3)π·cutoff³ / (volume of a bin) neighbours. The bins are about cutoff/√3 wide.
    """
    across = heights(box)
    if len(positions) ** 2 * np.prod(2.0 * np.ceil(cutoff / across) + 1.0) <= max_edges:
        return
    bins = np.maximum(1, np.floor(across * math.sqrt(3.0) / cutoff)).astype(np.int64)
    own = np.floor((positions @ np.linalg.inv(box)) % 1.0 * bins).astype(np.int64)
    counts = np.unique((own[:, 0] * bins[1] + own[:, 1]) * bins[2] + own[:, 2], return_counts=True)[
        1
    ]
    neighbours = 4.0 / 3.0 * math.pi * cutoff**3 * bins.prod() / abs(np.linalg.det(box))
    estimate = float((counts.astype(np.float64) ** 2).sum() * neighbours)
    if estimate > SLACK * max_edges:
        raise StructureTooLarge(too_many(f"about {estimate:.1e}", cutoff, max_edges))


def _check_edges(n_edges: int, cutoff: float, max_edges: int) -> None:
    if n_edges > max_edges:
        raise StructureTooLarge(too_many(str(n_edges), cutoff, max_edges))


def too_many(count: str, cutoff: float, max_edges: int) -> str:
    """What is said of a structure with more edges than a limit."""
    return (
        f"{count} neighbour pairs within {cutoff:g} Å; the limit is {max_edges}; "
        "send fewer atoms, or check positions, cell and the unit of their lengths"
    )


def _check_pairs(
    structure: Structure,
    pairs: Integers,
    shifts: Integers,
    distances: Floats,
    combination: Integers,
) -> None:
    if len(pairs) and distances.min() < MIN_DISTANCE:
        pair = int(distances.argmin())
        raise _too_close(
            structure, pairs[pair].tolist(), shifts[pair] @ combination, distances[pair]
        )


def _too_close(
    structure: Structure, atoms: Sequence[int], shift: Integers, distance: float
) -> AtomsTooClose:
    first, second = (f"atom {atom} ({structure.symbols[atom]})" for atom in atoms)
    if shift.any():
        second = f"the image of {second} in cell {shift.tolist()}"
    return AtomsTooClose(
        f"{first} and {second} are {distance:.3g} Å apart, and at least {MIN_DISTANCE} Å is needed; "
        "move or remove one of them, or check the cell and the unit of lengths"
    )
