"""CachedStore: a store at a URL, whose versions are used from copies in a local folder."""

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from app.errors import CorruptModel, UnreachableStore
from app.store.card import ModelCard
from app.store.remote import UNFINISHED, Listing, RemoteStore
from app.store.store import CARD, ModelStore, Publication, StoredModel

MOST_BYTES = 20 << 30
"""Copies of all stores together; beyond it, those that were not used for the longest time go."""
IN_USE = 3600.0
"""Seconds after its last use in which no copy goes."""

log = logging.getLogger(__name__)


class CachedStore(ModelStore):
    """Models at a URL; a version is copied when it is first loaded, and verified at each load.

    Where the URL cannot be reached, the copies are the store, and a warning says so.

    Args:
        url: of fsspec.
        cache: folder of the copies of all stores.
        most: bytes of them all.

    Attributes:
        root: folder of the copies of this store.
        place: the URL.

    Raises:
        InvalidRequest: what is needed for this URL is not installed.
    """

    def __init__(self, url: str, cache: Path, most: int = MOST_BYTES) -> None:
        self._remote = RemoteStore(url)
        self._stores, self._most = cache / "stores", most
        super().__init__(self._stores / hashlib.sha256(self._remote.url.encode()).hexdigest()[:16])
        self._listing: Listing | None = None

    @property
    def place(self) -> str:
        """The URL."""
        return self._remote.url

    def names(self) -> list[str]:
        """As of a folder; asks the URL anew.

        Raises:
            UnreachableStore: it cannot be asked, and there is no copy of anything.
        """
        self._listing = self._look()
        return sorted(self._listing.versions)

    def versions(self, name: str) -> list[int]:
        """As of a folder; as of when the URL was asked last for all that it has."""
        if self._listing is None:
            self._listing = self._look()
        return self._listing.versions.get(name, [])

    def strays(self) -> dict[str, str]:
        """Versions that were not uploaded as a whole; asks the URL anew.

        Raises:
            UnreachableStore: it cannot be asked, and there is no copy of anything.
        """
        self._listing = self._look()
        return dict.fromkeys(self._listing.unfinished, f"it {UNFINISHED}")

    def resolve(self, reference: str) -> tuple[str, int]:
        """As of a folder; an exact version is found where a web server lists nothing, too.

        Raises:
            UnknownModel: naming what there is.
            UnreachableStore: it cannot be asked, and there is no copy of anything.
        """
        try:
            return self._remote.resolve(reference)
        except UnreachableStore:
            return super().resolve(reference)

    def load(self, reference: str) -> StoredModel:
        """A version whose every file has the digest on its card, from its copy, which is made where
        there is none, and made anew where it is not sound.

        Raises:
            UnknownModel: no such name or version.
            CorruptModel: a file is missing or changed, or the card cannot be read.
            UnreachableStore: it has to be copied and cannot be.
        """
        name, version = self.resolve(reference)
        folder = self.root / name / str(version)
        if (folder / CARD).exists():
            try:
                return self._used(self._read(name, version))
            except CorruptModel as error:
                log.warning("the copy of %s@%s is fetched again: %s", name, version, error)
                rmtree(folder)
        self._remote.fetch(name, version, self.root)
        model = self._used(self._read(name, version))
        self._clean()
        return model

    @contextmanager
    def publish(self, card: ModelCard) -> Iterator[Publication]:
        """As of a folder; the version is then pushed to the URL, its card last.

        Raises:
            ModelExists: this version is there already.
            UnreachableStore: it cannot be written.
        """
        with super().publish(card) as publication:
            yield publication
        name, version = publication.card.name, publication.card.version
        try:
            self._remote.push(self._read(name, version))
        except BaseException:
            rmtree(self.root / name / str(version), ignore_errors=True)
            raise
        self._listing = None

    def next_version(self, name: str) -> int:
        """The version number that follows the newest one there."""
        self._listing = None
        return super().next_version(name)

    def _look(self) -> Listing:
        """What the URL has, or else the copies.

        Raises:
            UnreachableStore: neither.
        """
        try:
            return self._remote.listing()
        except UnreachableStore as error:
            local = ModelStore(self.root)
            copies = {name: local.versions(name) for name in local.names()}
            if not copies:
                raise
            known = ", ".join(f"{name}@{each}" for name, all_ in copies.items() for each in all_)
            log.warning("%s; only what was copied is used: %s", error, known)
            return Listing(copies)

    def _used(self, model: StoredModel) -> StoredModel:
        """Note that a copy is in use; in a folder that cannot be written, it was put by others."""
        if os.access(model.folder, os.W_OK):
            os.utime(model.folder)
        return model

    def _clean(self) -> None:
        """Remove what was broken off a day ago, and the copies that are too many."""
        now = time.time()
        for broken in self._stores.glob("*/*/.fetching-*"):
            if now - broken.stat().st_mtime > 24 * IN_USE:
                rmtree(broken, ignore_errors=True)
        copies = sorted(self._stores.glob("*/*/[1-9]*"), key=lambda copy: copy.stat().st_mtime)
        total = sum(map(_bytes, copies))
        for copy in copies:
            if total <= self._most or now - copy.stat().st_mtime < IN_USE:
                return
            total -= _bytes(copy)
            log.info("the copy %s is removed: over %d bytes of copies", copy, self._most)
            rmtree(copy)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
