"""The last table of `equipot bench` plans a screen as the documentation does."""

import re

from app.bench.report import sizing
from tests.paths import ROOT


def test_the_plan_of_a_billion_structures_is_that_of_the_page() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    rate, hours = (
        re.search(rf"^\| {name} \| ([\d.]+)", page, re.MULTILINE)
        for name in ("measured: structures a second of one", "all of them")
    )
    assert rate is not None
    assert hours is not None
    planned = sizing(
        {
            "plan": {"structures": 10**9, "nodes": 100},
            "backend": [{"sample": "aspirin", "best": {"rate": float(rate[1])}}],
        }
    )
    assert "1,000,000,000 OF" in planned
    assert f"{hours[1]} hours" in planned
