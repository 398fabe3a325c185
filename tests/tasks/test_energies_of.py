"""`energies-of`: argon, whose energies add up; molecules of the bundled model, part by part."""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from pydantic import ValidationError

from app.backends import Backend
from app.backends.pair import PairBackend
from app.errors import EquipotError, InvalidRequest, InvalidStructure, NotConverged
from app.formats.smiles.embedder import Embedder
from app.tasks import TASKS, Chemist, Done
from app.tasks.differences.energies_of import EnergiesOfValue
from tests.tasks.doing import done, structure_of
from tests.tasks.test_crystals import lj

TASK = "energies-of"
PATIENCE = 120.0
FAST: dict[str, Any] = {"fmax_eV_per_A": 0.05, "conformers": 2}


@pytest.fixture(scope="module")
def chemist() -> Iterator[Chemist]:
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    embedder = Embedder()

    async def ask(question: Mapping[str, Any], what: str) -> dict[str, Any]:
        return await asyncio.to_thread(embedder.ask, question, what, PATIENCE)

    yield ask
    embedder.close()


def value_of(result: Done) -> EnergiesOfValue:
    assert isinstance(result.value, EnergiesOfValue)
    return result.value


def energies(result: Done) -> dict[str, float | None]:
    return {each.name: each.energy_eV for each in value_of(result).differences}


def near_and_far() -> Atoms:
    water = molecule("H2O")
    other = water.copy()
    other.translate([0, 0, 3.0])
    return water + other


def test_argon_adds_up(argon: PairBackend) -> None:
    places = np.array([[0, 0, 0], [0, 0, 3.7], [0, 3.6, 0.4]])
    result = done(
        argon, TASK, structure_of(Atoms("Ar3", places)), difference="interaction", relax=False
    )
    pairs = 0.0
    for pair in combinations(places, 2):
        atoms = Atoms("Ar2", list(pair))
        atoms.calc = lj()
        pairs += atoms.get_potential_energy()
    found = energies(result)
    assert found["interaction"] == pytest.approx(pairs, abs=1e-9)
    assert found["binding"] == pytest.approx(pairs, abs=1e-9)
    assert found["deformation"] == pytest.approx(0, abs=1e-12)
    assert value_of(result).parts[0].positions_A == places.tolist()


def test_adsorption_with_a_cell_and_fixed_atoms(argon: PairBackend) -> None:
    slab = fcc111("Ar", (2, 2, 2), a=5.3, vacuum=8)
    atoms = slab + Atoms("Ar", [[2.0, 1.5, slab.positions[:, 2].max() + 3.4]])
    structure = structure_of(atoms, fixed=[0, 1, 2, 3])
    asked: dict[str, Any] = {"difference": "interaction", "fmax_eV_per_A": 0.001}
    with pytest.raises(InvalidStructure, match="state which atoms its fragments are"):
        done(argon, TASK, structure, **asked)
    result = done(argon, TASK, structure, fragments=[[*range(8)], [8]], **asked)
    found = energies(result)
    assert found["binding"] == pytest.approx(found["interaction"] + found["deformation"], abs=1e-9)
    assert found["binding"] < -0.02
    frozen = value_of(result).parts[1]
    assert frozen.positions_A == result.relaxed.structure.positions[:8].tolist()


def test_a_complex_of_water(organic: Backend) -> None:
    result = done(
        organic,
        TASK,
        structure_of(near_and_far()),
        difference="interaction",
        **{"fmax_eV_per_A": 0.05},
    )
    found = energies(result)
    alone = done(
        organic, TASK, structure_of(molecule("H2O")), difference="deformation", fmax_eV_per_A=0.05
    )
    by_hand = result.relaxed.prediction.energy - 2 * alone.relaxed.prediction.energy
    assert found["binding"] == pytest.approx(by_hand, abs=2e-3)
    assert found["interaction"] <= found["binding"] < 0
    parts = {part.name: part for part in value_of(result).parts}
    assert [parts[f"at rest: {i}"].atoms for i in (0, 1)] == [[0, 1, 2], [3, 4, 5]]
    assert parts["at rest: 0"].is_relaxed
    assert not parts["as in the complex: 0"].is_relaxed


def test_strain_of_a_gauche_conformer_is_its_energy_above_anti(
    organic: Backend, chemist: Chemist
) -> None:
    butane = molecule("trans-butane")
    anti = done(organic, TASK, structure_of(butane), difference="deformation", fmax_eV_per_A=0.02)
    gone = [i for i in range(14) if min(butane.get_distance(i, j) for j in (2, 3)) < 1.2]
    butane.set_dihedral(0, 1, 2, 3, 65, indices=[3, *(i for i in gone if i not in (2, 3))])
    asked: dict[str, Any] = {"difference": "strain", "conformers": 6, "fmax_eV_per_A": 0.02}
    result = done(organic, TASK, structure_of(butane), chemist=chemist, **asked)
    found = energies(result)
    assert found["strain"] == pytest.approx(found["deformation"] + found["conformation"], abs=1e-9)
    gauche = result.relaxed.prediction.energy - anti.relaxed.prediction.energy
    assert found["conformation"] == pytest.approx(gauche, abs=2e-3)
    assert gauche > 0.01


