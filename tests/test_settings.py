from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import ENV_PREFIX, Settings
from tests.paths import ROOT

DOCUMENT = ROOT / "docs" / "settings.md"


def test_every_setting_is_documented_with_its_default() -> None:
    rows = {
        row.split("|")[1].strip(): row
        for row in DOCUMENT.read_text().splitlines()
        if row.startswith("| `")
    }
    expected = {
        f"`{ENV_PREFIX}{name.upper()}`": field for name, field in Settings.model_fields.items()
    }
    assert set(rows) == set(expected)
    for name, field in expected.items():
        if field.default_factory is None and field.default not in ((), "", None):
            given = field.default
            shown = ",".join(given) if isinstance(given, tuple) else given
            assert f"`{shown}`" in rows[name]


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EQUIPOT_MODELS", "a, b@2")
    monkeypatch.setenv("EQUIPOT_PORT", "9000")
    monkeypatch.setenv("EQUIPOT_MODEL_STORE", str(tmp_path))
    settings = Settings()
    assert settings.models == ("a", "b@2")
    assert settings.port == 9000
    assert settings.model_store == tmp_path


def test_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOT_PORT", "9000")
    assert Settings(port=1).port == 1


@pytest.mark.parametrize(
    "given",
    [
        {"port": 70000},
        {"threads": -1},
        {"device": "tpu"},
        {"prot": 1},
        {"max_structures": 10, "queue_structures": 9},
    ],
)
def test_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)  # type: ignore[arg-type]


def test_a_device_is_named_with_its_number() -> None:
    assert Settings(device="cuda:1").device == "cuda:1"
    with pytest.raises(
        ValidationError, match="'cuda1' is unknown; choose one of: cpu, cuda, cuda:N"
    ):
        Settings(device="cuda1")


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]
