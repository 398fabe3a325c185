"""The `equipot` command: one sub-command per module of `app.cli`, each imported when asked for."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from app import __version__
from app.errors import EquipotError

COMMANDS = {
    "serve": "start the HTTP service",
    "predict": "energies, forces and relaxed structures of files, without a server",
    "models": "list, show and verify the models of the store",
    "bench": "how fast a model and the service are on this machine",
    "label": "run a reference calculator over structures",
    "train": "train a model from a config",
    "evaluate": "errors of a store model on labelled data",
    "export": "certify a trained model and publish it into the store",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: command line without the program's name; `sys.argv` by default.

    Returns:
        0 on success, 1 after an error that Equipot explains, 2 after wrong usage.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in given if word in COMMANDS), None)
    options = _parser(chosen).parse_args(given)
    try:
        return int(importlib.import_module(f"app.cli.{options.command}").run(options))
    except EquipotError as error:
        print(f"equipot {options.command}: {error}", file=sys.stderr)
        return 1


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="equipot", description="Equivariant interatomic potentials, served."
    )
    parser.add_argument("--version", action="version", version=f"equipot {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=help_text)
        if name == chosen:
            importlib.import_module(f"app.cli.{name}").configure(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
