"""Which parameters an optimiser treats how."""

import pytest
import torch

from app.training.loop.optimizers import make_optimizer
from app.training.models import Statistics, build_model
from tests.training.labelled import REFERENCES, tiny_config


def make(**options):
    statistics = Statistics(
        elements=("Ne", "Ar"), atomic_energies=REFERENCES, force_scale=1.0, average_neighbors=4.0
    )
    config = tiny_config(optimizer=options)
    model = build_model(config.model, statistics)
    return model, make_optimizer(model, config)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_every_parameter_is_trained_once_and_scales_do_not_decay(name):
    model, optimizer = make(name=name, weight_decay=0.1)
    trained = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(trained) == sorted(id(p) for p in model.parameters())
    for group in optimizer.param_groups:
        assert all((p.ndim >= 2) == (group["weight_decay"] > 0) for p in group["params"])


def test_muon_makes_updates_of_matrices_orthogonal():
    model, optimizer = make(name="muon")
    weight = model.layers[0].latent.old.weight
    before = weight.detach().clone()
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    optimizer.step()
    tables = {model.embedding.centre, model.layers[0].product.weights}
    assert tables.isdisjoint(optimizer.parts[0].param_groups[0]["params"])
    lengths = torch.linalg.svdvals(weight.detach() - before)
    assert lengths.max() < 2 * lengths.min()
    assert lengths.mean() == pytest.approx(0.01 * 0.2 * 16**0.5, rel=0.25)
