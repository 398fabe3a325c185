"""A model on its way to other machines: its files go along, so that none needs a store."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.errors import CorruptModel
from app.store.store import ModelStore, StoredModel

SHIPPED = "shipped"
"""Folder of what came, in the cache of the machine that it came to."""


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A version of a store.

    Attributes:
        name: of the model.
        version: of it.
        digest: sha256 of its card, which holds those of all its files.
        files: their contents, by name.
    """

    name: str
    version: int
    digest: str
    files: dict[str, bytes]

    @classmethod
    def of(cls, model: StoredModel) -> "PackedModel":
        """All files of a verified version."""
        files = {path.name: path.read_bytes() for path in model.folder.iterdir() if path.is_file()}
        return cls(model.card.name, model.card.version, model.digest, files)

    def unpacked(self, cache: Path | None) -> StoredModel:
        """The version in a folder of this machine, verified.

        Args:
            cache: folder of what may be lost; that of temporary files where there is none.

        Raises:
            CorruptModel: what lies there is another one.
        """
        place = cache or Path(tempfile.gettempdir()) / f"equipot-{os.getuid()}"
        root = place / SHIPPED / self.digest[:16]
        folder = root / self.name / str(self.version)
        if not folder.exists():
            self._write(folder)
        model = ModelStore(root).load(f"{self.name}@{self.version}")
        if model.digest != self.digest:
            raise CorruptModel(f"{folder} holds another model than was sent; remove it")
        return model

    def _write(self, folder: Path) -> None:
        """Have the whole folder there at once, whoever else writes the same."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unfinished-"))
        try:
            for name, content in self.files.items():
                (unfinished / name).write_bytes(content)
            os.rename(unfinished, folder)
        except OSError:
            if not folder.exists():
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
