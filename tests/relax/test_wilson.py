"""Internal coordinates: which there are, their derivatives, and the Hessian that is made of them."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from app.atoms.structure import Floats, Structure
from app.formats.ase_atoms import from_ase
from app.relax.coordinates import CARTESIAN, Coordinates
from app.relax.primitives import Primitives, find_primitives


def rattled(atoms: Atoms) -> Structure:
    atoms.rattle(0.05, seed=1)
    return from_ase(atoms)


STRUCTURES = [
    rattled(molecule("CH3CH2OH")),
    rattled(molecule("HCN")),
    rattled(molecule("N2")),
    rattled(bulk("Si")),
    rattled(bulk("C", cubic=True)),
]


@pytest.fixture(scope="module")
def primitives() -> list[Primitives]:
    return [find_primitives(structure) for structure in STRUCTURES]


@pytest.fixture(scope="module")
def coordinates(primitives: list[Primitives]) -> Coordinates:
    return Coordinates(primitives, np.ones(sum(map(len, STRUCTURES)), dtype=bool))


@pytest.fixture(scope="module")
def x() -> Floats:
    """(3 N,), Å: not where the coordinates were chosen."""
    positions = np.concatenate([s.positions.ravel() for s in STRUCTURES])
    return positions + np.random.default_rng(0).normal(0, 0.05, positions.shape)


def test_which_there_are(primitives: list[Primitives]) -> None:
    """Silicon's second atom has bonds to four images of the first, and each torsion six ends."""
    kinds = [
        [p.counts[kind] for kind in ("bonds", "angles", "bends", "torsions")] for p in primitives
    ]
    assert kinds == [[8, 13, 0, 12], [2, 0, 3, 0], [1, 0, 0, 0], [4, 12, 0, 36], [16, 48, 0, 144]]
    assert not any(len(p.images) for p in primitives[:3])


def test_derivatives_are_those_of_the_values(coordinates: Coordinates, x: Floats) -> None:
    values, derivatives = coordinates.derived(x)
    np.testing.assert_array_equal(values, coordinates.values(x))
    rng, h = np.random.default_rng(1), 1e-5
    for _ in range(5):
        v = rng.normal(size=x.shape)
        ahead, behind = coordinates.values(x + h * v), coordinates.values(x - h * v)
        slope = coordinates.difference(ahead, behind) / (2 * h)
        np.testing.assert_allclose(coordinates.along(derivatives, v), slope, atol=1e-7)
        pulls = rng.normal(size=values.shape)
        back = coordinates.back(derivatives, pulls)
        assert np.vdot(back, v) == pytest.approx(np.vdot(pulls, slope), abs=1e-6)


def test_the_hessian_is_that_of_springs(coordinates: Coordinates, x: Floats) -> None:
    derivatives = coordinates.derived(x)[1]
    rows = [coordinates.along(derivatives, unit) for unit in np.eye(len(x))]
    springs = np.array(rows) * coordinates.constants @ np.array(rows).T
    first = 0
    for lower in coordinates.hessians(derivatives):
        hessian = np.tril(lower) + np.tril(lower, -1).T
        own = slice(first, first + len(hessian))
        np.testing.assert_allclose(hessian, springs[own, own], atol=1e-10)
        assert np.linalg.eigvalsh(hessian)[0] >= CARTESIAN - 1e-10
        first += len(hessian)


def test_a_torsion_turns_the_shorter_way(coordinates: Coordinates, x: Floats) -> None:
    values = coordinates.values(x)
    before, after = np.full_like(values, 3.1), np.full_like(values, -3.1)
    change = np.unique(np.round(coordinates.difference(after, before), 6))
    np.testing.assert_allclose(change, [-6.2, 2 * np.pi - 6.2], atol=1e-6)
