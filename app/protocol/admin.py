"""What goes over the wire of `/admin`, as pydantic types."""

import math
import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from app.protocol.wire import Wire
from app.store.card import NAME_PATTERN
from app.store.store import is_version

ALL = 100.0
"""Percent that the shares of an alias add up to."""
LONGEST_NAME = 100
MOST_SHARES = 20
Percent: TypeAlias = Annotated[float, Field(gt=0, le=ALL, allow_inf_nan=False)]
State: TypeAlias = Literal["loaded", "loading", "unloading", "unloaded", "failed"]


def is_exact(reference: str) -> bool:
    """Whether a reference is `name@version`."""
    name, at, version = reference.partition("@")
    return bool(at and re.fullmatch(NAME_PATTERN, name)) and is_version(version)


class Alias(Wire):
    """What a name stands for: one version, or several, each for its share of those who ask."""

    shares: dict[str, Percent] = Field(
        min_length=1,
        max_length=MOST_SHARES,
        description="percent of callers by `name@version`; they add up to 100",
    )
    by: Literal["caller", "request"] = Field(
        default="caller",
        description="what has one version all along: a caller (the key, or without keys the "
        "address), or a request alone",
    )

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: dict[str, float]) -> dict[str, float]:
        for reference in shares:
            if not is_exact(reference):
                raise ValueError(f"'{reference[:LONGEST_NAME]}': `name@version` is expected")
        total = math.fsum(shares.values())
        if not math.isclose(total, ALL, abs_tol=1e-6):
            raise ValueError(
                f"they add up to {total:g}; they have to add up to {ALL:g}, in percent"
            )
        return shares


class DefaultIn(Wire):
    """The models of requests that name none."""

    models: list[str] = Field(
        min_length=1,
        max_length=MOST_SHARES,
        description="`name`, `name@version` or an alias; of several, each structure has the first "
        "that is made for it",
    )


class AdminModel(Wire):
    """A version of the store, or one that is served, and what becomes of it."""

    model: str = Field(description="`name@version`")
    state: State
    reason: str | None = Field(default=None, description="why it could not be loaded")
    default: bool | None = Field(
        default=None, description="whether requests that name no model may have it"
    )
    aliases: list[str] | None = Field(default=None, description="that give it a share")
    digest: str | None = None
    runs_on: str | None = Field(default=None, description="name and version of what computes")
    structures: int | None = Field(default=None, description="that have a place in its queue")
    streams: int | None = Field(default=None, description="streams that it is kept for")
    file_bytes: int | None = Field(default=None, description="of all its files")


class Memory(Wire):
    """Memory of the process."""

    resident_bytes: int | None = Field(description="of the process; none where it is not known")
    free_bytes: int = Field(description="that machine, container and limits would still give")


class AdminAnswer(Wire):
    """What is served, and what is not."""

    models: list[AdminModel]
    default: list[str] = Field(description="of requests that name no model, as it was stated")
    aliases: dict[str, Alias]
    memory: Memory
    kept_in: str | None = Field(
        description="file that keeps changes over restarts; none where they last until the end"
    )
