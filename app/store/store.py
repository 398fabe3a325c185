"""ModelStore: where models live, as immutable versions under one folder.

What lies there may be broken or hostile: names, sizes and counts are checked before anything is
opened or made of it, a version's files are read from its own folder alone, and one version never
hurts another. Only files whose digest is on the card are read into a model.
"""

import hashlib
import mmap
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.errors import CorruptModel, ModelExists, UnknownModel
from app.store.card import LATEST_VERSION, NAME_PATTERN, ModelCard
from app.store.files import CARD_BYTES, opened, sha256, verify
from app.store.onnx_file import external_files

CARD = "card.json"
ONNX_BYTES = 2 << 30
"""The largest ONNX file; protobuf has no larger messages."""
VERSION = re.compile(rf"[1-9][0-9]{{0,{len(str(LATEST_VERSION)) - 1}}}")


@dataclass(slots=True)
class Publication:
    """A version on its way into the store.

    Attributes:
        card: what will be published; may be completed while the files are written.
        folder: where to write the files.
    """

    card: ModelCard
    folder: Path


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A verified version in the store.

    Attributes:
        card: its card.
        folder: where its files are.
        digest: sha256 of the card, which holds the sha256 of every other file.
    """

    card: ModelCard
    folder: Path
    digest: str


class ModelStore:
    """Models as `<root>/<name>/<version>/{card.json, model.onnx, ...}`; a version never changes."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    @property
    def place(self) -> str:
        """Where the models come from, for people."""
        return str(self.root)

    def names(self) -> list[str]:
        """Names of the models that have at least one version.

        Raises:
            OSError: the store is there and cannot be read.
        """
        return sorted(
            name
            for name in _folders(self.root)
            if re.fullmatch(NAME_PATTERN, name) and self.versions(name)
        )

    def versions(self, name: str) -> list[int]:
        """Versions of a model, oldest first; empty for an unknown name, or one whose folder cannot
        be read.
        """
        try:
            return sorted(int(each) for each in _folders(self.root / name) if is_version(each))
        except OSError:
            return []

    def strays(self) -> dict[str, str]:
        """What looks like a version and can be none, by `name` or `name@version` with special
        characters escaped, and why.

        Raises:
            OSError: the store is there and cannot be read.
        """
        strays: dict[str, str] = {}
        for name in _folders(self.root):
            shown = _printable(name)
            try:
                versions = _folders(self.root / name)
            except OSError as error:
                strays[shown] = f"its folder cannot be read: {error.strerror}"
                continue
            for version in versions:
                if not _is_like_a_version(self.root / name / version):
                    continue
                if not re.fullmatch(NAME_PATTERN, name):
                    strays[f"{shown}@{_printable(version)}"] = _MISNAMED
                elif not is_version(version):
                    strays[f"{shown}@{_printable(version)}"] = _MISNUMBERED
        return strays

    def resolve(self, reference: str) -> tuple[str, int]:
        """Name and version of `name` (the newest) or `name@version`.

        Raises:
            UnknownModel: naming what the store has.
        """
        name, at, version = reference.partition("@")
        versions = self.versions(name) if name in self.names() else []
        if not versions:
            known = ", ".join(self.names()) or "none"
            raise UnknownModel(f"no model '{name}' in the store; it has: {known}")
        if not at:
            return name, versions[-1]
        if version not in map(str, versions):
            raise UnknownModel(
                f"model '{name}' has no version '{version}'; it has: {', '.join(map(str, versions))}"
            )
        return name, int(version)

    def load(self, reference: str) -> StoredModel:
        """A version whose every file has the digest on its card.

        Raises:
            UnknownModel: no such name or version.
            CorruptModel: a file is missing or changed, or the card cannot be read.
        """
        return self._read(*self.resolve(reference))

    def _read(self, name: str, version: int) -> StoredModel:
        return read_version(self.root / name / str(version), name, version)

    @contextmanager
    def publish(self, card: ModelCard) -> Iterator[Publication]:
        """A folder to write the version's files into, which becomes the version when the block
        ends.

        The card is written last, with the sha256 of each file; the folder is moved into place at
        once, so that a reader sees the whole version or none. When the block raises, none of its
        files is left.

        Raises:
            ModelExists: this version is there already.
            CorruptModel: its card would be refused.
        """
        target = self.root / card.name / str(card.version)
        if target.exists():
            raise ModelExists(_exists(card))
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".publishing-", dir=target.parent))
        try:
            publication = Publication(card, folder)
            yield publication
            files = {p.name: sha256(p) for p in sorted(folder.iterdir())}
            place = {"name": card.name, "version": card.version}
            complete = publication.card.model_copy(update={**place, "files": files})
            (folder / CARD).write_text(
                complete.model_dump_json(indent=2, exclude_defaults=False) + "\n"
            )
            _read_card(folder)
            let_everybody_read(folder)
            os.rename(folder, target)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if target.exists():
                raise ModelExists(_exists(card)) from error
            raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def next_version(self, name: str) -> int:
        """The version number that follows the newest one."""
        return max(self.versions(name), default=0) + 1


