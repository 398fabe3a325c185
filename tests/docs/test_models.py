"""docs/models.md has every field of a card."""

import re

from app.store.card import ModelCard
from tests.paths import ROOT


def test_every_field_of_a_card_is_there() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(ModelCard.model_fields)
