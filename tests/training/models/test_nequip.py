from dataclasses import replace

import onnx
import pytest
import torch
from pydantic import ValidationError

from app.atoms.neighbors import build_graph
from app.backends.onnx import open_onnx
from app.store.card import ARTIFACT, ENERGIES
from app.training.export.certificate import certify, model_inputs
from app.training.export.onnx import cut_energies, export_onnx
from app.training.models import NequIPConfig, Statistics, build_model
from app.training.models.derivatives import evaluate
from tests.contracts import BackendContract, assert_same
from tests.structures import random_molecule
from tests.tolerances import TOLERANCES
from tests.training.cards import ELEMENTS, random_card, reference
from tests.training.pieces import at_once, in_pieces, sheet

SMALL = {"cutoff": 4.0, "irreps": "8x0e + 6x1o + 4x2e", "num_layers": 2, "radial_hidden": (8,)}
SE3 = {**SMALL, "irreps": "8x0e + 6x1e + 4x2e", "parity": False}
VARIANTS = {
    "default shape": NequIPConfig(**SMALL),
    "linear self-connection, layer norm": NequIPConfig(
        **SMALL, self_connection="linear", layer_norm=True
    ),
    "both parities, three layers, deep readout": NequIPConfig(
        **{**SMALL, "irreps": "8x0e+3x0o+4x1o+3x1e+3x2e", "num_layers": 3}, readout_hidden=(6,)
    ),
    "scalars only, no self-connection": NequIPConfig(
        **{**SMALL, "irreps": "8x0e"}, l_max=0, self_connection="none", embedding=5
    ),
}


@pytest.mark.parametrize(
    "backend", VARIANTS.values(), ids=VARIANTS.keys(), indirect=True, scope="class"
)
class TestNequIP(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, request):
        return reference(request.param)


class TestNequIPWithoutParity(BackendContract):
    inversion = False

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return reference(NequIPConfig(**SE3, first_self_connection=False))


class TestNequIPWithXplor(BackendContract):
    """Its curvature jumps at the onset and at the cutoff, which finite differences notice."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        envelope = {"envelope": "xplor", "envelope_onset": 3.0}
        return reference(NequIPConfig(**SMALL, **envelope, trainable_bessels=True))

    @pytest.fixture(scope="class")
    @classmethod
    def tolerance(cls):
        return replace(TOLERANCES["float64"], gradient=1e-4)


def test_every_parameter_is_learnt():
    config = VARIANTS["default shape"]
    backend = reference(config)
    molecule = random_molecule(backend.card, 11, seed=1)
    inputs = model_inputs(build_graph(molecule, config.cutoff), backend.card)
    energies, forces, _ = evaluate(backend.model, inputs, create_graph=True)
    (energies.square().sum() + forces.square().sum()).backward()
    assert [
        n for n, p in backend.model.named_parameters() if p.grad is None or not p.grad.any()
    ] == []


def test_only_irreps_that_a_product_gives_are_made():
    config = NequIPConfig(irreps="8x0e+3x0o+4x1o+3x1e+3x2e", num_layers=4)
    first, second, third, fourth, last = config.plan()
    assert first == last == {(0, 1): 8}
    assert second == {(0, 1): 8, (1, -1): 4, (2, 1): 3}
    assert third == {(0, 1): 8, (1, 1): 3, (1, -1): 4, (2, 1): 3}
    assert fourth == {(0, 1): 8, (0, -1): 3, (1, 1): 3, (1, -1): 4, (2, 1): 3}


def test_the_receptive_field_grows_with_the_blocks():
    assert NequIPConfig(cutoff=4.5, num_layers=4).receptive_field == 18.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"irreps": "8x1o"},
        {"irreps": "8x0e + 4z"},
        {"irreps": "8x0e + 4x1o + 2x1o"},
        {"irreps": "8x0e + 0x1o"},
        {"parity": False},
        {"envelope": "xplor"},
        {"envelope_onset": 3.0},
        {"envelope": "xplor", "envelope_onset": 5.0},
        {"self_connection": "all"},
    ],
)
def test_config_rejects(wrong):
    with pytest.raises(ValidationError):
        NequIPConfig(**wrong)


def test_a_structure_in_pieces_is_the_whole_one():
    backend = reference(VARIANTS["default shape"])
    assert_same(in_pieces(backend, sheet()), at_once(backend, sheet()), TOLERANCES["float64"])


def test_the_export_passes_its_certificate_and_scatters_nothing(tmp_path):
    config = NequIPConfig(**{**SMALL, "irreps": "6x0e + 4x1o"}, l_max=1, layer_norm=True)
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
