from dataclasses import replace
from itertools import combinations

import pytest
import torch
from pydantic import ValidationError

from app.backends.allegro_tables import tensor_irreps
from app.training.models import AllegroConfig, Statistics, build_model
from tests.contracts import BackendContract, evaluate
from tests.structures import random_molecule
from tests.training.cards import reference

SMALL = {
    "cutoff": 4.0,
    "num_scalars": 16,
    "num_tensors": 4,
    "two_body_mlp": (16,),
    "latent_mlp": (16,),
}
VARIANTS = {
    "default shape": AllegroConfig(**SMALL),
    "three layers, l 3, both parities": AllegroConfig(**SMALL, num_layers=3, l_max=3),
    "natural parity": AllegroConfig(**SMALL, num_layers=3, parity="natural"),
    "scalars only": AllegroConfig(**SMALL, l_max=0, num_layers=1),
    "deep MLPs, steep envelope": AllegroConfig(
        **{**SMALL, "two_body_mlp": (8, 16), "latent_mlp": (), "readout_mlp": ()}, envelope_power=12
    ),
}


@pytest.mark.parametrize(
    "backend", VARIANTS.values(), ids=VARIANTS.keys(), indirect=True, scope="class"
)
class TestAllegro(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, request):
        return reference(request.param)


class TestChargedAllegro(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return reference(AllegroConfig(**SMALL, takes_charge=True, repulsion="zbl"))

    @pytest.fixture(scope="class")
    @classmethod
    def molecules(cls, backend):
        return [
            replace(random_molecule(backend.card, n, seed=n), charge=charge)
            for n, charge in ((2, 1), (5, -2), (11, 0))
        ]

    def test_the_charge_changes_energies_and_forces(self, backend):
        neutral = random_molecule(backend.card, 5, seed=5)
        answers = evaluate(backend, [replace(neutral, charge=q) for q in (0, 1, -1)])
        for one, other in combinations(answers, 2):
            assert abs(one.energy - other.energy) > 1e-3
            assert abs(one.forces - other.forces).max() > 1e-3


class TestAllegroWithoutParity(BackendContract):
    inversion = False

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return reference(AllegroConfig(**SMALL, num_layers=3, parity="none"))


def test_only_irreps_that_reach_the_energy_are_kept():
    two_layers = tensor_irreps(l_max=2, num_layers=2, parity="full")
    assert two_layers == [[(0, 1), (1, -1), (2, 1)], [(0, 1), (1, -1), (2, 1)], [(0, 1)]]
    three_layers = tensor_irreps(l_max=1, num_layers=3, parity="full")
    assert three_layers[1] == [(0, 1), (1, 1), (1, -1)]


def test_same_seed_same_weights_in_both_precisions():
    statistics = Statistics(
        elements=("H",), atomic_energies={"H": 0.0}, force_scale=1.0, average_neighbors=1.0
    )
    single, double = (
        build_model(AllegroConfig(), statistics, dtype, seed=3)
        for dtype in (torch.float32, torch.float64)
    )
    other = build_model(AllegroConfig(), statistics, seed=4)
    for a, b in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(a, b.float())
    assert any(
        not torch.equal(a, b) for a, b in zip(single.parameters(), other.parameters(), strict=True)
    )
    assert torch.get_default_dtype() == torch.float32


def test_the_published_setting_can_be_built():
    published = AllegroConfig(
        cutoff=7.0,
        l_max=3,
        num_layers=3,
        num_scalars=1024,
        num_tensors=128,
        two_body_mlp=(128, 256, 512),
        latent_mlp=(1024, 1024),
        readout_mlp=(128,),
    )
    statistics = Statistics(
        elements=("H", "C", "O"), atomic_energies={}, force_scale=1.0, average_neighbors=15.0
    )
    model = build_model(published, statistics)
    assert sum(p.numel() for p in model.parameters()) > 5_000_000


@pytest.mark.parametrize(
    "wrong", [{"cutoff": 0}, {"l_max": -1}, {"parity": "odd"}, {"channels": 3}]
)
def test_config_rejects(wrong):
    with pytest.raises(ValidationError):
        AllegroConfig(**wrong)
