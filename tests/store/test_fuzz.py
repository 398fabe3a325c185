"""Cards that were damaged at random are refused by the store, and by nothing else."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from app.errors import StoreError
from app.store.store import CARD, ModelStore
from tests.api.test_fuzz import damaged, flipped
from tests.paths import MODEL_STORE

INPUTS = int(os.environ.get("TEST_FUZZ", "1000"))


@pytest.mark.parametrize("name", ["lennard-jones/1", "organic-xtb/3"])
def test_a_damaged_card(tmp_path: Path, name: str) -> None:
    rng, refused = random.Random(0), 0
    content = (MODEL_STORE / name / CARD).read_bytes()
    card = json.loads(content)
    folder = tmp_path / name
    folder.mkdir(parents=True)
    for file in card["files"]:
        shutil.copyfile(MODEL_STORE / name / file, folder / file)
    reference = name.replace("/", "@")
    for number in range(INPUTS // 4):
        changed = damaged(card, rng)
        raw = json.dumps(changed).encode() if number % 2 else flipped(content, rng)
        (folder / CARD).write_bytes(raw)
        try:
            loaded = ModelStore(tmp_path).load(reference)
        except StoreError:
            refused += 1
        else:
            assert loaded.card.name == card["name"]
    assert refused
