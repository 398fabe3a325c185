"""Which format results are written in."""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path

from app.cli.predict.entries import Read
from app.cli.predict.output import Form, Json, Records, Text, Xyz
from app.errors import InvalidRequest
from app.formats.registry import WRITERS
from app.protocol.encode import check_held
from app.protocol.model_ref import ModelRef
from app.protocol.request import PredictRequest

FORMS: dict[str, Callable[[ModelRef, PredictRequest], Form]] = {
    kind: partial(Records, kind=kind) for kind in WRITERS
} | {"xyz": Xyz, "json": Json, "text": Text}
"""What results are written as."""
PREDICTED = tuple(name for name in FORMS if name != "text")
"""The same of predictions."""
SUFFIXES = {written.suffix: kind for kind, written in WRITERS.items()} | {".json": "json"}


def form_of(options: argparse.Namespace, request: PredictRequest, default: str) -> str:
    """The format to write.

    Raises:
        InvalidRequest: two are stated, or it does not hold what is asked for by name.
    """
    if options.json and options.to not in (None, "json"):
        raise InvalidRequest(f"--json and --to {options.to} are stated; state one")
    suffix = Path(options.output).suffix.lower() if options.output is not None else ""
    form: str = "json" if options.json else options.to or SUFFIXES.get(suffix, default)
    check_held(request, form)
    return form


def is_single(form: str) -> bool:
    """Whether a file of this format holds one structure, and no error in the place of one."""
    return form in WRITERS and WRITERS[form].single


def only_one(reads: Iterator[Read], form: str) -> Iterator[Read]:
    """The same, where a file of this format can hold what is read.

    Raises:
        InvalidRequest: it cannot, as there are several or the one does not fit; says what can.
    """
    first = list(islice(reads, 2))
    if len(first) > 1:
        raise InvalidRequest(
            f"{form} holds one structure, and there are several; write xyz or json (--to)"
        )
    for read in first:
        if isinstance(read.entry.structure, InvalidRequest):
            raise InvalidRequest(f"nothing can be written as {form}: {read.entry.structure}")
    return chain(first, reads)
