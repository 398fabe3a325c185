"""`POST /predict`."""

import asyncio
import gzip

from fastapi import APIRouter, Request, Response

from app.api.body import (
    MEDIA_TYPES,
    BodyLimits,
    accepted_kind,
    check_origin,
    content_kind,
    decompressed,
    read_body,
)
from app.api.disconnect import cancelled_on_disconnect
from app.api.limits import BodyRoom, Share
from app.api.middleware import PREDICT_PATH
from app.api.openapi import PREDICT
from app.api.routes.common import service_of
from app.protocol.request import Message
from app.protocol.response import Reply

COMPRESSED = 65_536
"""Bytes from which on an answer is compressed for a client that takes that."""
LEVEL = 1

router = APIRouter(tags=["predict"])


@router.post(PREDICT_PATH, summary="Energies, forces, stress; relaxed structures", **PREDICT)
async def predict(request: Request) -> Response:
    """Evaluate structures with a model, and relax them if asked."""
    service = service_of(request)
    check_origin(request, service.settings.cors_origins)
    kind = content_kind(request)
    service.models.check_ready()
    room: BodyRoom = request.app.state.body_room
    with room.share() as share:
        body = await _body(request, share)
        query = request.query_params.multi_items()
        message = Message(kind, body, query, accepted_kind(request, kind))
        with cancelled_on_disconnect(request):
            reply = await service.answer(message)
    return await _response(request, reply)


async def _body(request: Request, share: Share) -> bytes:
    limits: BodyLimits = request.app.state.body_limits
    body = await read_body(request, limits, share)
    if encoding := request.headers.get("content-encoding", "").strip().lower():
        body = await asyncio.to_thread(decompressed, body, encoding, limits)
        share.grow(len(body))
    return body


async def _response(request: Request, reply: Reply) -> Response:
    headers = {"X-Equipot-Model": f"{reply.model.reference} {reply.model.digest}"}
    body = reply.body
    if len(body) >= COMPRESSED and "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(gzip.compress, body, LEVEL)
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(body, reply.status, headers, media_type=MEDIA_TYPES[reply.kind])
