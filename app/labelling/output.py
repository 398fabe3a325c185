"""The files of a labelling run: labelled frames, failures, and what they were made of.

Both lists grow in the order of the input, so that their lengths together say how far a run has
come.
"""

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import InvalidRequest


@dataclass
class LabelOutput:
    """Open files of a run, each ending after a whole record.

    Attributes:
        labelled: frames in the extXYZ file.
        failed: lines in the list of failures.
    """

    frames: io.BufferedRandom
    failures: io.BufferedRandom
    labelled: int
    failed: int

    def add(self, frame: bytes) -> None:
        """Append a labelled extXYZ frame."""
        self.labelled += 1
        _append(self.frames, frame)

    def fail(self, record: dict[str, Any]) -> None:
        """Append a failure."""
        self.failed += 1
        _append(self.failures, json.dumps(record).encode() + b"\n")


@contextmanager
def label_output(path: Path, run: dict[str, Any]) -> Iterator[LabelOutput]:
    """Open the files of a run at its end, cutting what a killed run left half-written.

    Args:
        path: extXYZ file.
        run: inputs and calculator, as JSON; written beside the output.

    Raises:
        InvalidRequest: the file is no output of a run, of a different run, or another process
            writes it.
    """
    if path.exists() and not run_path(path).exists():
        raise InvalidRequest(f"{path} exists and is no output of this command: choose another one")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as frames, failures_path(path).open("a+b") as failures:
        _lock(frames, path)
        output = LabelOutput(frames, failures, _repair_frames(frames), _repair_lines(failures))
        _claim(path, run, started=output.labelled + output.failed > 0)
        yield output


def failures_path(path: Path) -> Path:
    """Where an output's failures are listed: JSON lines with file, frame and reason."""
    return path.with_name(path.name + ".failures.jsonl")


def run_path(path: Path) -> Path:
    """Where the inputs and the calculator of an output are written down."""
    return path.with_name(path.name + ".run.json")


def _claim(path: Path, run: dict[str, Any], started: bool) -> None:
    """Write down what an output is made of; refuse one that is made of something else."""
    if started and json.loads(run_path(path).read_text()) != run:
        raise InvalidRequest(
            f"{path} was made of other inputs, calculator, options or properties, see {run_path(path)}: "
            "choose another output, or delete all three files"
        )
    written = path.with_name(path.name + ".run.tmp")
    written.write_text(json.dumps(run, indent=2) + "\n")
    os.replace(written, run_path(path))


def _lock(file: io.BufferedRandom, path: Path) -> None:
    """Keep a second run from writing the same files, where the system has file locks."""
    if os.name != "posix":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InvalidRequest(f"another run is writing {path}") from error


def _append(file: io.BufferedRandom, data: bytes) -> None:
    file.write(data)
    file.flush()


def _repair_frames(file: io.BufferedRandom) -> int:
    """Cut a half-written frame at the end; returns the number of whole frames."""
    frames = end = 0
    file.seek(0)
    while (size := _frame_size(file)) is not None:
        frames, end = frames + 1, end + size
    file.truncate(end)
    return frames


def _frame_size(file: io.BufferedRandom) -> int | None:
    """Bytes of the extXYZ frame that starts here, None if no whole frame does."""
    first = file.readline()
    if not first.endswith(b"\n"):
        return None
    lines = [file.readline() for _ in range(int(first) + 1)]
    return len(first) + sum(map(len, lines)) if lines[-1].endswith(b"\n") else None


def _repair_lines(file: io.BufferedRandom) -> int:
    """Cut a half-written line at the end; returns the number of whole lines."""
    file.seek(0)
    text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    file.truncate(len(whole))
    return whole.count(b"\n")
