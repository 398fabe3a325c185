"""Options that several commands share: the command line, else the environment, else the default."""

import argparse
from pathlib import Path

import pytest

from app.cli import evaluate, export, train
from app.cli.options import add_data_cache, add_data_root, data_cache, data_root

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
