"""A round of active learning: what a model explores, and what is worth a label."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from app.store.store import ModelStore
from equipot import EquipotCalculator
from tests.paths import MODEL_STORE
from tests.recipes.recipe_modules import ORGANIC_XTB, recipe_modules

pytest.importorskip("rdkit")
pytest.importorskip("tblite")
pytest.importorskip("dimorphite_dl")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    names = [*ORGANIC_XTB, "make", "exploration", "active"]
    yield from recipe_modules(monkeypatch, "organic-xtb", names)


def described(recipe, smiles: str, **more):
    made = recipe["molecules"].described(recipe["identity"].parse(smiles), "chemicals")
    return recipe["assignment"].replace(made, **more)


def test_a_molecule_is_relaxed_and_followed_with_its_uncertainty(recipe) -> None:
    models = [EquipotCalculator("organic-xtb", MODEL_STORE, threads=1) for _ in range(2)]
    molecule = described(recipe, "CO", split="train", partner="O")
    frames = recipe["exploration"].explore(models, 1, molecule)
    assert frames == recipe["exploration"].explore(models, 1, molecule)
    assert {frame["info"]["kind"] for frame in frames} == {"active relaxation", "active dynamics"}
    assert {frame["info"]["split"] for frame in frames} == {"train"}
    assert [frame["uncertainty"] for frame in frames] == [0.0] * len(frames)
    last = [frame for frame in frames if frame["info"]["kind"] == "active relaxation"][-1]
    atoms = Atoms(last["numbers"], last["positions"], calculator=models[0])
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.3
    with pytest.raises(ValueError, match="states no uncertainty: give a second model"):
        recipe["exploration"].uncertainty(models[:1], atoms)


def test_molecules_are_of_the_training_split_and_what_the_model_takes(recipe) -> None:
    card = ModelStore(MODEL_STORE).load("organic-xtb").card
    make = [
        described(recipe, "CCO", split="train", partner="O"),
        described(recipe, "CCN", split="test", partner="O"),
        described(recipe, "CCS", split="train", partner="O"),
        described(recipe, "CC(=O)[O-]", split="train", partner="O"),
        described(recipe, "CCCO", split="train", partner="[Cl-]"),
    ]
    molecules = [*make, *recipe["molecules"].atoms()]
    listed = recipe["active"].listed(molecules, [card], 1, 10)
    assert [molecule.smiles for molecule in listed] == ["CCO"]


def test_a_round_writes_what_is_uncertain_and_labels_it(
    recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    molecules = [described(recipe, smiles, split="train") for smiles in ("CO", "CC=O")]
    lines = [json.dumps(recipe["make"].asdict(molecule)) for molecule in molecules]
    (tmp_path / "molecules.jsonl").write_text("\n".join(lines) + "\n")
    argv = ["active.py", str(tmp_path), "--round", "1", "--store", str(MODEL_STORE), "--frames"]
    argv += ["3", "--model", "organic-xtb", "--model", "organic-xtb", "--processes", "1"]
    monkeypatch.setattr(sys, "argv", [*argv, "--least", "0"])
    recipe["active"].main()
    folder = tmp_path / "active" / "01"
    frames = read(folder / "labelled.xyz", index=":")
    assert len(frames) == 3
    assert all(frame.info["charge"] == 0 for frame in frames)
    before = (folder / "labelled.xyz").read_bytes()
    recipe["active"].main()  # done: nothing is explored or labelled again
    assert (folder / "labelled.xyz").read_bytes() == before
    monkeypatch.setattr(sys, "argv", [*argv, "--least", "5"])
    with pytest.raises(SystemExit, match="made otherwise: choose another --round"):
        recipe["active"].main()
    summary = recipe["split"].split(tmp_path, tmp_path / "out")
    assert summary["train"]["frames"] == 3
