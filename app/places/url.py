"""Files at URLs of fsspec, such as `s3://bucket/library/*.sdf`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import EquipotError, InvalidFormat, InvalidRequest, UnreachableStore

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs"}
"""What has to be installed for URLs, beside the extra `remote`."""
READ_ONLY = ("http", "https")
LOCAL = ("file", "local")
MARKS = (
    *("ETag", "etag", "md5Hash", "Content-MD5", "Last-Modified", "LastModified"),
    *("last_modified", "mtime", "modified", "created"),
)
"""What tells the content of a file from another one, of what the packages know of it; best first."""


class Url:
    """What is at a URL, by the package of fsspec for it.

    Args:
        url: of a file, a folder or a pattern; the keys that it needs come from where its package
            looks for them.

    Attributes:
        shown: without the name and the password that may have stood in it.
        protocol: before the colon.
        system: of fsspec.
        path: in that system.

    Raises:
        InvalidRequest: a package for this kind of URL is not installed, or there is no such kind.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.shown = self.shown_of(url)
        self.protocol = url.partition(":")[0]
        try:
            import fsspec

            options = {"auto_mkdir": True} if self.protocol in LOCAL else {}
            self.system, path = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            package = PACKAGES.get(self.protocol)
            besides = f" {package}" if package else ""
            raise InvalidRequest(
                f"{self.shown}: {error}; pip install 'equipot[remote]'{besides}"
            ) from None
        except ValueError as error:
            raise InvalidRequest(f"{self.shown}: {error}") from None
        self.path = str(path).rstrip("/")

    @staticmethod
    def shown_of(url: str) -> str:
        """It without the name and the password that may stand in it."""
        return re.sub(r"//[^/@]*@", "//", url).rstrip("/")

    @contextmanager
    def asking(self) -> Iterator[None]:
        """What may go wrong on the way, as one error: each package of fsspec raises its own.

        Raises:
            UnreachableStore: the URL cannot be reached or used.
        """
        try:
            yield
        except (EquipotError, FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UnreachableStore(f"{self.shown} cannot be reached or used: {reason}") from error

    def matching(self) -> list[str]:
        """URLs of the files that it means, in order: itself, or what its pattern matches.

        Raises:
            InvalidFormat: no file is there, or none matches.
            UnreachableStore: it cannot be asked.
        """
        with self.asking():
            self.system.invalidate_cache()
            magic = "[*]" if self.protocol in READ_ONLY else r"[*?\[]"  # `?` begins a query
            if not re.search(magic, self.path):
                return self._itself()
            found = self.system.glob(self.path, detail=True)
        files = sorted(path for path, about in found.items() if about["type"] == "file")
        if not files:
            raise InvalidFormat(f"{self.shown}: no file matches")
        return [self._of(path) for path in files]

    def _itself(self) -> list[str]:
        """Its own URL, if a file is there; `isfile` would take a refusal for its absence."""
        try:
            kind = self.system.info(self.path)["type"]
        except FileNotFoundError:
            raise InvalidFormat(f"{self.shown}: no such file") from None
        if kind != "file":
            raise InvalidFormat(f"{self.shown}: no file, but a {kind}")
        return [self._url]

    def size(self) -> int:
        """Of the file, in bytes."""
        with self._file():
            return int(self.system.info(self.path)["size"] or 0)

    def mark(self) -> str:
        """What another content of the file would not have: its size and its ETag, or what its
        package knows in the place of one.
        """
        with self._file():
            about = self.system.info(self.path)
        mark = next((str(about[name]) for name in MARKS if about.get(name)), "")
        return f"{about['size']} {mark}"

    def fetch(self, target: Path) -> None:
        """Copy the file."""
        with self._file():
            self.system.get_file(self.path, str(target))

    @contextmanager
    def _file(self) -> Iterator[None]:
        """The same as `asking`, of a file that was there before."""
        try:
            with self.asking():
                yield
        except FileNotFoundError:
            raise UnreachableStore(f"{self.shown} is not there any more") from None

    def _of(self, path: str) -> str:
        """The URL of another file of the system."""
        own, other = self.path.lstrip("/"), str(path).lstrip("/")
        if self._url.endswith(own):
            return self._url.removesuffix(own) + other
        return str(self.system.unstrip_protocol(path))


def is_url(name: object) -> bool:
    """Whether it is the URL of something, and no path."""
    return isinstance(name, str) and "://" in name
