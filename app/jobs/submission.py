"""What a job is made of: a body that was received, and what is asked beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.access.caller import Caller
from app.jobs.files import BodyFile
from app.protocol.request import Kind


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is being received.

    Attributes:
        id: of the job that it may become.
        path: the file that it is written into.
    """

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Submission:
    """What a job is made of, once its body is there.

    Attributes:
        upload: the body.
        kind: how it is written.
        files: of a form, and where in the body they are.
        query: what is asked beside it.
        digest: sha256 of all that is asked.
        size: bytes of the body.
        key: by which its sender knows whether it was submitted before.
        webhook: URL that is told of the end.
        caller: whose key it was sent with; None without keys.
    """

    upload: Upload
    kind: Kind
    files: Sequence[BodyFile]
    query: list[tuple[str, str]]
    digest: str
    size: int
    key: str | None = None
    webhook: str | None = None
    caller: Caller | None = None
