"""Geometries of SMILES, by the real RDKit in its own process."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from app.errors import InputError, InvalidFormat, InvalidStructure, StructureTooLarge
from app.formats.notation import Smiles
from app.formats.smiles import Conformers, Embedder

pytest.importorskip("rdkit", reason="RDKit is not installed")
PATIENCE = 60.0
"""Seconds; none of these molecules takes one, but the machine may be busy."""
ENDLESS = "C1CC1" * 330
"""A chain of rings whose bonds alone take RDKit many seconds, in which it lets no thread run."""


@pytest.fixture(scope="module")
def embedder() -> Iterator[Embedder]:
    with_process = Embedder()
    yield with_process
    with_process.close()


def made(embedder: Embedder, text: str, conformers: int = 1, seed: int = 1) -> Conformers:
    return embedder.embed(Smiles(text, conformers, seed), 1000, PATIENCE)


def test_hydrogens_bonds_and_charges(embedder: Embedder) -> None:
    acetate = made(embedder, "CC(=O)[O-]")
    (structure,) = acetate.structures
    assert structure.symbols == ["C", "C", "O", "O", "H", "H", "H"]
    assert structure.charge == -1
    assert acetate.topology.charges == {3: -1}
    assert sorted(bond.kind for bond in acetate.topology.bonds) == [1, 1, 1, 1, 1, 2]
    lengths = [
        np.linalg.norm(structure.positions[bond.first] - structure.positions[bond.second])
        for bond in acetate.topology.bonds
    ]
    assert 1.0 < min(lengths) < 1.15
    assert 1.4 < max(lengths) < 1.6
    assert acetate.warnings == ()


def test_the_seed_decides(embedder: Embedder) -> None:
    first = made(embedder, "CCCCO", 3)
    again, other = made(embedder, "CCCCO", 3), made(embedder, "CCCCO", 3, seed=2)
    places = [np.array([s.positions for s in c.structures]) for c in (first, again, other)]
    np.testing.assert_array_equal(places[0], places[1])
    assert np.abs(places[0] - places[2]).max() > 0.1
    assert np.abs(places[0][0] - places[0][1]).max() > 0.01


def test_stated_stereochemistry_is_kept(embedder: Embedder) -> None:
    left, right = (
        made(embedder, text).structures[0].positions
        for text in ("N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O")
    )
    volumes = [np.linalg.det(places[[0, 2, 3]] - places[1]) for places in (left, right)]
    assert volumes[0] * volumes[1] < 0
    cis, trans = (made(embedder, text).structures[0].positions for text in (r"F/C=C\F", "F/C=C/F"))
    assert np.linalg.norm(cis[0] - cis[3]) < np.linalg.norm(trans[0] - trans[3]) - 0.5


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("FC=CF", "stereo_chosen"),
        ("CC(O)F", "stereo_chosen"),
        ("OB(O)O", "not_cleaned"),
        ("CC(=O)[O-].[Na+]", "fragments_placed"),
        ("[2H]C", "isotope_ignored"),
    ],
)
def test_doubts(embedder: Embedder, text: str, code: str) -> None:
    assert [warning.code for warning in made(embedder, text).warnings] == [code]


def test_fragments_are_apart(embedder: Embedder) -> None:
    (salt,) = made(embedder, "CC(=O)[O-].[Na+]").structures
    sodium = salt.positions[4]
    others = np.delete(salt.positions, 4, axis=0)
    assert np.linalg.norm(others - sodium, axis=1).min() > 1.5
    assert salt.charge == 0


@pytest.mark.parametrize("text", ["O.O", "O.O.O", "N.O", "[NH4+].[NH4+]", "OB(O)O.O"])
def test_fragments_are_within_reach_of_each_other(embedder: Embedder, text: str) -> None:
    for seed in (1, 2, 3):
        (structure,) = made(embedder, text, seed=seed).structures
        distances = np.linalg.norm(structure.positions[:, None] - structure.positions, axis=-1)
        heavy = structure.numbers > 1
        assert distances.max() < 12
        for row in distances[heavy][:, heavy]:
            assert 1.2 < np.sort(row)[1] < 5


def test_conformers_of_fragments_are_within_reach_as_well() -> None:
    from app.formats.smiles.embedding import embed
    from app.formats.smiles.ensemble import conformers

    pair = embed("O.O", 1, seed=1, most_atoms=10, most_work=1e9)
    made = conformers(pair["numbers"], pair["positions"][0], pair["bonds"], [], 0, 3, 1, 1e9)
    assert "fragments_placed" in [code for code, _ in made["warnings"]]
    for positions in made["positions"]:
        apart = np.linalg.norm(np.array(positions[0]) - np.array(positions[1]))
        assert 2.4 < apart < 4


def test_radicals(embedder: Embedder) -> None:
    assert made(embedder, "[CH3]").structures[0].multiplicity == 2
    with pytest.raises(InvalidStructure, match="2 unpaired electrons"):
        made(embedder, "[CH2]")


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("CC(", InvalidFormat, "no SMILES"),
        ("C(C)(C)(C)(C)C", InvalidStructure, "Explicit valence for atom # 0 C, 5"),
        ("c1cccc1", InvalidStructure, "kekulize"),
        ("*C", InvalidStructure, "no element"),
        ("C" * 400, StructureTooLarge, "1202 atoms; at most 1000"),
    ],
)
def test_what_is_refused(embedder: Embedder, text: str, error: type[InputError], told: str) -> None:
    with pytest.raises(error, match=told):
        made(embedder, text)
    assert len(made(embedder, "C").structures[0]) == 5


def test_what_takes_too_long_is_ended_and_the_next_one_made(embedder: Embedder) -> None:
    with pytest.raises(StructureTooLarge, match=r"within 0\.5 s"):
        embedder.embed(Smiles(ENDLESS), 10_000, 0.5)
    assert len(made(embedder, "C").structures[0]) == 5


def test_a_process_that_is_abandoned_is_replaced(embedder: Embedder) -> None:
    made(embedder, "C")
    embedder.abandon()
    assert len(made(embedder, "O").structures[0]) == 3


def test_without_rdkit_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(InputError, match=r"pip install 'equipot\[molecules\]'"):
        Embedder().embed(Smiles("C"), 10, PATIENCE)
