"""What the routes share."""

import asyncio
import gzip
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.api.access import key_of
from app.api.body_kinds import JSON
from app.errors import InvalidRequest
from app.jobs.jobs import Jobs
from app.service.service import Service

if TYPE_CHECKING:
    from app.jobs.opened import OpenJobs

COMPRESSED = 65_536
"""Bytes from which on an answer is compressed for a client that takes that."""
LEVEL = 1
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def service_of(request: Request) -> Service:
    """The service of the app that got the request."""
    service: Service = request.app.state.service
    return service


async def jobs_of(request: Request) -> "OpenJobs":
    """The jobs of the app that got the request.

    Raises:
        Unavailable: it takes none; says why.
    """
    jobs: Jobs = request.app.state.jobs
    return await jobs.open()


def check_query(request: Request, *known: str) -> None:
    """Whether all that the query names is known, once each.

    Raises:
        InvalidRequest: it is not.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            told = f"known are {', '.join(known)}" if known else "none is known here"
            raise InvalidRequest(f"query parameter '{name[:80]}' is unknown; {told}")
        if names.count(name) > 1:
            raise InvalidRequest(f"query parameter {name}: is given twice; give it once")


def owner_of(request: Request) -> str | None:
    """Whose jobs the request may see; None for everybody's: without keys, and with an admin's."""
    key = key_of(request.scope)
    return None if key is None or key.is_admin else key.name


def json_response(
    content: BaseModel, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The fields that are set, as JSON."""
    return Response(content.model_dump_json(exclude_unset=True), status, headers, media_type=JSON)


async def sized_response(
    request: Request, body: bytes, status: int, headers: dict[str, str], media_type: str
) -> Response:
    """A body, compressed where it is large and the client takes that."""
    if len(body) >= COMPRESSED and "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(gzip.compress, body, LEVEL)
        headers = headers | {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(body, status, headers, media_type=media_type)


def get(router: APIRouter, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
    """A route for GET, and for HEAD without a word in the documentation."""

    def register(endpoint: Endpoint) -> Endpoint:
        router.get(path, **options)(endpoint)
        router.head(path, include_in_schema=False)(endpoint)
        return endpoint

    return register
