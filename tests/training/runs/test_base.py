"""The bundled model as one to start from."""

import torch

from app.store.store import ModelStore
from app.training.models import build_model
from app.training.models.transfer import take_weights
from app.training.runs.base import load_base
from app.training.runs.config import StartConfig
from tests.paths import MODEL_STORE


def test_weights_of_the_bundled_model_are_those_of_today_s_architecture():
    base = load_base(StartConfig(model="organic-xtb@3"), ModelStore(MODEL_STORE))
    assert base.origin.reference == "organic-xtb@3"
    (weights,) = base.weights
    model = build_model(base.model, base.statistics, seed=1)
    take_weights(model, weights)
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])
