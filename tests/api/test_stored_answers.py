"""Answers of the bundled models that were stored once: what is restructured still says the same."""

import json
import re
from typing import Any

import pytest

from tests.api.server import Running
from tests.paths import ROOT

STORED = json.loads((ROOT / "tests/api/stored_answers.json").read_text(encoding="utf-8"))
NUMBER = re.compile(r"-?\d+\.\d+(?:[eE][-+]?\d+)?")
TOLERANCE = 2e-3
"""eV, eV/Å and so on. One float32 model on processors of other makes; relaxed positions, in Å, add
up the differences of many steps.
"""


@pytest.mark.parametrize("stored", STORED, ids=[stored["name"] for stored in STORED])
def test_the_answer_is_the_stored_one(bundled: Running, stored: dict[str, Any]) -> None:
    headers = {"Content-Type": stored["kind"]}
    if stored["accept"]:
        headers["Accept"] = stored["accept"]
    body = stored["body"] if isinstance(stored["body"], str) else json.dumps(stored["body"])
    answer = bundled.client.post("/predict", content=body, params=stored["query"], headers=headers)
    assert answer.status_code == stored["status"]
    is_json = "json" in answer.headers["content-type"]
    actual = answer.json() if is_json else answer.text
    if is_json and "error" in actual:
        assert actual.pop("request_id") == answer.headers["X-Request-ID"]
    assert_alike(actual, stored["answer"])


def assert_alike(actual: Any, expected: Any) -> None:
    """The same fields and texts, and numbers within the tolerance."""
    if isinstance(expected, dict):
        assert isinstance(actual, dict)
        assert set(actual) == set(expected)
        for key in expected:
            assert_alike(actual[key], expected[key])
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(expected, str):
        assert NUMBER.sub("#", actual) == NUMBER.sub("#", expected)
        assert_alike(*([float(n) for n in NUMBER.findall(text)] for text in (actual, expected)))
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, abs=TOLERANCE)
    else:
        assert actual == expected
