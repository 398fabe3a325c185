"""`conformers`, by the real RDKit and the bundled model; molecules whose conformers are known."""

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from ase.build import molecule

from app.atoms.structure import Structure
from app.backends import Backend
from app.backends.pair import PairBackend
from app.errors import InvalidRequest, InvalidStructure, NotConverged, UnsupportedElement
from app.formats.notation import Smiles
from app.formats.smiles import Conformers, Embedder
from app.store.card import ModelCard
from app.tasks import Chemist, Done
from app.tasks.conformers.conformers import ConformersValue, boltzmann
from tests.tasks.doing import done, structure_of

pytest.importorskip("rdkit", reason="RDKit is not installed")
PATIENCE = 60.0


@pytest.fixture(scope="module")
def embedder() -> Iterator[Embedder]:
    embedder = Embedder()
    yield embedder
    embedder.close()


@pytest.fixture(scope="module")
def chemist(embedder: Embedder) -> Chemist:
    async def ask(question: Mapping[str, Any], what: str) -> dict[str, Any]:
        return await asyncio.to_thread(embedder.ask, question, what, PATIENCE)

    return ask


def drawn(embedder: Embedder, smiles: str) -> Conformers:
    return embedder.embed(Smiles(smiles), 1000, PATIENCE)


def value_of(result: Done) -> ConformersValue:
    assert isinstance(result.value, ConformersValue)
    return result.value


def torsion(positions: Any, atoms: tuple[int, ...] = (0, 1, 2, 3)) -> float:
    a, b, c, d = np.asarray(positions)[list(atoms)]
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return float(angle * np.sign(first @ (d - c)))


def test_butane_has_three(organic: Backend, embedder: Embedder, chemist: Chemist) -> None:
    butane = drawn(embedder, "CCCC")
    given: dict[str, Any] = {"topology": butane.topology, "chemist": chemist, "count": 12}
    value = value_of(done(organic, "conformers", butane.structures[0], **given))
    assert value.n_distinct == len(value.conformers) == 3
    assert value.n_made == 13 == 3 + value.n_duplicates
    angles = sorted(torsion(c.positions_A) for c in value.conformers)
    assert abs(abs(angles[-1]) - 180) < 1 or abs(abs(angles[0]) - 180) < 1
    gauche = sorted(angle for angle in angles if abs(angle) < 90)
    assert gauche == pytest.approx([-65, 65], abs=8)
    weights = [c.weight for c in value.conformers]
    assert sum(weights) == pytest.approx(1)
    above = np.array([c.relative_energy_eV for c in value.conformers])
    assert above[0] == 0
    assert weights == pytest.approx(boltzmann(above, 298.15))
    few = value_of(done(organic, "conformers", butane.structures[0], keep=1, **given))
    assert (len(few.conformers), few.n_distinct) == (1, 3)


def test_bonds_of_a_geometry_alone_are_found(organic: Backend, chemist: Chemist) -> None:
    value = value_of(
        done(organic, "conformers", structure_of(molecule("CH3CH2OH")), chemist=chemist, count=9)
    )
    assert value.n_distinct == 3  # the hydroxyl group is anti, or gauche on either side
    assert value.symbols == molecule("CH3CH2OH").get_chemical_symbols()


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "C/C=C\\C"])
def test_configurations_are_kept(
    organic: Backend, embedder: Embedder, chemist: Chemist, smiles: str
) -> None:
    given = drawn(embedder, smiles)
    result = done(
        organic,
        "conformers",
        given.structures[0],
        topology=given.topology,
        chemist=chemist,
        count=4,
        fmax_eV_per_A=0.05,
    )
    value = value_of(result)
    assert value.n_left_out == {}
    fields = _fields(given.structures[0], given)
    mirrored = [(-np.array(c.positions_A)).tolist() for c in value.conformers]
    verdicts = _compared(embedder, fields, mirrored)
    assert set(verdicts) == ({"kept"} if "=C\\" in smiles else {"stereo"})


def test_copies_that_are_turned_and_renumbered_are_duplicates(embedder: Embedder) -> None:
    given = drawn(embedder, "CCCC")
    structure = given.structures[0]
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    backwards = structure.positions.copy()
    backwards[:4] = backwards[:4][::-1]  # the chain, read from its other end
    moved = structure.positions + np.eye(1, 14).T * np.array([0.4, 0, 0])
    candidates = [structure.positions, structure.positions @ rotation, backwards, moved]
    verdicts = _compared(embedder, _fields(structure, given), [c.tolist() for c in candidates])
    assert verdicts == ["kept", "duplicate", "duplicate", "kept"]


def _fields(structure: Structure, given: Conformers) -> dict[str, Any]:
    return {
        "numbers": structure.numbers.tolist(),
        "positions": structure.positions.tolist(),
        "bonds": [list(bond[:3]) for bond in given.topology.bonds],
        "charges": [],
    }


def _compared(embedder: Embedder, fields: dict[str, Any], candidates: list[Any]) -> list[str]:
    same = {"same_energy": 0.1, "same_rmsd": 0.125}
    question = {"do": "compare", **fields, "candidates": candidates, **same}
    energies = [0.0] * len(candidates)
    verdicts: list[str] = embedder.ask(question | {"energies": energies}, "x", PATIENCE)["verdicts"]
    return verdicts


def test_what_cannot_be_done(organic: Backend, argon: PairBackend, chemist: Chemist) -> None:
    water = molecule("H2O")
    with pytest.raises(InvalidStructure, match="all move"):
        done(organic, "conformers", structure_of(water, [0]), chemist=chemist)
    with pytest.raises(InvalidRequest, match="no RDKit here"):
        done(organic, "conformers", structure_of(water))
    with pytest.raises(UnsupportedElement):
        done(organic, "conformers", structure_of(molecule("SiH4")), chemist=chemist, count=1)
    with pytest.raises(NotConverged, match="3 did not converge"):
        done(organic, "conformers", structure_of(water), chemist=chemist, count=2, max_steps=0)
    charged = structure_of(water, charge=1)
    with pytest.raises(InvalidStructure, match="no bonds are found that fit"):
        done(organic, "conformers", charged, chemist=chemist)
    crystal = molecule("H2O", cell=[9.0] * 3, pbc=True)
    with pytest.raises(InvalidStructure, match="repeats"):
        done(organic, "conformers", structure_of(crystal), chemist=chemist)


@pytest.mark.parametrize("smiles", ["CCCCC", "CCCO", "CC[C@H](C)O", "OCCO", "NCC(=O)O"])
def test_the_lowest_one_of_gfn2_is_that_of_a_search_by_force(
    pair_card: ModelCard, embedder: Embedder, smiles: str
) -> None:
    tblite = pytest.importorskip("tblite.ase")
    from recipes.tasks.conformers_gfn2 import asked, searched_by_force
    from recipes.tasks.oracle import Oracle

    calculator = partial(tblite.TBLite, method="GFN2-xTB", verbosity=0)
    lowest, _ = searched_by_force(smiles, calculator, step=120.0)
    found = asked(Oracle(pair_card, calculator), embedder, smiles, count=20)
    assert found.conformers[0].energy_eV < lowest + 0.002
