"""The bundled model where its data end: nothing falls into a hole, and bonds that are too short or too
long come back.
"""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from ase.build import molecule
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import natural_cutoffs, neighbor_list

from app.atoms.structure import Structure
from app.formats.ase_atoms import from_ase
from app.relax.bonds import changed_bonds
from app.store.store import ModelStore
from tests.api.server import running
from tests.paths import MODEL_STORE

MODEL = "organic-xtb"
CARD = ModelStore(MODEL_STORE).load(MODEL).card
DISTANCES = (0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
"""Å, between two atoms."""
CLOSEST = 0.6
"""Times the sum of two covalent radii: nothing that is bonded is shorter."""
FACTORS = (0.6, 0.75, 1.25, 1.5)
"""Of a bond's length."""
MOLECULES = (
    "H2O",
    "NH3",
    "CH4",
    "C2H6",
    "C2H4",
    "CH3OH",
    "H2CO",
    "H3CNH2",
    "HCN",
    "CH3Cl",
    "CH3SH",
    "CH3OCH3",
    "CH3COOH",
    "CH3CONH2",
)


@pytest.fixture(scope="module")
def relax():
    """Structures relaxed by the service with its defaults."""
    with running(MODEL_STORE, default_model=MODEL) as server:

        def relaxed(structures):
            document = {
                "structures": [
                    {
                        "numbers": s.numbers.tolist(),
                        "positions": s.positions.tolist(),
                        "charge": s.charge,
                    }
                    for s in structures
                ],
                "relax": True,
            }
            return server.client.post("/predict", json=document).json()["results"]

        yield relaxed


def pair(one, other, distance):
    """Two atoms, with the charge that leaves no electron alone."""
    numbers = np.array([atomic_numbers[one], atomic_numbers[other]])
    positions = np.array([[0.0, 0, 0], [distance, 0, 0]])
    return Structure(numbers, positions, charge=int(numbers.sum() % 2))


@pytest.mark.parametrize(
    ("one", "other"), list(combinations_with_replacement(CARD.elements, 2)), ids="-".join
)
def test_no_pair_of_elements_falls_together(relax, one, other):
    least = CLOSEST * (covalent_radii[atomic_numbers[one]] + covalent_radii[atomic_numbers[other]])
    for distance, result in zip(
        DISTANCES, relax([pair(one, other, d) for d in DISTANCES]), strict=True
    ):
        assert "error" not in result, (distance, result)
        relaxed = result["relaxed"]
        first, second = np.array(relaxed["positions"])
        apart = np.linalg.norm(first - second)
        # where the forces are beyond the limit, it ends where it begins
        if relaxed["reason"].startswith("exploded"):
            assert distance < least
            assert apart >= distance - 1e-6
        else:
            assert apart > least, (distance, relaxed)


def distorted(name):
    """A molecule with each bond that holds two parts together pressed or stretched."""
    atoms = molecule(name)
    bonds = np.transpose(neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.15)))
    for one, other in bonds[bonds[:, 0] < bonds[:, 1]]:
        part = {int(other)}
        for _ in atoms:
            part |= {int(j) for i, j in bonds if i in part and (i, j) != (other, one)}
        if one in part:  # of a ring
            continue
        vector = atoms.positions[other] - atoms.positions[one]
        for factor in FACTORS:
            moved = atoms.copy()
            moved.positions[list(part)] += (factor - 1) * vector
            yield from_ase(moved)


@pytest.mark.parametrize("name", MOLECULES)
def test_a_bond_that_is_pressed_or_stretched_comes_back(relax, name):
    starts, minimum = list(distorted(name)), from_ase(molecule(name))
    for start, result in zip(starts, relax(starts), strict=True):
        assert "error" not in result, result
        end = np.array(result["relaxed"]["positions"])
        assert not changed_bonds(minimum, Structure(start.numbers, end)), result["relaxed"]
