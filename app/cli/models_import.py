"""`equipot models import`: a model that was trained with another package, certified and published."""

import argparse
from pathlib import Path

from app.cli.export import report
from app.cli.options import DTYPES, about_of, add_about
from app.errors import InvalidRequest
from app.store.location import Place, open_store


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options that are for `import` alone."""
    group = parser.add_argument_group("import: a published model, or a format and a FILE")
    group.add_argument("--name", help="of the model; by default that of what is imported")
    group.add_argument("--dtype", choices=DTYPES, help="of the artifact (float32)")
    add_about(group)


def run(options: argparse.Namespace, store: Place) -> int:
    """Import; print what was published, how far it is from its package, and the artifact from it.

    Raises:
        InvalidRequest: nothing to import, or too much.
    """
    from app.cli.steps import ShownSteps
    from app.training.importers.run import import_model

    if len(options.models) not in (1, 2):
        raise InvalidRequest("models import: write a published model, or a format and a file")
    what, *files = options.models
    steps = ShownSteps()
    published = import_model(
        what,
        Path(files[0]) if files else None,
        open_store(store),
        options.name,
        about_of(options),
        options.dtype or "float32",
        steps,
    )
    report(published, steps)
    return 0
