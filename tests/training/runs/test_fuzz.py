"""Configs that were damaged at random are refused as configs, and not otherwise."""

import os
import random

import pytest
import yaml

from app.errors import TrainingError
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import parse_config
from tests.api.test_fuzz import damaged
from tests.paths import ROOT

INPUTS = int(os.environ.get("TEST_FUZZ", "1000"))
RECIPES = ("rmd17/aspirin", "equiformer-md17/nonlinear-mlp", "water/allegro")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_damaged_config(recipe: str) -> None:
    rng, refused = random.Random(0), 0
    content = yaml.safe_load((ROOT / "recipes" / f"{recipe}.yaml").read_text())
    for _ in range(INPUTS):
        try:
            config = parse_config(damaged(content, rng), "made")
        except TrainingError:
            refused += 1
        else:
            assert isinstance(config, TrainConfig)
    assert refused
