"""`equipot admin` against a real service."""

import json
from pathlib import Path

import pytest

from app.cli.main import main
from tests.api.server import running


def test_from_load_to_the_end_of_an_alias(
    pair_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(pair_store, models="pairs@1", log_level="error") as service:
        server = ("--server", f"http://127.0.0.1:{service.port}")

        def told(*words: str, code: int = 0) -> str:
            assert main(["admin", *words, *server]) == code
            captured = capsys.readouterr()
            return captured.err if code else captured.out

        assert [row.split()[:3] for row in told("show").splitlines()[:3]] == [
            ["MODEL", "STATE", "DEFAULT"],
            ["pairs@1", "loaded", "yes"],
            ["pairs@2", "unloaded"],
        ]
        told("load", "pairs@2")
        shared = told("alias", "pairs", "pairs@1=90", "pairs@2=10", "--by", "request")
        assert "alias pairs: pairs@1 90 %, pairs@2 10 % (by request)" in shared
        assert "changes are kept in nothing" in shared
        assert "add up to 95" in told("alias", "pairs", "pairs@1=95", code=1)
        assert "MODEL=PERCENT" in told("alias", "pairs", "pairs@1=most", code=2)
        assert "model_in_use" in told("unload", "pairs@2", code=1)
        told("alias", "pairs", "pairs@2")
        assert json.loads(told("unload", "pairs@1", "--json"))["default"] == ["pairs"]
        told("default", "pairs@2")
        told("unalias", "pairs")
        assert "default: pairs@2" in told("reload")
