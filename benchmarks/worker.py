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
    """A process that has built what it measures, and waits.

    Attributes:
        description: what it says about what it has built.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.description = self._read()

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(
                f"{' '.join(self.process.args)} ended with status {self.process.wait()}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def started(
    python: Path | str, module: str, arguments: Sequence[str], env: Mapping[str, str]
) -> Iterator[Worker]:
    """A module run by an interpreter in the repository's root, built and waiting; it ends with the
    block.
    """
    command = [str(python), "-m", module, *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )
    try:
        yield Worker(process)
    finally:
        process.communicate()


def claim_output() -> TextIO:
    """The standard output for answers alone; what libraries print goes to the standard error from
    now on.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(
    answers: TextIO, description: Mapping[str, Any], answer: Callable[..., Mapping[str, Any]]
) -> None:
    """Say what was built; then answer each request with what a function makes of it, until the
    input ends.
    """
    print(json.dumps(description), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), file=answers, flush=True)
