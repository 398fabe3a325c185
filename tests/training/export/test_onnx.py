"""Message-passing models as ONNX: within the tolerances, without a scatter, and in pieces."""

import onnx
import pytest
import torch

from app.atoms.neighbors import build_graph
from app.backends.onnx import open_onnx
from app.store.card import ARTIFACT, ENERGIES
from app.training.export.certificate import certify, model_inputs
from app.training.export.onnx import cut_energies, export_onnx, export_program, input_names
from app.training.models import EquiformerConfig, Statistics, build_model
from app.training.models.derivatives import edge_gradients
from tests.contracts import assert_same, assert_same_energies
from tests.structures import random_molecule
from tests.tolerances import TOLERANCES
from tests.training.cards import ELEMENTS, random_card
from tests.training.models.variants import DOT_PRODUCT, NONLINEAR_MLP, SMALL
from tests.training.pieces import at_once, in_pieces, in_regions, sheet


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with a tiny model's artifact, and the model in float64."""
    return export_to(tmp_path_factory.mktemp("exported"), NONLINEAR_MLP)


def tiny_model(variant, dtype):
    narrow = {
        "l_max": 1,
        "channels": (8, 6),
        "head_channels": (4, 4),
        "feed_forward_channels": (12, 6),
    }
    config = EquiformerConfig(**{**SMALL, **variant, **narrow, "num_blocks": 1})
    statistics = Statistics(
        elements=ELEMENTS, atomic_energies={}, force_scale=1.3, average_neighbors=17.0
    )
    return build_model(config, statistics, dtype)


def export_to(folder, variant):
    export_onnx(tiny_model(variant, torch.float32), folder / ARTIFACT)
    cut_energies(folder / ARTIFACT, folder / ENERGIES)
    return folder, tiny_model(variant, torch.float64)


@pytest.mark.slow
def test_dot_products_and_linear_messages_pass_theirs(tmp_path):
    test_the_export_passes_its_certificate(export_to(tmp_path, DOT_PRODUCT))


def test_both_parities_are_captured_for_the_export_as_they_are():
    model = tiny_model({**NONLINEAR_MLP, "parity": "full"}, torch.float64)
    card = random_card(4.0)
    inputs = model_inputs(build_graph(random_molecule(card, 11, seed=1), 4.0), card)
    expected = edge_gradients(model, inputs)
    program = export_program(model)
    taken = [getattr(inputs, name) for name in input_names(model)]
    for found, wanted in zip(program.module()(*taken), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    operators = {str(node.target) for node in program.graph.nodes}
    assert not [name for name in operators if "scatter" in name or "index_put" in name]


def test_the_export_passes_its_certificate(exported):
    folder, model = exported
    card = random_card(4.0, "float32").model_copy(
        update={
            "receptive_field": model.config.receptive_field,
            "atomic_energies": {},
            "energies_alone": True,
        }
    )
    backend = open_onnx(card, folder)
    assert not backend.is_strictly_local
    assert certify(backend, [model], []).largest.forces < 1e-4


def test_the_artifact_in_pieces_is_the_whole_one(exported):
    folder, model = exported
    card = random_card(4.0, "float32").model_copy(
        update={"receptive_field": model.config.receptive_field}
    )
    backend = open_onnx(card.model_copy(update={"energies_alone": True}), folder)
    expected = at_once(backend, sheet())
    assert_same(in_pieces(backend, sheet()), expected, TOLERANCES["float32"])
    assert_same(in_regions(backend, sheet()), expected, TOLERANCES["float32"])
    alone = in_regions(backend, sheet(), derivatives=False)
    assert_same_energies(alone, expected, TOLERANCES["float32"])
    assert_same_energies(
        in_pieces(backend, sheet(), derivatives=False), expected, TOLERANCES["float32"]
    )


def test_the_artifact_of_the_energies_leaves_the_gradient_out(exported):
    whole, alone = (onnx.load(exported[0] / name).graph for name in (ARTIFACT, ENERGIES))
    assert [output.name for output in alone.output] == ["energies"]
    assert len(alone.node) < 0.6 * len(whole.node)


def test_the_export_scatters_nothing(exported):
    graph = onnx.load(exported[0] / ARTIFACT).graph
    assert {i.name for i in graph.input} == {
        "species",
        "edge_vectors",
        "neighbors",
        "mask",
        "reverse",
    }
    assert not [node.op_type for node in graph.node if "Scatter" in node.op_type]