def _exists(card: ModelCard) -> str:
    return f"{card.reference} is published already; versions never change"


def read_version(folder: Path, name: str, version: int, whole: bool = True) -> StoredModel:
    """A version in a folder.

    Args:
        folder: with the files of the version.
        name: that its card must have.
        version: that its card must have.
        whole: whether each file must have the digest on the card; else the card alone is read.

    Raises:
        CorruptModel: a file is missing or changed, or the card cannot be read.
    """
    card, digest = _read_card(folder)
    if (card.name, card.version) != (name, version):
        raise CorruptModel(f"{folder}: its card is of {card.reference}")
    try:
        card.check_files()
    except CorruptModel as error:
        raise CorruptModel(f"{folder}: {error}") from None
    if whole:
        for file, expected in card.files.items():
            verify(folder, file, expected)
        for artifact in card.artifacts:
            if artifact.endswith(".onnx"):
                _check_covered(folder, artifact, card)
    return StoredModel(card, folder, digest)


def let_everybody_read(folder: Path) -> None:
    """A server runs as another user than the one who trains."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)


def is_version(text: str) -> bool:
    """Whether a text is a version's number as a store spells it."""
    return VERSION.fullmatch(text) is not None


_MISNAMED = "the name of a model has lower-case letters, digits, '.', '_' and '-'"
_MISNUMBERED = f"a version is a number from 1 to {LATEST_VERSION}, without zeros before it"


def _is_like_a_version(folder: Path) -> bool:
    """Whether a folder seems to be meant as a version; hidden ones are on their way."""
    if folder.name.startswith("."):
        return False
    return folder.name.isdecimal() or os.path.lexists(folder / CARD)


def _printable(name: str) -> str:
    """A name of the file system with special characters, and bytes that are no text, escaped."""
    return repr(name)[1:-1]


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder; none where it is not there.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if _is_folder(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _read_card(folder: Path) -> tuple[ModelCard, str]:
    path = folder / CARD
    with opened(folder, CARD, CARD_BYTES) as file:
        content = file.read()
    try:
        return ModelCard.model_validate_json(content), hashlib.sha256(content).hexdigest()
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))[:200]
        message = f"{where}: {fault['msg']}" if where else fault["msg"]
        raise CorruptModel(f"{path} is no model card: {message}") from None


def _check_covered(folder: Path, artifact: str, card: ModelCard) -> None:
    """Make sure that an ONNX file reads no file whose digest the card does not have."""
    with opened(folder, artifact, ONNX_BYTES) as file:
        try:
            with (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
                memoryview(content) as view,
            ):
                names = external_files(view)
        except ValueError as error:
            raise CorruptModel(f"{folder / artifact} is no ONNX file: {error}") from None
    for name in sorted(names - card.files.keys()):
        raise CorruptModel(
            f"{folder / artifact} reads weights from '{name:.200}', of which its card has no digest"
        )
