"""Options that several commands share, and the settings that they override."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pydantic import ValidationError

from app.errors import InvalidRequest
from app.settings import ENV_PREFIX, Settings
from app.store.location import located, own_store

if TYPE_CHECKING:
    from app.training.export.publish import About

OPTIONS = (
    "model_store",
    "models",
    "default_model",
    "host",
    "port",
    "processes",
    "threads",
    "device",
    "backend",
    "deterministic",
    "log_level",
)
DTYPES = ("float32", "float64")
"""Precisions of artifacts."""


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Declare options for some settings; all others come from the environment."""
    for name in names:
        field = Settings.model_fields[name]
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            help=f"{field.description} (${ENV_PREFIX}{name.upper()})",
            default=None,
            action="store_true" if field.annotation is bool else "store",
        )


def settings_from(options: argparse.Namespace) -> Settings:
    """Settings from the environment, overridden by the command line.

    Raises:
        InvalidRequest: naming the setting.
    """
    given = {
        name: getattr(options, name) for name in OPTIONS if getattr(options, name, None) is not None
    }
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidRequest(_told(error)) from None


def _told(error: ValidationError) -> str:
    """Which setting is wrong, where it may be set, and what it may be."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if not first["loc"]:
        return f"settings: {message}"
    name = str(first["loc"][0])
    option = f", --{name.replace('_', '-')}" if name in OPTIONS else ""
    value = "" if first["type"] == "value_error" else f", not {first['input']!r}"
    return f"setting {name} ({ENV_PREFIX}{name.upper()}{option}): {message}{value}"


def add_model_store(parser: argparse.ArgumentParser) -> None:
    """Declare `--model-store` for commands that train, publish or measure."""
    parser.add_argument(
        "--model-store",
        type=located,
        default=own_store(),
        metavar="PLACE",
        help="folder or URL of the models (%(default)s, or $EQUIPOT_MODEL_STORE)",
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Declare `--data-root`."""
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="where relative paths of data begin ($EQUIPOT_DATA)",
    )


def add_data_cache(parser: argparse.ArgumentParser) -> None:
    """Declare `--data-cache`."""
    parser.add_argument(
        "--data-cache",
        type=Path,
        metavar="DIR",
        help="keep data with their neighbour lists there for later runs ($EQUIPOT_DATA_CACHE)",
    )


def data_root(options: argparse.Namespace) -> Path | None:
    """The folder in which relative paths of data begin, if one is given."""
    return _folder(options.data_root, "EQUIPOT_DATA")


def data_cache(options: argparse.Namespace) -> Path | None:
    """The folder in which data are kept with their neighbour lists, if one is given."""
    return _folder(options.data_cache, "EQUIPOT_DATA_CACHE")


def _folder(given: Path | None, variable: str) -> Path | None:
    """What is given on the command line, else in the environment."""
    value = os.environ.get(variable)
    return given if given is not None or not value else Path(value).expanduser()


def add_about(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Declare `--about`."""
    parser.add_argument(
        "--about", type=Path, help="YAML with description, license and limitations for the card"
    )


def about_of(options: argparse.Namespace) -> "About":
    """The content of the file that `--about` names; nothing where it is not given.

    Raises:
        InvalidConfig: no such file, or an unknown or ill-typed key.
    """
    from app.training.export.publish import About, read_about

    return read_about(options.about) if options.about else About()


def add_doubtful(parser: argparse.ArgumentParser) -> None:
    """What becomes of structures whose answers are doubtful."""
    from app.backends.domain import OnOod  # with all that compares structures

    parser.add_argument(
        "--on-ood",
        choices=get_args(OnOod),
        default="warn",
        help="whether what the model's training data never held is answered with a warning or refused",
    )
    parser.add_argument(
        "--allow-odd-electrons", action="store_true", help="answer for radicals, with a warning"
    )
