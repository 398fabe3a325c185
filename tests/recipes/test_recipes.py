"""Every recipe, on tiny data in the layout of its data set."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import units
from ase.data import atomic_numbers

from app.atoms.structure import Structure
from app.cli.main import main
from app.training.data.frames import LabelledFrame
from app.training.runs.config_file import read_content
from tests.paths import ROOT
from tests.training.labelled import npz_arrays, write

RECIPES = ROOT / "recipes"
CONFIGS = sorted(
    path for path in RECIPES.glob("*/*.yaml") if "model" in yaml.safe_load(path.read_text())
)
FRAMES = 8
Layout = Callable[[Path], list[str]]
"""Writes frames into a folder, and says which keys of the recipe small data need."""


def frames(numbers: list[int], cell: float = 0.0, periodic: bool = False) -> list[LabelledFrame]:
    random = np.random.default_rng(0)
    grid = 1.3 * np.array([(i % 2, i // 2 % 2, i // 4) for i in range(len(numbers))])
    made = []
    for index in range(FRAMES):
        positions = grid + random.normal(0, 0.05, grid.shape)
        structure = Structure(np.array(numbers), positions, cell * np.eye(3), np.full(3, periodic))
        forces = random.normal(0, 1, grid.shape)
        made.append(
            LabelledFrame(structure, -100 + random.normal(), forces, None, "made", index, {})
        )
    return made


def rmd17(folder: Path) -> list[str]:
    """npz files of both labels, in kcal/mol."""
    for molecule in ("aspirin", "ethanol", "malonaldehyde", "naphthalene", "salicylic"):
        arrays = npz_arrays(frames([6, 1, 6, 1] if molecule == "naphthalene" else [6, 1, 8, 1]))
        arrays |= {"old_energies": arrays["energies"], "old_forces": arrays["forces"]}
        for part in ("train", "test"):
            np.savez(folder / f"rmd17_{molecule}_{part}_01.npz", **arrays)
    return ["data.split.validation=2"]


def three_bpa(folder: Path) -> list[str]:
    """Molecules, those of the training file in a cell that means nothing."""
    write(folder / "train_300K.xyz", frames([6, 7, 8, 1], cell=50.0))
    write(folder / "test_300K.xyz", frames([6, 7, 8, 1]))
    return ["data.split.validation=2"]


def water(folder: Path) -> list[str]:
    """A periodic box."""
    for part in ("train", "test"):
        write(folder / f"{part}.extxyz", frames([8, 1, 1], cell=6.0, periodic=True))
    return ["data.split.validation=2"]


def qm9(folder: Path) -> list[str]:
    """Two of the tables of qm9pack."""
    (folder / "data").mkdir()
    head = "Index,SMILES,Elements,XYZ_Ang,InternalEnergy_0K_au\n"
    for part in (1, 2):
        rows = [
            f"{i},O,\"['O','H','H']\",\"{f.structure.positions.tolist()}\",{f.energy / units.Hartree}\n"
            for i, f in enumerate(frames([8, 1, 1]))
        ]
        (folder / "data" / f"qm9_part{part}.csv").write_text(head + "".join(rows))
    return ["data.split.validation=2", "data.split.test=2"]


def named_files(folder: Path, config: Path) -> list[str]:
    """The files of molecules that a recipe names, a file for each set."""
    content = read_content(config)
    lone = []
    if content.get("references") == "isolated":
        lone = [atom for s in content["data"]["elements"] for atom in frames([atomic_numbers[s]])]
    for path in content["data"].values():
        if isinstance(path, str):
            (folder / path).parent.mkdir(exist_ok=True)
            write(folder / path, frames([6, 7, 8, 1]) + lone)
    return []


LAYOUTS: dict[str, Layout] = {
    "rmd17": rmd17,
    "equiformer-md17": rmd17,
    "equiformer-md17-small": rmd17,
    "3bpa": three_bpa,
    "water": water,
    "qm9": qm9,
}
"""Of all recipes but those with plain extXYZ files."""


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(RECIPES)))
def test_a_recipe_reads_the_layout_of_its_data_set(config, tmp_path, capsys):
    layout = LAYOUTS.get(config.parent.name)
    keys = named_files(tmp_path, config) if layout is None else layout(tmp_path)
    overrides = [word for key in keys for word in ("--set", key)]
    assert main(["train", str(config), "--data-root", str(tmp_path), "--dry-run", *overrides]) == 0
    shown = capsys.readouterr().out
    for part in ("train", "validation", "test"):
        assert f"\n{part}: " in shown


@pytest.mark.parametrize("size", ["equiformer-md17", "equiformer-md17-small"])
def test_the_variants_of_equiformer_differ_in_their_attention_alone(size):
    contents = [read_content(config) for config in CONFIGS if config.parent.name == size]
    for content in contents:
        for key in ("attention", "nonlinear_messages"):
            del content["model"][key]
    assert len(contents) == 3
    assert len({json.dumps(content, sort_keys=True) for content in contents}) == 1


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(RECIPES)))
def test_a_recipe_says_its_command(config):
    text = config.read_text()
    assert f"# equipot train recipes/{config.relative_to(RECIPES)}" in text
