"""What a run is: kept beside its output until it is complete, so that another one can go on."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from app.cli.predict.entries import ONE, is_stream
from app.errors import InvalidRequest
from app.protocol.intake import Drawing
from app.protocol.model_ref import ModelRef
from app.protocol.request import PredictRequest

SUFFIX = ".unfinished.json"


class Record(BaseModel):
    """What decides the results of a run.

    Attributes:
        model: `name@version`.
        digest: of that version.
        form: how results are written.
        options: what is asked of each structure.
        inputs: sha256 of each file, in order; None for a pipe.
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

    def write(self, output: Path) -> None:
        """Keep it beside the output."""
        beside(output).write_text(self.model_dump_json(indent=2) + "\n")

    def check(self, output: Path, files: Sequence[str]) -> None:
        """Make sure that a run which was stopped would go on as this one.

        Raises:
            InvalidRequest: there is no record of it, or it was another run; says what differs.
        """
        try:
            before = Record.model_validate_json(beside(output).read_text())
        except (OSError, ValidationError):
            raise InvalidRequest(
                f"--resume: {beside(output)} is not there or cannot be read, which says how "
                f"{output} was begun; {output} is complete, or was made in another way"
            ) from None
        if different := ", ".join(self._differences(before, files)):
            raise InvalidRequest(f"--resume: {output} was begun otherwise: {different}")

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
                yield f"{file} has another content"


def beside(output: Path) -> Path:
    """Where the record of an output is."""
    return output.with_name(output.name + SUFFIX)


def forget(output: Path) -> None:
    """Remove the record of an output that is complete."""
    beside(output).unlink(missing_ok=True)


def _difference(name: str, then: object, now: object) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*then, *now)):
            yield from _difference(f"{name}.{key}", then.get(key), now.get(key))
    elif then != now:
        yield f"{name} was {json.dumps(then)}, is {json.dumps(now)}"


def _digest(file: str) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
