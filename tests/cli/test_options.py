"""Options that several commands share: the command line, else the environment, else the default."""

import argparse
from pathlib import Path

import pytest

from app.cli import evaluate, export, train
from app.cli.options import (
    add_data_cache,
    add_data_root,
    data_cache,
    data_root,
    settings_from,
)
from app.errors import InvalidRequest

COMMANDS = {
    "train": (train, ["config.yaml"]),
    "export": (export, ["run", "--name", "made"]),
    "evaluate": (evaluate, ["made", "frames.xyz"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_store_is_that_of_the_option_or_of_the_environment(name, monkeypatch):
    def store(*given: str) -> Path:
        command, arguments = COMMANDS[name]
        parser = argparse.ArgumentParser()
        command.configure(parser)
        return parser.parse_args([*arguments, *given]).model_store

    monkeypatch.delenv("EQUIPOT_MODEL_STORE", raising=False)
    assert store() == Path("model_store")
    monkeypatch.setenv("EQUIPOT_MODEL_STORE", "elsewhere")
    assert store() == Path("elsewhere")
    assert store("--model-store", "here") == Path("here")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ANSWER_CACHE", "lots", "'lots' is no size; it is bytes, as in 268435456, or with a unit"),
        ("ANSWER_CACHE", "-5", "'-5' is no size"),
        ("ANSWER_CACHE", "1.5.2GiB", "'1.5.2GiB' is no size"),
        ("PORT", "80000", "it should be less than or equal to 65535, not '80000'"),
        ("MAX_ATOMS", "1e4", "it should be a valid integer, "),
        ("EMBED_SECONDS", "inf", "it should be a finite number, not 'inf'"),
        ("MEASURE", "perhaps", "not 'perhaps'"),
        ("BACKEND", "fast", "it should be 'auto', 'onnx', 'aoti' or 'kernel', not 'fast'"),
        ("DEVICE", "gpu", "'gpu' is unknown; choose one of: cpu, cuda, cuda:N"),
        ("DEFAULT_MODEL", "", "no model is named; leave the setting out for 'organic-xtb'"),
    ],
)
def test_a_bad_setting_is_told_with_its_variable_and_its_value(variable, value, told, monkeypatch):
    monkeypatch.setenv(f"EQUIPOT_{variable}", value)
    with pytest.raises(InvalidRequest) as raised:
        settings_from(argparse.Namespace())
    assert f"setting {variable.lower()} (EQUIPOT_{variable}" in str(raised.value)
    assert told in str(raised.value)


def test_a_variable_that_is_no_setting_is_told(monkeypatch):
    monkeypatch.setenv("EQUIPOT_MAXBODY", "5")
    with pytest.raises(InvalidRequest) as raised:
        settings_from(argparse.Namespace())
    assert (
        str(raised.value)
        == "settings: EQUIPOT_MAXBODY is no setting; is EQUIPOT_MAX_BODY_BYTES meant?"
    )


def test_settings_that_do_not_go_together_are_told_by_name(monkeypatch):
    monkeypatch.setenv("EQUIPOT_QUEUE_ATOMS", "5")
    with pytest.raises(
        InvalidRequest, match=r"^settings: queue_atoms must be at least max_request"
    ):
        settings_from(argparse.Namespace())


def test_a_setting_that_has_an_option_names_it(monkeypatch):
    with pytest.raises(InvalidRequest, match=r"setting port \(EQUIPOT_PORT, --port\): "):
        settings_from(argparse.Namespace(port="many"))


@pytest.mark.parametrize(
    ("option", "variable", "folder"),
    [
        ("--data-root", "EQUIPOT_DATA", data_root),
        ("--data-cache", "EQUIPOT_DATA_CACHE", data_cache),
    ],
)
def test_folders_of_data_are_those_of_the_option_or_of_the_environment(
    option, variable, folder, monkeypatch
):
    parser = argparse.ArgumentParser()
    add_data_root(parser)
    add_data_cache(parser)
    monkeypatch.setenv("EQUIPOT_CACHE", "calibrations")
    monkeypatch.delenv(variable, raising=False)
    assert folder(parser.parse_args([])) is None
    monkeypatch.setenv(variable, "~/data")
    assert folder(parser.parse_args([])) == Path.home() / "data"
    assert folder(parser.parse_args([option, "here"])) == Path("here")
