"""What every architecture says of the parameters that have an entry for each element."""

import pytest
import torch

from app.atoms.neighbors import build_graph
from app.errors import TrainingError
from app.training.export.certificate import EagerModel
from app.training.models import Statistics, build_model
from app.training.models.architecture import ArchitectureConfig
from app.training.models.transfer import take_weights
from tests.structures import random_molecule
from tests.training.cards import random_card

SYMBOLS = ("H", "C", "N", "O", "F")


def model_for(config, count, seed=0):
    elements = SYMBOLS[:count]
    energies = dict.fromkeys(elements, 0.0)
    statistics = Statistics(
        elements=elements, atomic_energies=energies, force_scale=1.3, average_neighbors=17.0
    )
    return build_model(config, statistics, torch.float64, seed)


@pytest.fixture(
    scope="module", params=ArchitectureConfig.__subclasses__(), ids=lambda kind: kind.__name__
)
def config(request):
    return request.param()


def test_the_axes_that_grow_with_the_elements_are_named(config):
    fewer, more = (model_for(config, count).state_dict() for count in (3, 5))
    grown = {
        name: tuple(axis for axis, size in enumerate(value.shape) if more[name].shape[axis] != size)
        for name, value in fewer.items()
    }
    assert {name: axes for name, axes in grown.items() if axes} == model_for(config, 3).species_axes
    for name, axes in model_for(config, 3).species_axes.items():
        assert {(fewer[name].shape[axis], more[name].shape[axis]) for axis in axes} == {(3, 5)}


def test_further_elements_leave_the_answers_for_the_others(config):
    card = random_card(config.cutoff).model_copy(update={"elements": SYMBOLS[:3]})
    before, after = model_for(config, 3, seed=1), model_for(config, 5, seed=2)
    take_weights(after, before.state_dict())
    for size in (1, 2, 9):
        graph = build_graph(random_molecule(card, size, seed=size), config.cutoff)
        old, new = (EagerModel(model, card)(graph) for model in (before, after))
        assert new.energies == pytest.approx(old.energies, rel=1e-12, abs=1e-12)
        assert new.forces == pytest.approx(old.forces, rel=1e-10, abs=1e-11)


def test_weights_of_another_model_are_refused(config):
    model = model_for(config, 3)
    weights = model.state_dict()
    name = [*model.species_axes][-1]
    for changed in ({**weights, name: weights[name][..., :-1]}, {**weights, "more": weights[name]}):
        with pytest.raises(TrainingError, match=r"of another model: \S+ has shape"):
            take_weights(model, changed)
    with pytest.raises(TrainingError, match=f"of another model: {name} is missing"):
        take_weights(model, {key: value for key, value in weights.items() if key != name})
