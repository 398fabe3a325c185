"""The `equipot` command: one sub-command per module of `app.cli`, each imported when asked for."""

import argparse
import importlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from app import __version__
from app.cli.parser import Parser
from app.errors import EquipotError, InvalidRequest

COMMANDS = {
    "serve": "start the HTTP service",
    "predict": "energies, forces and relaxed structures of files, in this process or of a service",
    "relax": "the same as predict --relax",
    "thermo": "frequencies, zero-point energy, U, H, S and G of molecules and adsorbates",
    "conformers": "conformers of molecules, told apart and ranked, with Boltzmann weights",
    "scan": "energy along a distance, an angle or a dihedral angle of molecules",
    "energies-of": "interaction, strain, tautomers, protomers, bond dissociation of molecules",
    "eos": "equation of state of crystals: volume, bulk modulus and its derivative",
    "elastic": "elastic tensor of crystals and moduli of polycrystals",
    "phonons": "phonons of crystals: bands, density of states, thermal properties",
    "md": "molecular dynamics of many replicas, in a heat bath, under a pressure, or with the energy kept",
    "neb": "ways of least energy between minima of the same atoms, saddle points and barriers",
    "ipi": "a model as a driver of i-PI's socket protocol",
    "jobs": "submit large jobs to a service, and look after them",
    "mcp": "tools for a language model: predict, relax, conformers, jobs",
    "admin": "load, unload and name the models of a running service",
    "keys": "make, list and revoke the keys of a service",
    "models": "list, show and verify the models of the store",
    "bench": "how fast a model and the service are on this machine",
    "label": "run a reference calculator over structures",
    "train": "train a model from a config",
    "distill": "a small, fast model in the place of a large one",
    "evaluate": "errors of a store model on labelled data",
    "export": "certify a trained model and publish it into the store",
}


EXTRAS = {
    "serve": "serve",
    "bench": "serve",
    "mcp": "serve,mcp",
    "train": "train",
    "distill": "train",
    "evaluate": "train",
    "export": "train",
}
"""What to install for commands that need more than the package itself."""
TASKS = (
    "thermo",
    "conformers",
    "scan",
    "energies-of",
    "eos",
    "elastic",
    "phonons",
    "md",
    "neb",
)
"""Commands that are tasks, all of one module."""
INTERRUPTED, BROKEN_PIPE = 128 + signal.SIGINT, 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: command line without the program's name; `sys.argv` by default.

    Returns:
        0 on success, 2 after wrong usage, 1 after another error that Equipot explains (3 of
        `predict`, whose 1 says that structures were refused), 128 and the signal's number after one.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in given if word in COMMANDS), None)
    try:
        parser = parser_of(chosen)
        options = parser.parse_args(given)
        if options.command is None:
            parser.print_help(sys.stderr)
            return 2
        return _run(options)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "app":
            raise
        return _told(chosen, f"{error.name} is not installed; {_remedy(chosen)}", 1)
    except BrokenPipeError:
        _leave_standard_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return _told(chosen, "interrupted", INTERRUPTED)


def _run(options: argparse.Namespace) -> int:
    """Run the command that the options name, and tell its errors in one line."""
    command = _module(options.command)
    failed = getattr(command, "FAILED", 1)
    try:
        with _logged(options.command):
            code = int(command.run(options))
        sys.stdout.flush()
        return code
    except InvalidRequest as error:
        return _told(options.command, str(error), 2)
    except EquipotError as error:
        return _told(options.command, str(error), failed)
    except BrokenPipeError:
        raise
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        return _told(options.command, f"{file}{error.strerror or error}", failed)


@contextmanager
def _logged(command: str) -> Iterator[None]:
    """What the client of a service says meanwhile, as of attempts that failed, goes to standard error."""
    log, handler = logging.getLogger("equipot"), logging.StreamHandler()
    clear = "\r\033[K" if sys.stderr.isatty() else ""  # of a bar
    handler.setFormatter(logging.Formatter(f"{clear}equipot {command}: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _module(command: str) -> ModuleType:
    """What has its options and runs it."""
    return importlib.import_module(f"app.cli.{'task' if command in TASKS else command}")


def _told(command: str | None, message: str, code: int) -> int:
    name = f"equipot {command}" if command else "equipot"
    print(f"{name}: {message}", file=sys.stderr)
    return code


def _remedy(command: str | None) -> str:
    extra = EXTRAS.get(command or "")
    return f"pip install 'equipot[{extra}]'" if extra else "install it with pip"


def _leave_standard_output() -> None:
    """Nobody reads it any more, so that not even what is buffered may be written at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser_of(command: str | None) -> argparse.ArgumentParser:
    """The parser of the command line, with the options of one command."""
    parser = Parser(
        prog="equipot",
        description="Equivariant interatomic potentials, served.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"equipot {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, help_text in COMMANDS.items():
        subparser = commands.add_parser(
            name, help=help_text, description=help_text, allow_abbrev=False
        )
        if name == command:
            _module(name).configure(subparser, *((name,) if name in TASKS else ()))
    return parser


if __name__ == "__main__":
    sys.exit(main())
