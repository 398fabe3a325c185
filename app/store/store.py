"""ModelStore: where models live, as immutable versions under one folder."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.errors import CorruptModel, ModelExists, UnknownModel
from app.store.card import ModelCard

CARD = "card.json"


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

    def names(self) -> list[str]:
        """Names of the models that have at least one version."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and self.versions(p.name))

    def versions(self, name: str) -> list[int]:
        """Versions of a model, oldest first; empty for an unknown name."""
        folder = self.root / name
        if not folder.is_dir():
            return []
        return sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal() and p.is_dir())

    def resolve(self, reference: str) -> tuple[str, int]:
        """Name and version of `name` (the newest) or `name@version`.

        Raises:
            UnknownModel: naming what the store has.
        """
        name, _, version = reference.partition("@")
        versions = self.versions(name) if name in self.names() else []
        if not versions:
            known = ", ".join(self.names()) or "none"
            raise UnknownModel(f"no model '{name}' in the store; it has: {known}")
        if not version:
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
        name, version = self.resolve(reference)
        folder = self.root / name / str(version)
        card, digest = _read_card(folder)
        if (card.name, card.version) != (name, version):
            raise CorruptModel(f"{folder}: its card is of {card.reference}")
        for artifact in card.artifacts:
            if artifact not in card.files:
                raise CorruptModel(f"{folder}: its card has no digest of {artifact}")
        for file, expected in card.files.items():
            _verify(folder / file, expected)
        return StoredModel(card, folder, digest)

    @contextmanager
    def publish(self, card: ModelCard) -> Iterator[Publication]:
        """A folder to write the version's files into, which becomes the version when the block
        ends.

        The card is written last, with the sha256 of each file; the folder is moved into place at
        once, so that a reader sees the whole version or none. When the block raises, none of its
        files is left.

        Raises:
            ModelExists: this version is there already.
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
            _let_everybody_read(folder)
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


def _let_everybody_read(folder: Path) -> None:
    """A server runs as another user than the one who trains."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_card(folder: Path) -> tuple[ModelCard, str]:
    path = folder / CARD
    try:
        content = path.read_bytes()
        return ModelCard.model_validate_json(content), hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        raise CorruptModel(f"{path} is missing") from None
    except OSError as error:
        raise CorruptModel(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise CorruptModel(f"{path} is no model card: {error.errors()[0]['msg']}") from None


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise CorruptModel(f"{path} is missing")
    try:
        found = sha256(path)
    except OSError as error:
        raise CorruptModel(f"{path} cannot be read: {error.strerror}") from error
    if found != expected:
        raise CorruptModel(f"{path}: sha256 {found[:12]}… differs from the card's {expected[:12]}…")
