"""What a run is: kept beside its output until it is complete, so that another one can go on."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from app.cli.predict.entries import ONE, is_stream
from app.errors import InvalidRequest
from app.places.folder import Folder, LocalFolder
from app.places.url import Url, is_url
from app.protocol.intake import Drawing
from app.protocol.model_ref import ModelRef
from app.protocol.request import PredictRequest

SUFFIX = ".unfinished.json"


class Kept(NamedTuple):
    """Where a record is.

    Attributes:
        folder: with it.
        name: of its file there.
        output: that it is of, for people.
    """

    folder: Folder
    name: str
    output: str

    @property
    def shown(self) -> str:
        """The file, for people."""
        return f"{self.folder.shown}/{self.name}"


class Record(BaseModel):
    """What decides the results of a run.

    Attributes:
        model: `name@version`.
        digest: of that version.
        form: how results are written.
        options: what is asked of each structure.
        inputs: sha256 of each file, or what is known of one at a URL, in order; None for a pipe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    digest: str
    form: str
    options: dict[str, Any]
    inputs: tuple[str | None, ...]

    @classmethod
    def of(
        cls,
        model: ModelRef,
        request: PredictRequest,
        form: str,
        files: Sequence[str],
        read_as: str | None = None,
        drawing: Drawing = ONE,
    ) -> Self:
        """That of a run on some files, which are of a stated format."""
        options = {
            "format": read_as,
            **drawing._asdict(),
            "properties": list(request.properties) if request.explicit else None,
            "strict": request.strict,
            "on_ood": request.on_ood,
            "allow_odd_electrons": request.allow_odd_electrons,
            "relax": request.relax and request.relax.model_dump(mode="json"),
            "task": request.task and request.task.options.model_dump(mode="json"),
        }
        inputs = tuple(None if is_stream(file) else _digest(file) for file in files)
        return cls(
            model=model.reference, digest=model.digest, form=form, options=options, inputs=inputs
        )

    def write(self, kept: "Kept") -> None:
        """Keep it."""
        kept.folder.write(kept.name, (self.model_dump_json(indent=2) + "\n").encode())

    def check(self, kept: "Kept", files: Sequence[str]) -> None:
        """Make sure that a run which was stopped would go on as this one.

        Args:
            kept: where its record is.
            files: of this one, for messages.

        Raises:
            InvalidRequest: there is no record of it, or it was another run; says what differs.
        """
        try:
            before = Record.model_validate_json(kept.folder.read(kept.name))
        except (OSError, ValidationError):
            raise InvalidRequest(
                f"--resume: {kept.shown} is not there or cannot be read, which says how "
                f"{kept.output} was begun; {kept.output} is complete, or was made in another way"
            ) from None
        if different := ", ".join(self._differences(before, files)):
            raise InvalidRequest(f"--resume: {kept.output} was begun otherwise: {different}")

    def _differences(self, before: "Record", files: Sequence[str]) -> Iterator[str]:
        for name in ("model", "digest", "form"):
            yield from _difference(name, getattr(before, name), getattr(self, name))
        for name, now in self.options.items():
            yield from _difference(name, before.options.get(name), now)
        if len(before.inputs) != len(self.inputs):
            yield f"{len(before.inputs)} files then, {len(self.inputs)} now"
            return
        for file, then, now in zip(files, before.inputs, self.inputs, strict=True):
            if then != now:
                shown = Url.shown_of(file) if is_url(file) else file
                yield f"{shown} has another content"


def beside(output: Path) -> Kept:
    """Where the record of a file is."""
    return Kept(LocalFolder(output.parent), output.name + SUFFIX, str(output))


def within(folder: Folder) -> Kept:
    """Where the record of a folder of results is; readers of Parquet pass over such a name."""
    return Kept(folder, f"_run{SUFFIX}", folder.shown)


def forget(kept: Kept) -> None:
    """Remove the record of an output that is complete."""
    kept.folder.remove(kept.name)


def _difference(name: str, then: object, now: object) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*then, *now)):
            yield from _difference(f"{name}.{key}", then.get(key), now.get(key))
    elif then != now:
        yield f"{name} was {json.dumps(then)}, is {json.dumps(now)}"


def _digest(file: str) -> str:
    if is_url(file):
        return Url(file).mark()
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
