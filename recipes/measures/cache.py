"""References that were computed once: a file of JSON lines for each kind, a line for each key."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Record = dict[str, Any]


class Cache:
    """Records by key, each a line of `FOLDER/KIND.jsonl`.

    A line that a killed run left half-written is not read, and cut when the next one is written.

    Args:
        folder: of the user's.
        kind: what the records are.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.path = folder / f"{kind}.jsonl"
        self.records: dict[str, Record] = {}
        self._whole = 0
        if self.path.exists():
            text = self.path.read_bytes()
            self._whole = text.rfind(b"\n") + 1
            for line in text[: self._whole].splitlines():
                record = json.loads(line)
                self.records[record.pop("key")] = record

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def get(self, key: str) -> Record | None:
        """The record, or None where there is none or its calculation failed."""
        record = self.records.get(key)
        return None if record is None or "failed" in record else record

    def add(self, key: str, record: Record) -> None:
        """Write a record; it outlives this process. Only within `writing`."""
        line = json.dumps({"key": key, **record}).encode() + b"\n"
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.truncate(self._whole)
            file.seek(self._whole)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._whole += len(line)
        self.records[key] = record


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only process that writes into a cache.

    Raises:
        SystemExit: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{folder}: another process writes into this cache") from None
        yield


def key_of(name: str, numbers: Sequence[int], positions: NDArray[np.float64], charge: int) -> str:
    """A name with the digest of what was computed, so that another geometry is another key."""
    digest = hashlib.sha256(np.asarray(numbers, dtype=np.int64).tobytes())
    digest.update(np.round(positions, 6).astype(np.float64).tobytes())
    digest.update(str(charge).encode())
    return f"{name} {digest.hexdigest()[:16]}"
