"""Published weights, where they are: those of the installed `sevenn`, and Nequix's files in the folder
that the environment variable TEST_REFERENCE_MODELS names.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.training.export.certificate import EagerModel
from app.training.export.publish import About, card_of
from app.training.importers.catalogue import FORMATS, PUBLISHED, installed

ENERGIES = {
    "sevennet-0": (-10.8019, -6.7655),
    "sevennet-l3i5": (-10.8440, -6.7709),
    "nequix-oam-1-pft": (-10.8044, -6.7651),
}
"""eV, of two atoms of silicon (5.431 Å) and of NaCl (5.64 Å), by the packages' own calculators."""
CRYSTALS = (("Si", "diamond", 5.431), ("NaCl", "rocksalt", 5.64))


def file_of(name: str) -> tuple[str, Path | None]:
    if name in PUBLISHED:
        return PUBLISHED[name].format, installed(PUBLISHED[name])
    folder = os.environ.get("TEST_REFERENCE_MODELS")
    return "nequix", Path(folder) / f"{name}.nqx" if folder else None


@pytest.mark.parametrize("name", ENERGIES)
def test_crystals_have_the_energies_of_the_package(name):
    kind, path = file_of(name)
    if path is None or not path.is_file():
        pytest.skip(f"the weights of {name} are not here")
    model = FORMATS[kind].importer.read(path)
    card = card_of(model, "read", 1, About(), "float64", 0)
    backend = EagerModel(model.network(), card)
    torch.set_num_threads(1)
    for lattice, expected in zip(CRYSTALS, ENERGIES[name], strict=True):
        atoms = bulk(*lattice)
        structure = Structure(
            atoms.numbers, atoms.positions, np.array(atoms.cell), np.ones(3, bool)
        )
        energy = backend(build_graph(structure, card.cutoff)).energy
        assert energy[0] == pytest.approx(expected, abs=1e-4)
