"""Jobs on the wire."""

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from app.protocol.schemas import ModelOut

State: TypeAlias = Literal["queued", "running", "done", "cancelled"]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Estimate(_Wire):
    """How long the job takes when nothing else is asked, as it was told at its submission."""

    seconds: float | None = Field(
        description="none where nothing is known of the model's speed, or of the steps that its "
        "relaxations take"
    )
    at_most_seconds: float | None = Field(
        description="where each relaxation takes all steps that it may"
    )
    assumes: str | None = Field(description="what it is told from")


class WebhookOut(_Wire):
    """Who is told of the end."""

    url: str
    state: str = Field(description="`waiting`, `sent`, or `failed` after the last attempt")
    secret: str | None = Field(
        default=None,
        description="with which what it is told is signed; in the answer to the submission only",
    )


class UnderWayOut(_Wire):
    """How far a task is with one structure."""

    structure: int = Field(description="its number, from 0")
    stage: str = Field(description="what is being done: `relaxation`, `displaced copies`, …")
    done: int = Field(description="so many of them; of a relaxation, steps")
    total: int | None = Field(description="of so many; none where that is not known")


class JobOut(_Wire):
    """A job: how far it is, and what it takes."""

    id: str
    state: State = Field(description="`queued`, `running`, `done` or `cancelled`")
    model: ModelOut | None = Field(
        description="none where each structure has one of `models`, and its result says which"
    )
    models: list[ModelOut] | None = Field(
        default=None, description="several, in their order, of which each structure has one"
    )
    task: str | None = Field(
        default=None, description="which is asked for; none where predictions are"
    )
    structures: int
    done: int = Field(description="structures with an answer")
    failed: int = Field(description="structures with an error, which is their result")
    left: int = Field(description="structures with neither yet")
    under_way: list[UnderWayOut] | None = Field(
        default=None, description="how far a task is with some of its structures, while it runs"
    )
    rate: float | None = Field(description="structures a second, of late; none before the first")
    eta_seconds: float | None = Field(description="until the end at this rate")
    estimate: Estimate
    created: datetime
    started: datetime | None
    ended: datetime | None
    expires: datetime | None = Field(
        description="when it will be removed at the latest, after its end"
    )
    input_bytes: int
    result_bytes: int
    webhook: WebhookOut | None = None


class JobsAnswer(_Wire):
    """Some jobs, newest first."""

    jobs: list[JobOut]
