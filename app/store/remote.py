"""RemoteStore: a store at a URL of fsspec, such as `s3://bucket/models` or `https://host/models`.

A version is there once its card is, which is written last and never over another one.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any

from app.errors import (
    CorruptModel,
    InvalidRequest,
    ModelExists,
    UnknownModel,
)
from app.places.url import READ_ONLY, Url
from app.store.card import NAME_PATTERN
from app.store.files import CARD_BYTES, FILE_BYTES
from app.store.store import CARD, StoredModel, is_version, let_everybody_read, read_version

CHUNK = 4 << 20


@dataclass(frozen=True)
class Listing:
    """What a store has.

    Attributes:
        versions: by name, of those with a card.
        unfinished: `name@version` of those without.
    """

    versions: dict[str, list[int]] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)


class RemoteStore:
    """Versions at a URL, which are copied as a whole or not at all.

    Args:
        url: of fsspec; the keys that it needs come from where its package looks for them.

    Attributes:
        url: without the name and the password that may have stood in it.

    Raises:
        InvalidRequest: a package for this kind of URL is not installed, or there is no such kind.
    """

    def __init__(self, url: str) -> None:
        at = Url(url)
        self.url, self.protocol = at.shown, at.protocol
        self._system, self._root, self._asking = at.system, at.path, at.asking

    def listing(self) -> Listing:
        """All versions; none where nothing is at the URL, or a web server lists nothing.

        Raises:
            UnreachableStore: it cannot be asked.
        """
        self._system.invalidate_cache()
        listing = Listing()
        for name in self._folders(self._root):
            if re.fullmatch(NAME_PATTERN, name) is None:
                continue
            for version in filter(is_version, self._folders(f"{self._root}/{name}")):
                if self.has(name, int(version)):
                    listing.versions.setdefault(name, []).append(int(version))
                else:
                    listing.unfinished.append(f"{name}@{version}")
        for versions in listing.versions.values():
            versions.sort()
        return listing

    def has(self, name: str, version: int) -> bool:
        """Whether a version is there as a whole.

        Raises:
            UnreachableStore: it cannot be asked.
        """
        with self._asking():
            return bool(self._system.isfile(f"{self._root}/{name}/{version}/{CARD}"))

    def resolve(self, reference: str) -> tuple[str, int]:
        """Name and version of `name` (the newest) or `name@version`; the latter also where a web
        server lists nothing.

        Raises:
            UnknownModel: there is none, or it was not uploaded as a whole.
            UnreachableStore: it cannot be asked.
        """
        name, at, version = reference.partition("@")
        is_exact = bool(re.fullmatch(NAME_PATTERN, name)) and is_version(version)
        if is_exact and self.has(name, int(version)):
            return name, int(version)
        listing = self.listing()
        if not at and name in listing.versions:
            return name, listing.versions[name][-1]
        if reference in listing.unfinished:
            raise UnknownModel(f"{self.url}/{name}/{version} {UNFINISHED}")
        known = ", ".join(f"{name}@{v}" for name, vs in listing.versions.items() for v in vs)
        raise UnknownModel(f"no model '{reference}' at {self.url}; it has: {known or 'none'}")

    def digest(self, name: str, version: int) -> str:
        """The sha256 of a version's card.

        Raises:
            UnreachableStore: it cannot be read.
        """
        return self._sha256(self._path(name, version, CARD), CARD_BYTES)

    def fetch(self, name: str, version: int, root: Path) -> None:
        """Copy a version into a folder of models, as a whole and verified, or not at all.

        Args:
            name: of the model.
            version: of it.
            root: folder of the models; where the version is there already, it stays.

        Raises:
            CorruptModel: a file is missing, or is not what the card says.
            UnreachableStore: it cannot be read.
        """
        target = root / name / str(version)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".fetching-", dir=target.parent))
        try:
            self._copy(self._path(name, version, CARD), folder / CARD, CARD_BYTES)
            card = read_version(folder, name, version, whole=False).card
            for file in card.files:
                self._copy(self._path(name, version, file), folder / file, FILE_BYTES)
            read_version(folder, name, version)
            let_everybody_read(folder)
            if not target.exists():
                folder.rename(target)
        except CorruptModel as error:
            where = f"{self.url}/{name}/{version}"
            raise CorruptModel(str(error).replace(str(folder), where)) from None
        finally:
            rmtree(folder, ignore_errors=True)

    def push(self, model: StoredModel) -> bool:
        """Copy a version there, its card last.

        Args:
            model: verified.

        Returns:
            Whether anything was written: not where the same version is there.

        Raises:
            ModelExists: another version of this number is there, or a part of one.
            InvalidRequest: nothing can be written to such a URL.
            UnreachableStore: it cannot be written.
        """
        if self.protocol in READ_ONLY:
            raise InvalidRequest(f"{self.url}: models can be read by {self.protocol}, not written")
        name, version = model.card.name, model.card.version
        if self._is_there(model):
            return False
        for file, digest in model.card.files.items():
            self._put(model.folder / file, self._path(name, version, file), digest)
        content = (model.folder / CARD).read_bytes()
        try:
            with self._asking():
                self._system.pipe_file(self._path(name, version, CARD), content, mode="create")
        except FileExistsError:
            return not self._is_there(model)
        return True

    def _is_there(self, model: StoredModel) -> bool:
        """Whether exactly this version is there.

        Raises:
            ModelExists: another one is.
        """
        card = model.card
        self._system.invalidate_cache()
        if not self.has(card.name, card.version):
            return False
        there = self.digest(card.name, card.version)
        if there != model.digest:
            raise ModelExists(
                f"{self.url} has another {card.reference}, of digest {there[:12]}…, not "
                f"{model.digest[:12]}…; versions never change"
            )
        return True

    def _put(self, file: Path, path: str, digest: str) -> None:
        """Write a file, if it is not there; never over another one."""
        with self._asking():
            if not self._system.exists(path):
                self._system.put_file(str(file), path)
                self._system.invalidate_cache()
        if self._sha256(path, FILE_BYTES) != digest:
            raise ModelExists(
                f"{self._shown(path)} is not {file.name} of this version: of another upload, or of "
                "one that was broken off; remove its folder there, and push again"
            )

    def _copy(self, path: str, target: Path, most: int) -> None:
        with target.open("wb") as written:
            for chunk in self._chunks(path, most):
                written.write(chunk)

    def _sha256(self, path: str, most: int) -> str:
        digest = hashlib.sha256()
        for chunk in self._chunks(path, most):
            digest.update(chunk)
        return digest.hexdigest()

    def _chunks(self, path: str, most: int) -> Iterator[bytes]:
        """A file, part by part.

        Raises:
            CorruptModel: it is missing, or larger than it may be.
            UnreachableStore: it cannot be read.
        """
        read = 0
        try:
            with self._asking():
                file = self._system.open(path, "rb")
            with file:
                while True:
                    with self._asking():
                        chunk: bytes = file.read(CHUNK)
                    if not chunk:
                        return
                    read += len(chunk)
                    if read > most:
                        raise CorruptModel(f"{self._shown(path)} has over {most} bytes")
                    yield chunk
        except FileNotFoundError:
            raise CorruptModel(f"{self._shown(path)} is missing") from None

    def _folders(self, path: str) -> list[str]:
        """Names of the folders in one; none where it is not there."""
        try:
            with self._asking():
                entries: list[dict[str, Any]] = self._system.ls(path, detail=True)
        except FileNotFoundError:
            return []
        names = [
            str(entry["name"]).rstrip("/") for entry in entries if entry["type"] == "directory"
        ]
        return sorted({name.rpartition("/")[2] for name in names if name != path})

    def _path(self, name: str, version: int, file: str) -> str:
        return f"{self._root}/{name}/{version}/{file}"

    def _shown(self, path: str) -> str:
        return path.replace(self._root, self.url, 1)


UNFINISHED = f"has no {CARD}: it was not uploaded as a whole"
