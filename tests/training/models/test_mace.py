"""MACE keeps the contract of all models, and exports with its gradient."""

import onnx
import pytest
import torch
from pydantic import ValidationError

from app.atoms.neighbors import build_graph
from app.backends.onnx import open_onnx
from app.store.card import ARTIFACT, ENERGIES
from app.training.export.certificate import certify, model_inputs
from app.training.export.onnx import cut_energies, export_onnx
from app.training.models import MACEConfig, Statistics, build_model
from app.training.models.derivatives import evaluate
from tests.contracts import BackendContract, assert_same
from tests.structures import random_molecule
from tests.tolerances import TOLERANCES
from tests.training.cards import ELEMENTS, random_card, reference
from tests.training.pieces import at_once, in_pieces, sheet

SMALL = {"cutoff": 4.0, "channels": 6, "radial_hidden": (8,), "readout_hidden": 5}
VARIANTS = {
    "default shape": MACEConfig(**SMALL),
    "residual, higher degrees, three blocks": MACEConfig(
        **SMALL, l_max=3, feature_l=2, first_residual=True, num_layers=3, correlation=2
    ),
    "density, transform, nuclei": MACEConfig(
        **SMALL, density=True, distance_transform="agnesi", nuclear_repulsion=True
    ),
    "scalars only": MACEConfig(**SMALL, l_max=0, feature_l=0, correlation=1),
}


@pytest.mark.parametrize(
    "backend", VARIANTS.values(), ids=VARIANTS.keys(), indirect=True, scope="class"
)
class TestMACE(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, request):
        return reference(request.param)


def test_every_parameter_is_learnt():
    config = VARIANTS["density, transform, nuclei"]
    backend = reference(config)
    molecule = random_molecule(backend.card, 11, seed=1)
    inputs = model_inputs(build_graph(molecule, config.cutoff), backend.card)
    energies, forces, _ = evaluate(backend.model, inputs, create_graph=True)
    (energies.square().sum() + forces.square().sum()).backward()
    assert [
        n for n, p in backend.model.named_parameters() if p.grad is None or not p.grad.any()
    ] == []


def test_degrees_of_features_are_those_of_messages():
    with pytest.raises(ValidationError, match="feature_l 3 must not exceed l_max 2"):
        MACEConfig(feature_l=3)


def test_a_structure_in_pieces_is_the_whole_one():
    backend = reference(VARIANTS["default shape"])
    assert_same(in_pieces(backend, sheet()), at_once(backend, sheet()), TOLERANCES["float64"])


@pytest.mark.parametrize("name", ["default shape", "density, transform, nuclei"])
def test_the_export_passes_its_certificate_and_scatters_nothing(tmp_path, name):
    config = VARIANTS[name].model_copy(update={"channels": 4, "l_max": 1})
    statistics = Statistics(
        elements=ELEMENTS, atomic_energies={}, force_scale=1.3, average_neighbors=17.0
    )
    export_onnx(build_model(config, statistics), tmp_path / ARTIFACT)
    cut_energies(tmp_path / ARTIFACT, tmp_path / ENERGIES)
    described = {
        "receptive_field": config.receptive_field,
        "atomic_energies": {},
        "energies_alone": True,
    }
    card = random_card(4.0, "float32").model_copy(update=described)
    model = build_model(config, statistics, torch.float64)
    assert certify(open_onnx(card, tmp_path), [model], []).largest.forces < 1e-4
    nodes = onnx.load(tmp_path / ARTIFACT).graph.node
    assert not [node.op_type for node in nodes if "Scatter" in node.op_type]
