"""Folder: small files by their names, on this machine or at a URL."""

import os
from pathlib import Path
from typing import Protocol

from app.errors import InvalidRequest, UnreachableStore
from app.places.url import LOCAL, READ_ONLY, Url, is_url

UNFINISHED = ".unfinished"
"""Ends the name of a file that is being written."""


class Folder(Protocol):
    """Files in a folder, of which nothing need be there.

    Attributes:
        shown: its name, for people.
    """

    shown: str

    def sizes(self) -> dict[str, int]:
        """Bytes of all that is in it, by name; nothing where it is not there.

        Raises:
            InvalidRequest: it is a file.
            UnreachableStore: it cannot be asked.
        """

    def read(self, name: str) -> bytes:
        """A file.

        Raises:
            FileNotFoundError: it is not there.
            UnreachableStore: it cannot be read.
        """

    def write(self, name: str, content: bytes) -> None:
        """Make a file, or another one in its place; the folder, too, where it is not there.

        Raises:
            UnreachableStore: it cannot be written.
        """

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            UnreachableStore: it cannot be removed.
        """


class LocalFolder:
    """A folder of this machine; its files are there as a whole or not at all.

    Args:
        path: of it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.shown = path, str(path)

    def sizes(self) -> dict[str, int]:
        """See `Folder`."""
        if self._path.exists() and not self._path.is_dir():
            raise InvalidRequest(_no_folder(self.shown))
        if not self._path.exists():
            return {}
        return {file.name: file.stat().st_size for file in self._path.iterdir()}

    def read(self, name: str) -> bytes:
        """See `Folder`."""
        return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See `Folder`."""
        self._path.mkdir(parents=True, exist_ok=True)
        half = self._path / f"{name}{UNFINISHED}"
        half.write_bytes(content)
        os.replace(half, self._path / name)

    def remove(self, name: str) -> None:
        """See `Folder`."""
        (self._path / name).unlink(missing_ok=True)


class UrlFolder:
    """A folder at a URL; an object store has its files as a whole or not at all, others may be left
    with a shorter one.

    Args:
        url: of fsspec.

    Raises:
        InvalidRequest: no package for such URLs is installed, or nothing can be written to them.
    """

    def __init__(self, url: str) -> None:
        self._at = Url(url)
        self.shown = self._at.shown
        if self._at.protocol in READ_ONLY:
            raise InvalidRequest(
                f"{self.shown}: can be read by {self._at.protocol}, not written; name a folder, or "
                "an object store"
            )

    def sizes(self) -> dict[str, int]:
        """See `Folder`."""
        system, path = self._at.system, self._at.path
        try:
            with self._at.asking():
                system.invalidate_cache()
                entries = system.ls(path, detail=True)
        except FileNotFoundError:
            return {}
        if any(entry["name"].strip("/") == path.strip("/") and entry["size"] for entry in entries):
            raise InvalidRequest(_no_folder(self.shown))
        names = [(entry["name"].rstrip("/"), int(entry["size"] or 0)) for entry in entries]
        return {
            name.rpartition("/")[2]: size
            for name, size in names
            if name.strip("/") != path.strip("/")
        }

    def read(self, name: str) -> bytes:
        """See `Folder`."""
        with self._at.asking():
            return bytes(self._at.system.cat_file(self._name(name)))

    def write(self, name: str, content: bytes) -> None:
        """See `Folder`."""
        try:
            with self._at.asking():
                self._at.system.pipe_file(self._name(name), content)
        except FileNotFoundError as error:
            told = f"{self.shown} cannot be written: {error}"
            raise UnreachableStore(f"{told}; is its bucket there?") from None

    def remove(self, name: str) -> None:
        """See `Folder`."""
        try:
            with self._at.asking():
                self._at.system.rm_file(self._name(name))
        except FileNotFoundError:
            return

    def _name(self, name: str) -> str:
        return f"{self._at.path}/{name}"


def open_folder(place: Path | str) -> Folder:
    """The folder of a path or a URL.

    Raises:
        InvalidRequest: as `UrlFolder`.
    """
    if not isinstance(place, str) or not is_url(place):
        return LocalFolder(Path(place))
    at = Url(place)
    return LocalFolder(Path(at.path)) if at.protocol in LOCAL else UrlFolder(place)


def _no_folder(shown: str) -> str:
    return f"{shown}: a folder is meant, and a file is there"
