"""The folder of a screen: a file for each portion, which is there as a whole or not at all."""

import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from app.errors import InvalidRequest
from app.protocol.tally import Tally

LEDGER = "_parts.jsonl"
"""What is in which file, a line each. Readers of Parquet pass over names that begin so."""
UNFINISHED = ".unfinished"


class ScreenFolder:
    """Results of a screen, by the numbers of their portions.

    A file is written under another name, and its line of the ledger before it has its own: what ends
    the process in between leaves neither a half nor a second one.

    Args:
        path: the folder.
        suffix: of its files.

    Attributes:
        path: as given.
    """

    def __init__(self, path: Path, suffix: str) -> None:
        self.path, self._suffix = path, suffix
        self._tallies: dict[int, Tally] = {}

    def check_new(self) -> None:
        """Make sure that nothing is in the way.

        Raises:
            InvalidRequest: results are there, or what is no folder.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InvalidRequest(
                f"--output {self.path}: with --ray it is a folder, and a file is there"
            )
        if self.path.is_dir() and any(self.path.iterdir()):
            raise InvalidRequest(
                f"--output {self.path}: holds files already; go on with --resume, or name another "
                "folder"
            )

    def open(self) -> Tally:
        """Make the folder, or look through one that is there; what its whole files hold."""
        self.path.mkdir(parents=True, exist_ok=True)
        for half in self.path.glob(f"*{UNFINISHED}"):
            half.unlink()
        tally = Tally()
        for number, each in self._lines():
            if self._file(number).exists():
                self._tallies[number] = each
        for each in self._tallies.values():
            tally.merge(each)
        return tally

    def has(self, number: int) -> bool:
        """Whether the results of a portion are there."""
        return number in self._tallies

    def write(self, number: int, content: bytes, tally: Tally) -> None:
        """Write the results of a portion; they outlive this process."""
        half = self._file(number).with_name(self._file(number).name + UNFINISHED)
        half.write_bytes(content)
        with (self.path / LEDGER).open("ab") as ledger:
            ledger.write(orjson.dumps({"part": number, **tally.as_json()}) + b"\n")
        os.replace(half, self._file(number))
        self._tallies[number] = tally

    def _file(self, number: int) -> Path:
        return self.path / f"part-{number:07}{self._suffix}"

    def _lines(self) -> Iterator[tuple[int, Tally]]:
        """What the ledger says; its last line may be half a one."""
        ledger = self.path / LEDGER
        if not ledger.exists():
            return
        content = ledger.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            ledger.write_bytes(whole)
        for line in whole.splitlines():
            fields = orjson.loads(line)
            yield fields.pop("part"), Tally.of_json(fields)
