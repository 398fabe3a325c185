import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import ENV_PREFIX, Settings, unknown_variables
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


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("EQUIPOT_MAXBODY", "is EQUIPOT_MAX_BODY_BYTES meant?"),
        ("EQUIPOT_DEFAULT_MODELS", "is EQUIPOT_DEFAULT_MODEL meant?"),
        ("EQUIPOT_MODELSTORE", "is EQUIPOT_MODEL_STORE meant?"),
        ("equipot_prot", "is EQUIPOT_PORT meant?"),
        ("EQUIPOT_SERVICE_HOST", "remove it"),
    ],
)
def test_a_variable_that_is_no_setting_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    monkeypatch.setenv(variable, "5")
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert f"Value error, {variable} is no setting; {told}" in str(raised.value)


def test_all_variables_that_are_no_settings_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EQUIPOT_PORTS", "1")
    monkeypatch.setenv("EQUIPOT_HOSTS", "a")
    assert unknown_variables() == ["EQUIPOT_HOSTS", "EQUIPOT_PORTS"]
    with pytest.raises(ValidationError, match=r"EQUIPOT_HOSTS is .*; EQUIPOT_PORTS is no setting"):
        Settings()


def test_variables_that_others_read_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("EQUIPOT_API_KEY", "EQUIPOT_DATA", "EQUIPOT_DATA_CACHE", "EQUIPOTS"):
        monkeypatch.setenv(variable, "here")
    assert Settings().port == 8000


def test_images_and_manifests_set_nothing_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        ROOT / "Dockerfile",
        *(path for path in (ROOT / "docker").rglob("*") if path.is_file()),
    ]
    named = {name for file in files for name in re.findall(r"EQUIPOT_[A-Z0-9_]+", file.read_text())}
    assert "EQUIPOT_MODEL_STORE" in named
    for name in named:
        monkeypatch.setenv(name, "")
    assert unknown_variables() == []


def test_what_kubernetes_says_of_other_services_is_no_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"):
        monkeypatch.setenv(f"EQUIPOT_WEB_{name}", "tcp://10.0.0.1:80")
    Settings()
