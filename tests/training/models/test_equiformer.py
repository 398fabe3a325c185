"""Equiformer: the contract of a backend for each variant, smoothness, sizes and gradients."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk
from pydantic import ValidationError

from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.formats.ase_atoms import from_ase
from app.training.data.load import Finder
from app.training.export.certificate import model_inputs
from app.training.export.publish import About, card_of
from app.training.loop.display import Display
from app.training.models import EquiformerConfig, Statistics, build_model
from app.training.models.derivatives import evaluate
from app.training.run import train_model
from app.training.runs.config_file import load_config
from app.training.runs.folder import RunFolder
from app.training.runs.trained import TrainedRun
from tests.contracts import BackendContract, assert_same
from tests.paths import ROOT
from tests.structures import random_molecule
from tests.tolerances import TOLERANCES
from tests.training.cards import random_card, reference
from tests.training.labelled import molecules, tiny_config, write
from tests.training.models.variants import DOT_PRODUCT, LINEAR_MLP, NONLINEAR_MLP, SMALL
from tests.training.pieces import at_once, in_pieces, sheet

SE3 = {
    "non-linear messages, MLP attention": EquiformerConfig(**SMALL, **NONLINEAR_MLP),
    "linear messages, MLP attention": EquiformerConfig(**SMALL, **LINEAR_MLP),
    "dot-product attention": EquiformerConfig(**SMALL, **DOT_PRODUCT),
}
FULL = {
    "both parities, non-linear": EquiformerConfig(**SMALL, **NONLINEAR_MLP, parity="full"),
    "both parities, dot product": EquiformerConfig(**SMALL, **DOT_PRODUCT, parity="full"),
}
E3 = {
    "natural parity, non-linear": EquiformerConfig(**SMALL, **NONLINEAR_MLP, parity="natural"),
    "natural parity, dot product, Gaussians": EquiformerConfig(
        **SMALL, **DOT_PRODUCT, parity="natural", radial_basis="gaussian"
    ),
    "scalars only, linear": EquiformerConfig(
        **{
            **SMALL,
            **LINEAR_MLP,
            "l_max": 0,
            "channels": (8,),
            "head_channels": (4,),
            "feed_forward_channels": (8,),
        }
    ),
}


@pytest.mark.parametrize("backend", SE3.values(), ids=SE3.keys(), indirect=True, scope="class")
class TestEquiformer(BackendContract):
    inversion = False

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, request):
        return reference(request.param)


@pytest.mark.parametrize(
    "backend", [*E3.values(), *FULL.values()], ids=[*E3, *FULL], indirect=True, scope="class"
)
class TestEquiformerWithParity(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, request):
        return reference(request.param)


PUBLISHED = {
    "channels": (128, 64, 32),
    "num_blocks": 6,
    "head_channels": (32, 16, 8),
    "feed_forward_channels": (384, 192, 96),
    "readout_channels": 512,
}
UNUSED_SPECIES = (64 - 4) * 128
DEGREE_PATHS_FROM_TENSORS = 576 * 65 + (64640 - 28800)
# values, projection, norm, gates, feed-forward
LAST_BLOCK_TENSORS = 35840 + 5120 + 96 + 37152 + 15360
WITHOUT_GRADIENT = UNUSED_SPECIES + DEGREE_PATHS_FROM_TENSORS + LAST_BLOCK_TENSORS
REDUNDANT = 128 + 256 + 1  # biases that the species' scalars and the subtracted energy make up for
LAST_PATHS = 960 - 224


@pytest.mark.parametrize(
    ("variant", "published", "left_out"),
    [
        (NONLINEAR_MLP, 3_496_001, WITHOUT_GRADIENT + LAST_PATHS + REDUNDANT + 5 * 960 + 224),
        (LINEAR_MLP, 2_972_801, WITHOUT_GRADIENT + LAST_PATHS * 65 + REDUNDANT),
        (DOT_PRODUCT, 3_316_865, WITHOUT_GRADIENT + REDUNDANT),
    ],
    ids=["non-linear MLP", "linear MLP", "dot product"],
)
def test_parameters_are_the_published_ones_without_those_that_do_nothing(
    variant, published, left_out
):
    statistics = Statistics(
        elements=("H", "C", "N", "O"), atomic_energies={}, force_scale=1.0, average_neighbors=15.58
    )
    model = build_model(EquiformerConfig(**PUBLISHED, **variant), statistics)
    assert sum(p.numel() for p in model.parameters()) == published - left_out


@pytest.mark.parametrize("config", [*SE3.values(), *E3.values()], ids=[*SE3, *E3])
def test_every_parameter_is_learnt(config):
    backend = reference(config)
    inputs = model_inputs(
        build_graph(random_molecule(backend.card, 11, seed=1), config.cutoff), backend.card
    )
    energies, forces, _ = evaluate(backend.model, inputs, create_graph=True)
    (energies.square().sum() + forces.square().sum()).backward()
    assert [
        name for name, p in backend.model.named_parameters() if p.grad is None or not p.grad.any()
    ] == []


def test_tensors_of_the_other_parity_reach_the_energy():
    config = FULL["both parities, non-linear"].model_copy(update={"num_blocks": 3})
    backend = reference(config)
    assert config.spread((9, 6, 4)) == {
        (0, 1): 5,
        (1, -1): 3,
        (2, 1): 2,
        (0, -1): 4,
        (1, 1): 3,
        (2, -1): 2,
    }
    inputs = model_inputs(
        build_graph(random_molecule(backend.card, 11, seed=1), config.cutoff), backend.card
    )
    backend.model(inputs).square().sum().backward()
    assert all(weight.grad.any() for weight in backend.model.blocks[1].attention.source.weights)


def test_second_derivatives_are_those_of_the_forces():
    config = SE3["non-linear messages, MLP attention"]
    backend = reference(config)
    inputs = model_inputs(
        build_graph(random_molecule(backend.card, 5, seed=1), config.cutoff), backend.card
    )
    parameter = backend.model.blocks[0].attention.source.weights[1]

    def loss() -> torch.Tensor:
        return evaluate(backend.model, inputs, create_graph=True)[1].square().sum()

    (gradient,) = torch.autograd.grad(loss(), parameter)
    direction = torch.randn(
        parameter.shape, dtype=parameter.dtype, generator=torch.Generator().manual_seed(0)
    )
    values = []
    for step in (1e-4, -1e-4):
        with torch.no_grad():
            parameter += step * direction
        values.append(loss().item())
        with torch.no_grad():
            parameter -= step * direction
    assert (gradient * direction).sum().item() == pytest.approx(
        (values[0] - values[1]) / 2e-4, rel=1e-5
    )


@pytest.mark.parametrize("config", SE3.values(), ids=SE3.keys())
def test_a_pair_that_leaves_takes_nothing_along(config):
    backend = reference(config)
    cutoff = config.cutoff
    answers = []
    for distance in (cutoff - 1e-3, cutoff + 1e-3):
        pair = Structure(np.array([1, 8]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))
        answers.append(backend(build_graph(pair, cutoff)))
    assert abs(answers[0].energy - answers[1].energy) < 1e-8
    assert np.abs(answers[0].forces).max() < 1e-4
    closer = Structure(np.array([1, 8]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5 * cutoff]]))
    assert np.abs(backend(build_graph(closer, cutoff)).forces).max() > 1e-3


def test_forces_stay_soft_where_symmetry_makes_tensors_vanish():
    config = SE3["non-linear messages, MLP attention"]
    backend = reference(config)
    cube = 2.2 * np.array(list(np.ndindex(2, 2, 2)), dtype=float)
    centred = np.concatenate([[[1.1, 1.1, 1.1]], cube])
    moved = centred + np.eye(9)[:, :1] * [1e-3, 0, 0]
    still, shifted = (
        backend(build_graph(Structure(np.full(9, 6), p), config.cutoff)) for p in (centred, moved)
    )
    np.testing.assert_allclose(still.forces[0], 0.0, atol=1e-10)
    assert np.abs(shifted.forces[0]).max() < 0.1 * np.abs(still.forces).max()


@pytest.mark.parametrize(
    "crystal", [bulk("C", "sc", 2.5), bulk("C", "fcc", 3.5), bulk("C", "diamond", 3.57)]
)
def test_single_precision_holds_where_symmetry_makes_tensors_vanish(crystal):
    card = random_card(5.0)
    graph = build_graph(from_ase(crystal), 5.0)
    statistics = Statistics(
        elements=card.elements, atomic_energies={}, force_scale=1.3, average_neighbors=15.58
    )
    single, double = (
        evaluate(
            build_model(EquiformerConfig(**PUBLISHED), statistics, dtype),
            model_inputs(graph, card, dtype),
        )
        for dtype in (torch.float32, torch.float64)
    )
    for found, expected in zip(single, double, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_dropout_acts_in_training_only():
    card = random_card(4.0)
    inputs = model_inputs(build_graph(random_molecule(card, 11, seed=1), 4.0), card, torch.float32)
    statistics = Statistics(
        elements=card.elements, atomic_energies={}, force_scale=1.0, average_neighbors=10.0
    )
    dropping = {"attention_dropout": 0.2, "dropout": 0.2, "drop_path": 0.2}
    plain, model = (
        build_model(EquiformerConfig(**SMALL, **extra), statistics) for extra in ({}, dropping)
    )
    assert torch.equal(plain.eval()(inputs), model.eval()(inputs))
    model.train()
    assert not torch.equal(model(inputs), model(inputs))


def test_a_structure_in_pieces_is_the_whole_one():
    backend = reference(EquiformerConfig(**SMALL, **NONLINEAR_MLP))
    assert_same(in_pieces(backend, sheet()), at_once(backend, sheet()), TOLERANCES["float64"])


def test_the_halo_of_the_energies_is_too_small_for_the_forces():
    backend = reference(EquiformerConfig(**SMALL, **NONLINEAR_MLP))
    halved = backend.card.model_copy(update={"receptive_field": backend.card.receptive_field / 2})
    found, expected = in_pieces(replace(backend, card=halved), sheet()), at_once(backend, sheet())
    np.testing.assert_allclose(found.energies, expected.energies, rtol=0, atol=1e-10)
    assert np.abs(found.forces - expected.forces).max() > 1e-6


def test_the_receptive_field_grows_with_the_blocks():
    assert EquiformerConfig(cutoff=4.5, num_blocks=4).receptive_field == 22.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": (8, 4)},
        {"l_max": 3},
        {"attention": "linear"},
        {"parity": "full", "channels": (8, 1, 4)},
        {"channels": (8, 0, 4)},
        {"drop_path": 1.0},
    ],
)
def test_config_rejects(wrong):
    with pytest.raises(ValidationError):
        EquiformerConfig(**wrong)


@pytest.mark.parametrize(
    ("recipe", "variant"),
    [("nonlinear-mlp", NONLINEAR_MLP), ("linear-mlp", LINEAR_MLP), ("dot-product", DOT_PRODUCT)],
)
def test_the_recipes_hold_the_published_setting(recipe, variant):
    config = load_config(ROOT / "recipes" / "equiformer-md17" / f"{recipe}.yaml")
    assert config.model == EquiformerConfig(**PUBLISHED, **variant)
    assert (config.batch_size, config.epochs, config.optimizer.lr) == (8, 1500, 5e-4)
    assert (config.loss.forces, config.loss.forces_per, config.loss.energy_per) == (
        80.0,
        "vector",
        "structure",
    )


def test_it_learns_and_its_card_says_how_far_it_looks(tmp_path):
    write(tmp_path / "train.xyz", molecules(48))
    model = {**SMALL, **NONLINEAR_MLP, "architecture": "equiformer"}
    config = tiny_config(model=model, epochs=6, optimizer={"lr": 0.005})
    folder = RunFolder(tmp_path / "run")
    train_model(config, folder, Finder(tmp_path), Display(99, io.StringIO()))
    losses = [float(line["validation_loss"]) for line in folder.lines()]
    assert losses[-1] < 0.7 * losses[0]
    trained = TrainedRun(folder.path)
    assert trained.config.model == config.model
    card = card_of(trained, "small", 1, About(), "float32", 1)
    assert (card.architecture, card.receptive_field) == ("equiformer", 12.0)
