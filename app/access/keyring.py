"""Keyring: the keys in force, read again when their file has changed."""

import logging
import os
import time
from pathlib import Path

from app.access.allowance import Allowance
from app.access.key_file import read_keys
from app.access.keys import Key, find
from app.errors import InvalidRequest

LOOK_EVERY = 1.0
"""Seconds from one look at the file to the next."""

log = logging.getLogger(__name__)


class Keyring:
    """The keys of a file. What each has left of its allowance outlives a change of the file.

    Args:
        path: of the file.

    Raises:
        InvalidRequest: the file is not there, cannot be read, or is none of keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._allowances: dict[str, Allowance] = {}
        self._seen = _state(path)
        self._looked = time.monotonic()
        try:
            self._keys = read_keys(path)
        except OSError as error:
            raise InvalidRequest(
                f"the file of keys (EQUIPOT_API_KEYS_FILE), {path}, cannot be read: "
                f"{error.strerror}; `equipot keys add` makes one"
            ) from None
        log.info("%d keys are in force", len(self._keys))

    def find(self, secret: str) -> Key | None:
        """The key of a secret, or None."""
        self._look()
        return find(self._keys, secret)

    def allowance(self, key: Key) -> Allowance:
        """What a key has left."""
        return self._allowances.setdefault(key.name, Allowance())

    def _look(self) -> None:
        """Read the file again if it has changed; where that fails, the keys stay as they were."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        state = _state(self._path)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._keys = read_keys(self._path)
        except (OSError, InvalidRequest) as error:
            log.error("the keys stay as they were: %s", error)
            return
        named = {key.name for key in self._keys}
        self._allowances = {k: left for k, left in self._allowances.items() if k in named}
        log.info("the keys were read again; %d are in force", len(self._keys))


def _state(path: Path) -> tuple[int, ...]:
    """What changes when the file does; nothing where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
