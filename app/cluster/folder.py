"""The folder of a screen: a file for each portion, which is there as a whole or does not count."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from app.errors import InvalidRequest
from app.places.folder import UNFINISHED, Folder
from app.protocol.tally import Tally

LEDGER = "_parts-"
"""Begins the names of files that say what is in which. Readers of Parquet pass over names that begin
with a line.
"""
LINES = 1000
"""Portions that one of them is of."""


class Line(NamedTuple):
    """What the ledger says of the results of a portion.

    Attributes:
        size: bytes of their file.
        tally: what became of its structures.
    """

    size: int
    tally: Tally


class ScreenFolder:
    """Results of a screen, by the numbers of their portions.

    The line of a portion is written before its file: what ends the process in between, or in the
    middle of a file, leaves neither a half nor a second one. Nothing is ever appended to a file,
    which object stores cannot do.

    Args:
        files: where results go.
        suffix: of their names.
    """

    def __init__(self, files: Folder, suffix: str) -> None:
        self._files, self._suffix = files, suffix
        self._lines: dict[int, dict[int, Line]] = defaultdict(dict)

    def check_new(self) -> None:
        """Make sure that nothing is in the way.

        Raises:
            InvalidRequest: results are there, or what is no folder.
            UnreachableStore: it cannot be asked.
        """
        if self._files.sizes():
            raise InvalidRequest(
                f"--output {self._files.shown}: holds files already; go on with --resume, or name "
                "another folder"
            )

    def open(self) -> Tally:
        """Look through what is there of a run that was stopped; what its whole files hold."""
        sizes, tally = self._files.sizes(), Tally()
        for name in sizes:
            if name.endswith(UNFINISHED):
                self._files.remove(name)
            elif name.startswith(LEDGER):
                for number, line in _lines_of(self._files.read(name)):
                    if sizes.get(self._name(number)) == line.size:
                        self._lines[number // LINES][number] = line
                        tally.merge(line.tally)
        return tally

    def has(self, number: int) -> bool:
        """Whether the results of a portion are there."""
        return number in self._lines[number // LINES]

    def write(self, number: int, content: bytes, tally: Tally) -> None:
        """Write the results of a portion; they outlive this process.

        Raises:
            UnreachableStore: they cannot be written.
        """
        lines = self._lines[number // LINES] | {number: Line(len(content), tally)}
        told = [
            {"part": n, "bytes": each.size, **each.tally.as_json()} for n, each in lines.items()
        ]
        ledger = b"".join(orjson.dumps(line) + b"\n" for line in told)
        self._files.write(f"{LEDGER}{number // LINES:04}.jsonl", ledger)
        self._files.write(self._name(number), content)
        self._lines[number // LINES] = lines

    def _name(self, number: int) -> str:
        return f"part-{number:07}{self._suffix}"


def _lines_of(content: bytes) -> Iterator[tuple[int, Line]]:
    """What a file of the ledger says; its last line may be half a one."""
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        fields = orjson.loads(line)
        number, size = fields.pop("part"), fields.pop("bytes")
        yield number, Line(size, Tally.of_json(fields))
