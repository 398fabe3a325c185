"""Processes that measure when they are asked to: one JSON object a line, each way.

Standard library only.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parent.parent


class Worker:
    """A process that waits, and the description of what it has built to measure."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.description = self._read()

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            RuntimeError: the process has ended.
        """
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            raise RuntimeError(f"{' '.join(self.process.args)} ended with status {status}")
        return dict(json.loads(line))


@contextmanager
def started(
    python: Path | str, module: str, arguments: Sequence[str], env: Mapping[str, str] | None = None
) -> Iterator[Worker]:
    """A module that an interpreter runs in the repository's root for the length of a block.

    Raises:
        RuntimeError: it could not build what it is to measure.
    """
    command = [str(python), "-m", module, *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    try:
        yield Worker(process)
    finally:
        process.communicate()


def claim_output() -> TextIO:
    """The standard output, for answers alone; what libraries print goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(
    answers: TextIO, description: Mapping[str, Any], answer: Callable[..., Mapping[str, Any]]
) -> None:
    """Say what was built; then answer requests by a function, until the input ends."""
    print(json.dumps(description), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), file=answers, flush=True)
