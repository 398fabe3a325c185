import json
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.io import read, write

from app.labelling.isolation import isolated
from tests.recipes.recipe_modules import recipe_modules

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

MODULES = ("molecules", "geometries", "sample", "split")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    yield from recipe_modules(monkeypatch, "organic-xtb", MODULES)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("OC(=O)c1ccccc1OC(C)=O", "CC(=O)Oc1ccccc1C(=O)O"),
        ("C[C@H](N)C(=O)O", "CC(N)C(=O)O"),
        ("C[N+](=O)[O-]", "C[N+](=O)[O-]"),
        ("CC(=O)[O-]", None),
        ("CCS", None),
        ("[CH3]", None),
        ("O.O", None),
        ("[2H]O", None),
        ("C" * 20, None),
        ("C1CC", None),
    ],
)
def test_molecules_are_neutral_closed_shell_and_of_four_elements(recipe, smiles, expected) -> None:
    assert recipe["molecules"].canonical(smiles) == expected


def test_aspirin_is_never_trained_on_and_tiny_molecules_always_are(recipe) -> None:
    make, split_of = recipe["molecules"].Molecule, recipe["split"].split_of
    assert split_of(make(recipe["molecules"].ASPIRIN, "solubility")) == "test"
    assert {split_of(make(smiles, "tiny")) for smiles in recipe["molecules"].TINY.split()} == {
        "train"
    }
    names = [split_of(make("C" * length, "qm9")) for length in range(4000)]
    assert 0.02 < names.count("validation") / 4000 < 0.04
    assert 0.03 < names.count("test") / 4000 < 0.05


@pytest.mark.parametrize(("name", "count"), [("H2O", 3), ("CO2", 4), ("H2", 1), ("C2H6", 18)])
def test_vibrations_are_orthonormal_and_leave_translations_and_rotations_out(
    recipe, name, count
) -> None:
    atoms = molecule(name)
    atoms.rotate(40, (1, 2, 3))
    roots = np.repeat(np.sqrt(atoms.get_masses()), 3)
    basis = recipe["geometries"].vibrations(atoms.positions, roots)
    np.testing.assert_allclose(basis.T @ basis, np.eye(count), atol=1e-12)
    moved = (basis.T / roots).reshape(count, -1, 3)
    momenta = atoms.get_masses()[:, None] * moved
    np.testing.assert_allclose(momenta.sum(axis=1), 0, atol=1e-10)
    spin = np.cross(atoms.positions - atoms.get_center_of_mass(), momenta).sum(axis=1)
    np.testing.assert_allclose(spin, 0, atol=1e-10)


def test_harmonic_samples_have_the_energy_of_their_temperature(recipe) -> None:
    """Half a kT for every mode on average, for small amplitudes: EMT hydrogen at 20 K."""
    geometries = recipe["geometries"]
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.8]], calculator=EMT())
    geometries.relaxation(atoms)
    modes = geometries.Modes.at_minimum(atoms)
    lowest, rng = atoms.get_potential_energy(), np.random.default_rng(1)
    bonds = geometries.Bonds(~np.eye(2, dtype=bool), np.full((2, 2), 0.8))
    energies = []
    for _ in range(800):
        atoms.positions = modes.draw(20.0, rng, bonds)
        energies.append(atoms.get_potential_energy() - lowest)
    assert np.mean(energies) == pytest.approx(0.5 * 8.617e-5 * 20, rel=0.15)


def test_bonding_graph(recipe) -> None:
    _, bonds = recipe["geometries"].embed("O")
    water = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    assert bonds.hold(water)
    assert not bonds.hold(1.5 * water)
    assert not bonds.hold(0.5 * water)
    assert not bonds.hold(water * [1, 0.4, 1.8])


def test_frames_of_a_molecule_are_the_same_every_time(recipe) -> None:
    acid = recipe["molecules"].Molecule("O=CO", "tiny")
    first, second = isolated(recipe["sample"].sampler, [acid, acid], processes=1, timeout=60)
    assert first.failure is None
    assert sorted(first.value["numbers"]) == [1, 1, 6, 8, 8]
    kinds = [kind for kind, _ in first.value["frames"]]
    assert len(kinds) == 10
    assert {"conformer", "path", "minimum", "300 K", "600 K", "1000 K", "strained"} == set(kinds)
    assert first.value == second.value


def test_a_molecule_without_conformer_is_skipped(recipe) -> None:
    with pytest.raises(recipe["geometries"].Skipped, match="no conformer"):
        recipe["geometries"].embed("C1#CC#C1")


def test_journal_loses_at_most_a_half_written_molecule(recipe, tmp_path) -> None:
    whole = {
        "molecule": "O",
        "source": "tiny",
        "numbers": [8],
        "frames": [["minimum", [[0, 0, 0]]]],
    }
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(whole) + '\n{"molecule": "C", "sou')
    assert recipe["sample"].read_journal(path) == {"O": whole}
    assert path.read_text() == json.dumps(whole) + "\n"
    (atoms,) = recipe["sample"].frames_of(whole)
    assert atoms.info == {"molecule": "O", "source": "tiny", "kind": "minimum"}


def test_split_writes_and_counts_and_drops_extreme_forces(
    recipe, tmp_path, monkeypatch, capsys
) -> None:
    def frame(smiles: str, length: float) -> Atoms:
        atoms = Atoms(
            "CO",
            [[0, 0, 0], [0, 0, length]],
            info={"molecule": smiles, "source": "nci"},
            calculator=EMT(),
        )
        atoms.get_forces()
        return atoms

    smiles = ["C" * length for length in range(1, 90)]
    write(
        tmp_path / "labelled.xyz", [frame(name, length) for name in smiles for length in (1.2, 0.2)]
    )
    argv = ["split.py", str(tmp_path / "labelled.xyz"), "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", argv)
    recipe["split"].main()
    counts = json.loads((tmp_path / "splits.json").read_text())
    assert counts["dropped frames"] == 89
    seen = {}
    for name in ("train", "validation", "test"):
        frames = read(tmp_path / f"{name}.xyz", index=":")
        seen[name] = {atoms.info["molecule"] for atoms in frames}
        assert counts[name]["frames"] == len(frames)
        assert all(np.isfinite(atoms.get_forces()).all() for atoms in frames)
    assert sum(map(len, seen.values())) == len(set.union(*seen.values())) == 89
