"""Caller: whose request it is, wherever in the service that matters."""

from collections.abc import Hashable
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks with a key.

    Attributes:
        name: of the key.
        share: of a model's queue that its requests may take together, 1 for all of it.
    """

    name: str
    share: float = 1.0


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""Who asks what the running task answers; None without keys, and outside of requests."""


def current_caller() -> Hashable:
    """Who asks what the running task answers; without keys, each call is of one who is new."""
    return CALLER.get() or object()
