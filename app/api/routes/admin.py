"""`/admin`: what is served is changed while it is served."""

from typing import TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.api.access import check_local
from app.api.body import check_origin, whole_body
from app.api.body_kinds import JSON
from app.api.limits import BodyRoom
from app.api.openapi_admin import ALIAS, ALIAS_GONE, DEFAULT, LOAD, RELOAD, SHOWN, UNLOAD
from app.api.routes.common import get, json_response, service_of
from app.protocol import json_text
from app.protocol.admin import Alias, DefaultIn
from app.protocol.validation import validate
from app.service.administration import Administration

SHOWN_CHARACTERS = 80
"""Characters of a header that a message repeats."""
M = TypeVar("M", bound=BaseModel)


def may_ask(request: Request) -> None:
    """Whether the request may be made: by its key, or where nobody has one, from this machine.

    Raises:
        Forbidden: it may not; says why.
        HTTPException: a page of another origin asks.
    """
    service = service_of(request)
    check_local(request, service.gate, service.settings)
    # A page that may ask for energies is not one that may do this in its visitor's name.
    check_origin(request, service.settings.cors_origins if service.gate.wants_keys else ())


router = APIRouter(tags=["admin"], dependencies=[Depends(may_ask)])


@get(router, "/admin/models", summary="What is served, and what is not", **SHOWN)
async def models(request: Request) -> Response:
    """All versions with their states, the default, the aliases, and the memory of the process."""
    return await _answer(request)


@router.post("/admin/models/{name}/load", summary="Serve a version", **LOAD)
async def load(request: Request, name: str) -> Response:
    """Load `name@version`, or the newest version of `name`, and answer once it is warm."""
    await _administration(request).load(name)
    return await _changed(request)


@router.post("/admin/models/{name}/unload", summary="Serve a version no more", **UNLOAD)
async def unload(request: Request, name: str) -> Response:
    """Give `name@version`, or all versions of `name`, no more requests; those it has are finished."""
    await _administration(request).unload(name)
    return await _changed(request)


@router.post("/admin/reload", summary="Read the store again", **RELOAD)
async def reload(request: Request) -> Response:
    """Load what is new, unload what is gone, and answer once that is done."""
    await _administration(request).reload()
    return await _changed(request)


@router.put("/admin/default", summary="Choose the model of requests that name none", **DEFAULT)
async def default(request: Request) -> Response:
    """Have other models answer requests that name none."""
    await _administration(request).set_default((await _body(request, DefaultIn)).models)
    return await _changed(request)


@router.put("/admin/aliases/{alias}", summary="Say what a name stands for", **ALIAS)
async def set_alias(request: Request, alias: str) -> Response:
    """Have a name stand for a version, or for several, each for its share of callers."""
    await _administration(request).set_alias(alias, await _body(request, Alias))
    return await _changed(request)


@router.delete("/admin/aliases/{alias}", summary="Remove an alias", **ALIAS_GONE)
async def remove_alias(request: Request, alias: str) -> Response:
    """Have a name stand for nothing, or for the newest version of the model of that name."""
    await _administration(request).remove_alias(alias)
    return await _changed(request)


def _administration(request: Request) -> Administration:
    return service_of(request).administration


async def _answer(request: Request) -> Response:
    shown = await _administration(request).shown()
    return json_response(shown)


async def _changed(request: Request) -> Response:
    """What is served now, in all processes."""
    await service_of(request).group.changed()
    return await _answer(request)


async def _body(request: Request, schema: type[M]) -> M:
    media = request.headers.get("content-type", JSON)
    if media.partition(";")[0].strip().lower() != JSON:
        raise HTTPException(
            415, f"Content-Type '{media[:SHOWN_CHARACTERS]}' is not supported; send {JSON}"
        )
    room: BodyRoom = request.app.state.body_room
    with room.share() as share:
        body = await whole_body(request, request.app.state.body_limits, share)
        return validate(schema, json_text.parse(body))
