"""Where results go: beside a file's place until all are there, with a record by which a run goes on."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.predict.entries import check_files, is_stream
from app.cli.predict.forms import FORMS
from app.cli.predict.output import Output, open_output
from app.cli.predict.record import Record, beside, forget
from app.errors import InvalidRequest
from app.formats.compression import plain_name
from app.places.replacing import check_place, half_of, put_in_place
from app.protocol.intake import Drawing
from app.protocol.model_ref import ModelRef
from app.protocol.request import PredictRequest
from app.protocol.tally import Tally


def check_paths(options: argparse.Namespace) -> None:
    """Make sure that all can be read and written, and that nothing is written over the input.

    Raises:
        InvalidFormat: a file is not there or may not be read.
        InvalidRequest: the output is one of the files, or cannot be resumed.
        OSError: it cannot be written.
    """
    check_files(options.files)
    output, streams = options.output, [file for file in options.files if is_stream(file)]
    if options.resume and (streams or not _is_kept(output)):
        culprit = f"{streams[0]} can be read only once" if streams else "--output must be a file"
        raise InvalidRequest(f"--resume: {culprit}")
    if options.resume and plain_name(output.name) != output.name:
        raise InvalidRequest(f"--resume: {output} is compressed, and cannot be gone on with")
    if output is None or not _is_kept(output):
        return
    check_place(output)
    for written in (output, half_of(output)):
        for file in options.files:
            if file not in streams and written.exists() and written.samefile(file):
                raise InvalidRequest(f"--output {output}: {file} is one of the files to read")


@contextmanager
def opened(
    options: argparse.Namespace,
    request: PredictRequest,
    model: ModelRef,
    name: str,
    drawing: Drawing,
) -> Iterator[tuple[Output, Tally]]:
    """The output, and what it holds of a run that is resumed. What kind of run this is, is recorded
    beside it. Where nothing has been answered before an error, nothing is left of it.

    Args:
        options: of the command line.
        request: what is asked of each structure.
        model: which answers.
        name: of the format.
        drawing: how geometries of SMILES are made.
    """
    path, form = options.output, FORMS[name](model, request)
    if not _is_kept(path):
        with open_output(path, form, 0, path.name if path else "") as output:
            yield output, Tally()
        return
    half = half_of(path)
    record = Record.of(model, request, name, options.files, options.format, drawing)
    tally, end = Tally(), 0
    if options.resume and (_has_content(path) or _has_content(half)):
        record.check(beside(path), options.files)
        if _has_content(half):
            with half.open("rb") as file:
                for written in form.written(file):
                    tally.add(written.outcome)
                    end = written.end
    try:
        with open_output(half, form, end, path.name) as output:
            record.write(beside(path))
            yield output, tally
    except BaseException:
        if not tally.structures:
            discard(path)
        raise


def finish(path: Path | None) -> None:
    """Give the output its place, as all results are there."""
    if path is not None and _is_kept(path):
        put_in_place(half_of(path), path)
        forget(beside(path))


def discard(path: Path | None) -> None:
    """Leave nothing of the output; a file in its place stays as it is."""
    if path is not None and _is_kept(path):
        half_of(path).unlink(missing_ok=True)
        forget(beside(path))


def how_to_go_on(path: Path | None) -> str:
    """Where the results of a run are that was stopped, and what to do."""
    if path is None or not _is_kept(path):
        return ""
    return f"; what there is of results is in {half_of(path)}; go on with --resume"


def _is_kept(path: Path | None) -> bool:
    """Whether the output is a file, which a later run finds as it was left."""
    return path is not None and (path.is_file() or not path.exists())


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