def test_hydrogens_come_to_rest_first(organic: Backend) -> None:
    ethane = molecule("C2H6")
    ethane.positions[ethane.numbers == 1] *= 1.03
    asked: dict[str, Any] = {"difference": "deformation", "fmax_eV_per_A": 0.02}
    as_given = energies(done(organic, TASK, structure_of(ethane), **asked))["deformation"]
    rested = done(organic, TASK, structure_of(ethane), hydrogens=True, **asked)
    assert 0 <= energies(rested)["deformation"] < as_given
    moved = np.array(value_of(rested).parts[0].positions_A) - ethane.positions
    assert np.abs(moved[ethane.numbers == 6]).max() == 0
    assert np.abs(moved).max() > 0


def test_forms_are_ranked(organic: Backend, chemist: Chemist) -> None:
    amide = structure_of(molecule("CH3CONH2"))
    found = energies(done(organic, TASK, amide, difference="tautomers", chemist=chemist, **FAST))
    assert set(found) == {"CC(=N)O", "C=C(N)O"}
    assert [*found.values()] == sorted(found.values())
    assert min(found.values()) > 0.2  # the amide itself is the lowest
    result = done(organic, TASK, amide, difference="protomers", chemist=chemist, **FAST)
    assert [*energies(result)] == ["CC(N)=[OH+]", "CC([NH3+])=O"]  # at oxygen, as it is
    assert value_of(result).differences[0].energy_eV == 0
    assert {part.charge for part in value_of(result).parts[1:]} == {1}
    taken = done(organic, TASK, amide, difference="protomers", protons=-1, chemist=chemist, **FAST)
    assert [*energies(taken)] == ["CC([NH-])=O"]


def test_bonds_break_into_radicals_only_where_they_may(organic: Backend, chemist: Chemist) -> None:
    methanol = structure_of(molecule("CH3OH"))
    asked: dict[str, Any] = {"difference": "bond_dissociation", "chemist": chemist}
    with pytest.raises(NotConverged, match="knows closed shells only"):
        done(organic, TASK, methanol, **asked)
    asked |= {"bonds": [[0, 1]], "allow_odd_electrons": True, "fmax_eV_per_A": 0.1}
    result = done(organic, TASK, methanol, **asked)
    (found,) = value_of(result).differences
    known = {part.name: part.energy_eV for part in value_of(result).parts}
    assert found.energy_eV == pytest.approx(known["all but 1,3"] + known["1,3"] - known["molecule"])
    doubts = [warning.message for warning in result.warnings if warning.code == "doubtful_parts"]
    assert "odd_electrons" in doubts[0]


def test_bonds_break_into_ions(organic: Backend, chemist: Chemist) -> None:
    result = done(
        organic,
        TASK,
        structure_of(molecule("CH3OH")),
        difference="bond_dissociation",
        cleavage="heterolytic",
        chemist=chemist,
        fmax_eV_per_A=0.1,
    )
    # Each kind of bond once; those to hydrogen leave a bare proton.
    found = {each.name: each for each in value_of(result).differences}
    assert set(found) == {"0-1 (C-O)", "0-2 (C-H)", "1-3 (O-H)"}
    assert found["0-1 (C-O)"].energy_eV is not None
    assert "a bare proton" in (found["1-3 (O-H)"].error or "")
    assert "differences_missing" in [warning.code for warning in result.warnings]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "difference"),
        (
            {"difference": "strain", "fragments": [[0], [1]]},
            "fragments: is of interaction, and strain",
        ),
        ({"difference": "interaction", "fragments": [[0]]}, "at least 2"),
        (
            {"difference": "interaction", "cleavage": "homolytic"},
            "cleavage: is of bond_dissociation",
        ),
        ({"difference": "protomers", "protons": 2}, "Input should be 1 or -1"),
        (
            {"difference": "bond_dissociation", "bonds": [[0, 1], [1, 0]]},
            r"bonds.1: is bonds.0 again",
        ),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TASKS[TASK].options(**options)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"difference": "interaction"}, InvalidStructure, "is one molecule"),
        (
            {"difference": "interaction", "fragments": [[0, 1], [1, 2]]},
            InvalidStructure,
            "atom 1 is not there, or twice",
        ),
        (
            {"difference": "interaction", "fragments": [[0], [1]]},
            InvalidStructure,
            "atom 2 is in none",
        ),
        (
            {"difference": "interaction", "fragments": [[0], [1, 2]], "charges": [1, 1]},
            InvalidRequest,
            "expected 2 that add up to 0",
        ),
        ({"difference": "tautomers"}, InvalidRequest, "no RDKit"),
        ({"difference": "bond_dissociation"}, InvalidRequest, "state them"),
        ({"difference": "bond_dissociation", "bonds": [[0, 9]]}, InvalidStructure, "atoms 0 to 2"),
        ({"difference": "bond_dissociation", "bonds": [[1, 2]]}, InvalidStructure, "too far apart"),
    ],
)
def test_what_cannot_be_done(
    organic: Backend, options: dict[str, Any], error: type[EquipotError], told: str
) -> None:
    with pytest.raises(error, match=told):
        done(organic, TASK, structure_of(molecule("H2O")), **options)


def test_a_bond_of_a_ring_leaves_no_two_parts(organic: Backend) -> None:
    ring = structure_of(molecule("C6H6"))
    with pytest.raises(InvalidStructure, match="0-1 is in a ring"):
        done(organic, TASK, ring, difference="bond_dissociation", bonds=[[0, 1]])
