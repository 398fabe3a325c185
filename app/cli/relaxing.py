"""Options of relaxations, as several commands take them."""

import argparse
from typing import Any, get_args

from app.relax import RelaxOptions

CELLS = {"true": "full", "false": "fixed"}
"""Other words for values of `--cell`."""


def add_relax_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--relax`, and an option for each one of a relaxation, with its own description and
    default.
    """
    parser.add_argument(
        "--relax",
        action="store_true",
        help="relax the structures; each of the next options implies it",
    )
    for name, field in RelaxOptions.model_fields.items():
        how: dict[str, Any] = {"help": f"{field.description} ({field.default or 'none'})"}
        if field.annotation in (int, float):
            how["type"] = field.annotation
        elif isinstance(field.default, str):
            how["choices"] = get_args(field.annotation)
        if name == "cell":
            how |= {"nargs": "?", "const": "full", "type": lambda word: CELLS.get(word, word)}
        parser.add_argument(f"--{name.replace('_', '-')}", **how)


def relax_options(options: argparse.Namespace) -> dict[str, object] | None:
    """What is stated of a relaxation, by name; None where there is to be none."""
    stated = {name: getattr(options, name) for name in RelaxOptions.model_fields}
    given = {name: value for name, value in stated.items() if value is not None}
    return given if options.relax or given else None
