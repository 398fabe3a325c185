"""MACE's own package beside the import of its files, where a folder has it.

The package wants another version of e3nn, so that it runs in a process of its own:
`pip install --no-deps --target FOLDER mace-torch==0.3.16 e3nn==0.4.4 …`, then `TEST_MACE=FOLDER`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.atoms.neighbors import build_graph
from app.atoms.prediction import split
from app.training.export.certificate import EagerModel
from app.training.export.publish import About, card_of
from app.training.importers import mace
from tests.structures import random_crystal, random_molecule
from tests.training.cards import random_card

FOLDER = os.environ.get("TEST_MACE", "")
KINDS = {
    "plain": ("RealAgnosticInteractionBlock", 2, "6x0e+6x1o", {}),
    "residual": ("RealAgnosticResidualInteractionBlock", 3, "5x0e+5x1o+5x2e", {"scaled": False}),
    "density": (
        "RealAgnosticDensityInteractionBlock",
        3,
        "5x0e+5x1o",
        {"pair_repulsion": True, "distance_transform": "Agnesi"},
    ),
    "invariant": ("RealAgnosticInteractionBlock", 3, "8x0e", {"use_reduced_cg": False}),
}
PROGRAM = """
import json, sys
import numpy as np, torch
from mace import modules
from mace.calculators import MACECalculator
from ase import Atoms
from e3nn import o3

given = json.load(sys.stdin)
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
options, first = given["options"], given["first"]
scaled = options.pop("scaled", True)
kind = modules.ScaleShiftMACE if scaled else modules.MACE
extra = {"atomic_inter_scale": 0.8, "atomic_inter_shift": 0.3} if scaled else {}
other = first if "Residual" in first else first.replace("Interaction", "ResidualInteraction")
model = kind(
    r_max=4.0, num_bessel=6, num_polynomial_cutoff=5, max_ell=given["l_max"], num_interactions=2,
    num_elements=3, interaction_cls_first=modules.interaction_classes[first],
    interaction_cls=modules.interaction_classes[other], hidden_irreps=o3.Irreps(given["hidden"]),
    MLP_irreps=o3.Irreps("7x0e"), gate=torch.nn.functional.silu, correlation=3,
    atomic_energies=np.array([-3.0, -2.0, -1.0]), avg_num_neighbors=8.5, atomic_numbers=[1, 6, 8],
    radial_MLP=[9, 10], **extra, **options)
torch.save(model, given["path"])
calculator = MACECalculator(models=[model], device="cpu", default_dtype="float64")
answers = []
for each in given["structures"]:
    atoms = Atoms(**each)
    atoms.calc = calculator
    stress = atoms.get_stress(voigt=False).tolist() if all(each["pbc"]) else None
    forces = atoms.get_forces().tolist()
    answers.append({"energy": atoms.get_potential_energy(), "forces": forces, "stress": stress})
json.dump(answers, open(given["path"] + ".json", "w"))
"""


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="TEST_MACE names no folder with mace-torch")
@pytest.mark.parametrize("kind", KINDS)
def test_energies_forces_and_stress_are_those_of_the_package(kind, tmp_path):
    first, l_max, hidden, options = KINDS[kind]
    path = tmp_path / "random.model"
    card = random_card(4.0).model_copy(update={"elements": ("H", "C", "O")})
    structures = [random_molecule(card, 9, seed=2), random_crystal(card, (2, 1, 1), seed=3)]
    asked = [
        {
            "numbers": each.numbers.tolist(),
            "positions": each.positions.tolist(),
            "cell": each.cell.tolist(),
            "pbc": each.pbc.tolist(),
        }
        for each in structures
    ]
    given = {"first": first, "l_max": l_max, "hidden": hidden, "options": options}
    environment = {**os.environ, "PYTHONPATH": FOLDER, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        input=json.dumps({**given, "path": str(path), "structures": asked}),
        env=environment,
        cwd=tmp_path,
        check=True,
        text=True,
    )
    model = mace.read(path)
    backend = EagerModel(model.network(), card_of(model, "read", 1, About(), "float64", 0))
    answers = json.loads(Path(f"{path}.json").read_text())
    for structure, answer in zip(structures, answers, strict=True):
        graph = build_graph(structure, 4.0)
        (found,) = split(backend(graph), graph)
        assert found.energy == pytest.approx(answer["energy"], abs=1e-8)
        np.testing.assert_allclose(found.forces, answer["forces"], rtol=0, atol=1e-8)
        if answer["stress"] is not None:
            np.testing.assert_allclose(found.stress, answer["stress"], rtol=0, atol=1e-8)
