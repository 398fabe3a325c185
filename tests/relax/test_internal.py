"""L-BFGS in internal coordinates."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import covalent_radii

from app.atoms.neighbors import build_graph
from app.atoms.structure import Floats, Structure
from app.backends import Backend, load_backend
from app.backends.pair import PairBackend
from app.errors import InvalidRequest
from app.formats.ase_atoms import from_ase
from app.relax import Relaxed, RelaxOptions
from app.relax.internal import Internal
from app.relax.rows import Rows, first_rows
from app.store.store import ModelStore
from tests.paths import MODEL_STORE
from tests.relax.relaxing import MILLI, relaxed

NAMES = [
    "CH3CH2OH",
    "HCN",
    "CO2",
    "C2H2",
    "H2O",
    "NH3",
    "C6H6",
    "H2CO",
    "HCOOH",
    "CH3CN",
    "N2",
    "O3",
]


Bond = tuple[int, int]


@pytest.fixture(scope="module")
def organic() -> Backend:
    return load_backend(ModelStore(MODEL_STORE).load("organic-xtb"), threads=1)


def options(optimizer: Any = "internal", **others: Any) -> RelaxOptions:
    return RelaxOptions(optimizer=optimizer, **{"fmax": 0.01, "steps": 300, **others})


def distance(end: Relaxed, i: int, j: int) -> float:
    return float(np.linalg.norm(end.structure.positions[i] - end.structure.positions[j]))


def test_minima_are_those_of_lbfgs_in_fewer_steps(organic: Backend) -> None:
    """Among them straight and flat ones, and one of two atoms."""
    starts = [from_ase(molecule(name)) for name in NAMES]
    rng = np.random.default_rng(0)
    starts += [replace(s, positions=s.positions + rng.normal(0, 0.1, (len(s), 3))) for s in starts]
    mine = relaxed(organic, starts, options(fmax=0.003))
    theirs = relaxed(organic, starts, options("lbfgs", fmax=0.003))
    for name, own, other in zip(2 * NAMES, mine, theirs, strict=True):
        assert own.converged, name
        assert own.prediction.energy == pytest.approx(other.prediction.energy, abs=MILLI), name
    assert 1.2 * sum(own.steps for own in mine) < sum(other.steps for other in theirs)


def springs(reference: Floats) -> Any:
    """Forces (N, 3) by positions, of springs between all atoms: nothing but distances counts."""
    pairs = np.triu_indices(len(reference), 1)
    rest = np.linalg.norm(reference[pairs[0]] - reference[pairs[1]], axis=1)

    def forces(positions: Floats) -> Floats:
        vectors = positions[pairs[0]] - positions[pairs[1]]
        lengths = np.linalg.norm(vectors, axis=1)
        pulls = (3.0 * (lengths - rest) / lengths)[:, None] * vectors
        total = np.zeros_like(positions)
        np.add.at(total, pairs[0], -pulls)
        np.add.at(total, pairs[1], pulls)
        return total

    return forces


def path(structure: Structure, forces: Any, steps: int) -> list[Floats]:
    """Where the atoms are after each step."""
    state, rows, x = Internal(), Rows(np.array([len(structure)])), first_rows(structure.positions)
    positions = []
    for _ in range(steps):
        on_rows = np.concatenate([forces(x[:-3]), np.zeros((3, 3))])
        x = x + Internal.moves([state], x, on_rows, rows, [structure])
        positions.append(x[:-3])
    return positions


def test_the_path_turns_moves_and_is_permuted_with_the_structure() -> None:
    ethanol = molecule("CH3CH2OH")
    start = ethanol.copy()
    start.rattle(0.2, seed=3)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    order = np.random.default_rng(2).permutation(len(start))
    other = Atoms(start.numbers[order], start.positions[order] @ turn + 5.0)
    one = path(from_ase(start), springs(ethanol.positions), 12)
    two = path(from_ase(other), springs(ethanol.positions[order]), 12)
    for here, there in zip(one, two, strict=True):
        np.testing.assert_allclose(here[order] @ turn + 5.0, there, atol=1e-8)
    assert np.abs(one[-1] - start.positions).max() > 0.1


def test_fixed_atoms_stay_to_the_last_bit(organic: Backend) -> None:
    start = from_ase(molecule("CH3CH2OH"))
    positions = start.positions + np.random.default_rng(0).normal(0, 0.1, (9, 3))
    fixed = np.arange(9) < 3
    start = replace(start, positions=positions, fixed=fixed)
    (mine,) = relaxed(organic, [start], options())
    assert mine.converged
    np.testing.assert_array_equal(mine.structure.positions[fixed], positions[fixed])
    assert np.linalg.norm(mine.structure.positions - positions, axis=1)[~fixed].min() > 0.01


def test_atoms_that_collide_at_the_start_come_apart(organic: Backend) -> None:
    """Two hydrogens are at 0.42 Å, as if they were bonded."""
    methane = molecule("CH4").positions
    two = Atoms("CH4CH4", np.concatenate([methane, 1.5 - methane]))
    (mine,) = relaxed(organic, [from_ase(two)], options(fmax=0.02))
    assert mine.converged, mine.reason
    apart = mine.structure.positions[:5, None] - mine.structure.positions[None, 5:]
    assert np.linalg.norm(apart, axis=2).min() > 2.0
    assert distance(mine, 0, 1) == pytest.approx(1.09, abs=0.03)


def bonds_on_the_way(backend: Backend, start: Structure) -> tuple[list[set[Bond]], Floats]:
    """Which bonds have coordinates, anew where that changes, and where the atoms are in the end."""
    state, rows, x = Internal(), Rows(np.array([len(start)])), first_rows(start.positions)
    bonds: list[set[Bond]] = []
    for _ in range(100):
        forces = backend(build_graph(start.at(x[:-3]), backend.card.cutoff)).forces
        assert forces is not None
        if np.linalg.norm(forces, axis=1).max() < 0.02:
            return bonds, x[:-3]
        on_rows = np.concatenate([forces, np.zeros((3, 3))])
        x = x + Internal.moves([state], x, on_rows, rows, [start])
        here = set(zip(*np.sort(state.coordinates.bonded[:2], axis=0).tolist(), strict=True))
        bonds += [] if bonds[-1:] == [here] else [here]
    raise AssertionError(f"not converged, with bonds {bonds}")


@pytest.mark.parametrize("seed", [7, 9])
def test_atoms_that_are_shaken_into_a_bond_come_apart_again(organic: Backend, seed: int) -> None:
    """The two oxygens of a formic acid, displaced by 0.4 Å: as close as if they were bonded at first."""
    atoms = molecule("HCOOH")
    oxygens = tuple(np.flatnonzero(atoms.numbers == 8).tolist())
    atoms.rattle(0.4, seed=seed)
    bonds, end = bonds_on_the_way(organic, from_ase(atoms))
    assert oxygens in bonds[0]
    assert oxygens not in bonds[-1]
    assert np.linalg.norm(end[oxygens[0]] - end[oxygens[1]]) > 2.1
    (mine,) = relaxed(organic, [from_ase(atoms)], options(fmax=0.02))
    assert mine.converged
    np.testing.assert_allclose(mine.structure.positions, end, atol=1e-3)


def test_atoms_that_meet_on_the_way_become_bonded(organic: Backend) -> None:
    """A hydrogen at 1.8 Å from a methyl, with which it has no bond at the start."""
    methane = molecule("CH4")
    methane.set_distance(0, 1, 1.8, fix=0)
    bonds, end = bonds_on_the_way(organic, from_ase(methane))
    assert [(0, 1) in some for some in bonds] == [False, True]
    np.testing.assert_allclose(np.linalg.norm(end[1:] - end[0], axis=1), 1.09, atol=0.02)


def test_a_stretched_bond_comes_back(organic: Backend) -> None:
    water = molecule("H2O")
    water.set_distance(0, 1, 1.6, fix=0)
    (mine,) = relaxed(organic, [from_ase(water)], options())
    assert mine.converged
    assert distance(mine, 0, 1) == pytest.approx(0.96, abs=0.02)


def test_bonds_that_form_on_the_way_get_coordinates(organic: Backend) -> None:
    """And such that break lose them."""
    far = 1.35 * sum(covalent_radii[[6, 1]])
    methane = molecule("CH4")
    methane.set_distance(0, 1, far, fix=0)
    state, structure = Internal(), from_ase(methane)
    rows = Rows(np.array([5]))
    for length, bonds in ((far, 3), (0.9, 4), (2.0, 3)):
        methane.set_distance(0, 1, length, fix=0)
        x = first_rows(methane.positions)
        Internal.moves([state], x, np.zeros_like(x), rows, [structure])
        assert state.coordinates.counts["bonds"] == bonds


def test_an_angle_that_becomes_straight_becomes_a_bend() -> None:
    state, structure, rows = Internal(), from_ase(molecule("H2O")), Rows(np.array([3]))
    for angle, bends in ((120.0, 0), (172.0, 0), (180.0, 3), (165.0, 3), (150.0, 0)):
        half = np.deg2rad(angle / 2)
        arm = 0.96 * np.array([[0, 0, 0], [np.sin(half), np.cos(half), 0]])
        x = first_rows(np.array([arm[0], arm[1], arm[1] * [-1, 1, 1]]))
        moves = Internal.moves([state], x, np.zeros_like(x), rows, [structure])
        assert state.coordinates.counts["bends"] == bends
        assert np.isfinite(moves).all()


def test_fragments_and_crystals_that_keep_their_cell(backend: PairBackend) -> None:
    crystal = bulk("Ar", cubic=True, a=5.3)
    crystal.rattle(0.1, seed=1)
    grid = Atoms("Ar7", 3.8 * np.array([[i, j, 0] for i in range(3) for j in range(3)][:7]))
    grid.rattle(0.2, seed=2)
    starts = [from_ase(crystal), from_ase(grid)]
    mine = relaxed(backend, starts, options(fmax=0.001))
    theirs = relaxed(backend, starts, options("lbfgs", fmax=0.001))
    for own, other in zip(mine, theirs, strict=True):
        assert own.converged
        assert own.prediction.energy <= other.prediction.energy + MILLI


def test_what_it_does_not_take_is_refused(backend: PairBackend) -> None:
    crystal = from_ase(bulk("Ar", cubic=True, a=5.4))
    with pytest.raises(InvalidRequest, match="'internal' does not move cells, and cell is 'full'"):
        relaxed(backend, [crystal], options(cell="full"))
    many = from_ase(bulk("Ar", cubic=True, a=5.4) * (5, 4, 4))
    with pytest.raises(InvalidRequest, match="up to 300 atoms, and there are 320"):
        relaxed(backend, [many], options())
