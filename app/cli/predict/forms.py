"""Which format results are written in."""

import argparse
from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path, PurePath

from app.cli.predict.entries import Read
from app.cli.predict.output import Form, Json, Records, Text, Xyz
from app.errors import InvalidRequest
from app.formats import ase_files
from app.formats.compression import plain_name
from app.formats.registry import WRITERS, of_name
from app.formats.slabs.lammps_data import SUFFIXES as LAMMPS
from app.protocol.encode import check_held
from app.protocol.model_ref import ModelRef
from app.protocol.request import PredictRequest

FORMS: dict[str, Callable[[ModelRef, PredictRequest], Form]] = {
    kind: partial(Records, kind=kind) for kind in WRITERS
} | {"xyz": Xyz, "json": Json, "text": Text}
"""What results are written as."""
PREDICTED = tuple(name for name in FORMS if name != "text")
"""The same of predictions."""
OF_TASKS = ("text", "json")
"""The same of what a task finds."""
NAMES = {written.suffix: kind for kind, written in WRITERS.items()} | {
    ".json": "json",
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".msgpack": "msgpack",
}
"""What is written under names that say so, by their suffix; others are those of files that are read."""
SUFFIXES = {kind: suffix for suffix, kind in reversed(NAMES.items())} | {"text": ".txt"}


def named_form(
    output: Path | str | None, forms: Collection[str], option: str = "--to"
) -> str | None:
    """The format that the name of an output says, compressed or not; None where it says none.

    Args:
        output: where results go.
        forms: that can be written there.
        option: that states one.

    Raises:
        InvalidRequest: it says one that is known, and cannot be written; says what can.
    """
    name = PurePath(plain_name(PurePath(output or "").name))
    suffix = name.suffix.lower()
    kind = NAMES.get(suffix) or of_name(name.name) or ase_files.of_suffix(name.suffix)
    if kind is None and suffix in LAMMPS:
        kind = "lammps-data"
    if kind is None or kind in forms:
        return kind
    *most, last = (f"*{SUFFIXES[form]}" for form in forms)
    raise InvalidRequest(
        f"--output {output}: {kind} cannot be written here; name it {', '.join(most)} or {last}, or "
        f"say {option}"
    )


def form_of(options: argparse.Namespace, request: PredictRequest, default: str) -> str:
    """The format to write.

    Raises:
        InvalidRequest: two are stated, the name of the output says one that cannot be written, or it
            does not hold what is asked for by name.
    """
    if options.json and options.to not in (None, "json"):
        raise InvalidRequest(f"--json and --to {options.to} are stated; state one")
    stated = "json" if options.json else options.to
    forms = PREDICTED if request.task is None else OF_TASKS
    form: str = stated or named_form(options.output, forms) or default
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
