"""Options that several commands share, and the settings that they override."""

import argparse

from pydantic import ValidationError

from app.errors import InvalidRequest
from app.settings import ENV_PREFIX, Settings

OPTIONS = (
    "model_store",
    "models",
    "default_model",
    "host",
    "port",
    "threads",
    "device",
    "backend",
    "deterministic",
    "log_level",
)


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
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"setting {place}: {first['msg']}".replace(" : ", " ")) from None
