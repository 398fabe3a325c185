"""Asking a service: the client, with errors as the command line tells them."""

from collections.abc import Iterator
from contextlib import contextmanager

import equipot
from app.errors import BackendError, EquipotError, InvalidRequest
from app.protocol.faults import TABLE
from equipot import Client

CLASSES: dict[str, type[EquipotError]] = {code: kind for kind, (_, code) in TABLE.items()}


@contextmanager
def connected(url: str) -> Iterator[Client]:
    """A client for the length of a block.

    Raises:
        InvalidRequest: that is no URL of HTTP.
        EquipotError: the service cannot be reached, or answers with an error, which is told.
    """
    with told():
        try:
            client = Client(url)
        except ValueError as error:
            raise InvalidRequest(f"--server {url}: {error}") from None
        with client:
            yield client


@contextmanager
def told() -> Iterator[None]:
    """Errors of the client as those of this package.

    Raises:
        BackendError: what the service said, or that it does not answer.
    """
    try:
        yield
    except equipot.ServiceError as error:
        raise BackendError(f"{error.code}: {error.message}") from None
    except equipot.EquipotError as error:
        raise BackendError(str(error)) from None


def error_of(error: equipot.ServiceError) -> EquipotError:
    """The error of one structure, with the same code."""
    return CLASSES.get(error.code, EquipotError)(error.message)
