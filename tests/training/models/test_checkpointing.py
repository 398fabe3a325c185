"""Activation checkpointing: the same gradients, and less that is kept."""

import weakref
from dataclasses import dataclass

import pytest
import torch

from app.atoms.neighbors import build_graph, build_graphs
from app.training.export.certificate import model_inputs
from app.training.models import EquiformerConfig, Statistics, build_model
from app.training.models.derivatives import evaluate
from tests.structures import random_molecule
from tests.training.cards import random_card
from tests.training.models.variants import DOT_PRODUCT, NONLINEAR_MLP, SMALL


@pytest.mark.parametrize("variant", [NONLINEAR_MLP, DOT_PRODUCT], ids=["non-linear", "dot product"])
def test_checkpointing_changes_no_gradient(variant):
    card = random_card(4.0)
    inputs = model_inputs(
        build_graphs([random_molecule(card, n, seed=n) for n in (5, 9)], 4.0), card
    )
    statistics = Statistics(
        elements=card.elements, atomic_energies={}, force_scale=1.3, average_neighbors=17.0
    )
    dropping = {"attention_dropout": 0.2, "dropout": 0.2, "drop_path": 0.2}
    answers = []
    for checkpointing in (False, True):
        config = EquiformerConfig(
            **SMALL, **variant, **dropping, activation_checkpointing=checkpointing
        )
        model = build_model(config, statistics, torch.float64)
        torch.manual_seed(0)
        energies, forces, virials = evaluate(model, inputs, create_graph=True)
        (energies.square().sum() + forces.square().sum() + virials.square().sum()).backward()
        gradients = [p.grad for p in model.parameters()]
        model.zero_grad()
        model(inputs).sum().backward()
        with torch.no_grad():
            alone = model(inputs)
        answers.append(
            [energies, forces, virials, alone, *gradients, *(p.grad for p in model.parameters())]
        )
    for found, expected in zip(*answers, strict=True):
        torch.testing.assert_close(
            found, expected, rtol=1e-9, atol=1e-12 * float(expected.detach().abs().max())
        )


@dataclass(eq=False)
class Kept:
    tensor: torch.Tensor


def test_checkpointing_keeps_the_inputs_of_blocks_only():
    card = random_card(4.0)
    inputs = model_inputs(build_graph(random_molecule(card, 20, seed=1), 4.0), card)
    statistics = Statistics(
        elements=card.elements, atomic_energies={}, force_scale=1.3, average_neighbors=17.0
    )

    def kept(**extra: bool) -> int:
        model = build_model(
            EquiformerConfig(**SMALL, **NONLINEAR_MLP, **extra), statistics, torch.float64
        )
        alive: weakref.WeakSet[Kept] = weakref.WeakSet()

        def keep(tensor: torch.Tensor) -> Kept:
            alive.add(kept := Kept(tensor))
            return kept

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept.tensor):
            outputs = evaluate(model, inputs, create_graph=True)
        storages = [kept.tensor.untyped_storage() for kept in alive]
        assert outputs[1].requires_grad
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    assert kept(activation_checkpointing=True) < 0.2 * kept()
