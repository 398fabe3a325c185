"""A wider network with the weights of a narrower one."""

import pytest
import torch

from app.training.models import build_model
from app.training.models.allegro import AllegroConfig
from app.training.models.inputs import LocalInputs
from app.training.models.statistics import Statistics
from app.training.models.widening import can_widen, widened

NARROW = AllegroConfig(
    num_scalars=8, num_tensors=3, two_body_mlp=(8, 6), latent_mlp=(8,), takes_charge=True
)
WIDE = NARROW.model_copy(
    update={
        "num_scalars": 12,
        "num_tensors": 5,
        "two_body_mlp": (16, 6),
        "latent_mlp": (20,),
        "readout_mlp": (40,),
    }
)
STATISTICS = Statistics(
    elements=("H", "C"),
    atomic_energies={"H": 0.0, "C": 0.0},
    force_scale=2.0,
    average_neighbors=7.0,
)


def inputs(seed=0, atoms=6, neighbors=5):
    generator = torch.Generator().manual_seed(seed)
    shape = (atoms, neighbors)
    return LocalInputs(
        species=torch.randint(2, (atoms,), generator=generator),
        neighbor_species=torch.randint(2, shape, generator=generator),
        edge_vectors=1.8 * torch.randn(*shape, 3, generator=generator, dtype=torch.float64),
        mask=torch.rand(shape, generator=generator) < 0.8,
        charge=torch.full((atoms,), -1.0, dtype=torch.float64),
    )


@pytest.fixture(scope="module")
def narrow():
    model = build_model(NARROW, STATISTICS, torch.float64, seed=3)
    with torch.no_grad():
        model.embedding.charge.normal_()
    return model


@pytest.fixture
def wide(narrow):
    model = build_model(WIDE, STATISTICS, torch.float64, seed=4)
    model.load_state_dict(widened(model, narrow.state_dict()))
    return model


def test_it_answers_as_before(narrow, wide):
    for seed in range(3):
        torch.testing.assert_close(wide(inputs(seed)), narrow(inputs(seed)), rtol=1e-12, atol=1e-12)


def test_the_new_channels_learn(wide):
    optimizer = torch.optim.SGD(wide.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        wide(inputs()).square().sum().backward()
        optimizer.step()
    for name, columns in (("layers.0.latent.old", 8), ("readout.0", 8), ("readout.2", 32)):
        gradient = wide.get_submodule(name).weight.grad
        assert gradient[:, columns:].abs().max() > 0


def test_only_widths_may_grow_and_none_may_shrink():
    assert can_widen(NARROW, WIDE, "num_scalars")
    assert can_widen(NARROW, WIDE, "latent_mlp")
    assert not can_widen(WIDE, NARROW, "num_scalars")
    assert not can_widen(NARROW, WIDE, "cutoff")
    deeper = NARROW.model_copy(update={"latent_mlp": (8, 8)})
    assert not can_widen(NARROW, deeper, "latent_mlp")
