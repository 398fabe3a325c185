"""`POST /predict`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.api.body import BodyLimits, check_origin, content_encoding, expanded, whole_body
from app.api.body_kinds import (
    DOCUMENTS,
    EVENT_STREAM,
    FORMAT,
    HELD,
    MEDIA_TYPES,
    SAME,
    accepts_events,
    answer_kind,
    content_kind,
    named_kind,
)
from app.api.disconnect import cancelled_on_disconnect
from app.api.limits import BodyRoom, Share
from app.api.middleware import PREDICT_PATH
from app.api.openapi import PREDICT
from app.api.routes.common import service_of, sized_response
from app.api.streaming import LineReader, StreamedResponse, model_header
from app.api.upload import read_form
from app.errors import InvalidRequest
from app.formats.compression import LONGEST_MARK, is_compressed
from app.formats.registry import WRITERS
from app.protocol.lines import LineSink
from app.protocol.query import asked_of_lines
from app.protocol.request import Entry, Kind, Message, PredictRequest
from app.protocol.response import Reply
from app.service.stream import Stream
from app.tasks import TaskKind

STREAMED = ("lines", *(kind for kind, written in WRITERS.items() if not written.single))
"""Kinds of answers to a body of lines."""

router = APIRouter(tags=["predict"])


@router.post(PREDICT_PATH, summary="Energies, forces, stress; relaxed structures", **PREDICT)
async def predict(request: Request) -> Response:
    """Evaluate structures with a model, and relax them if asked."""
    return await answered(request)


async def answered(request: Request, task: TaskKind | None = None) -> Response:
    """The answer to a request for predictions, or for a task."""
    service = service_of(request)
    check_origin(request, service.settings.cors_origins)
    kind = content_kind(request)
    follows = accepts_events(request)
    accepts = (
        "json"
        if follows
        else answer_kind(request, kind if kind in (SAME if task is None else HELD) else "json")
    )
    service.models.check_ready()
    if follows and kind == "lines":
        raise InvalidRequest("text/event-stream follows one structure, and no stream of lines")
    if kind == "lines":
        return await _answer_lines(request, accepts, task)
    room: BodyRoom = request.app.state.body_room
    with room.share() as share:
        message = await _message(request, kind, accepts, share)
        if task is not None:
            message = replace(message, task=task)
        with cancelled_on_disconnect(request):
            if follows and message.accepts == "json":
                return _answer_as_events(request, await service.read(message))
            if message.accepts == "lines":
                return await _answer_as_lines(request, await service.read(message))
            reply = await service.answer(message)
    return await _response(request, reply)


async def _message(request: Request, kind: Kind, accepts: Kind, share: Share) -> Message:
    """The request as a message, whose files are not compressed."""
    limits: BodyLimits = request.app.state.body_limits
    body, query = await whole_body(request, limits, share), _query(request)
    if kind in DOCUMENTS.values():
        return Message(kind, body, query, accepts)
    if kind != "files":
        if is_compressed(body[:LONGEST_MARK]):
            body = await asyncio.to_thread(expanded, body, limits, limits.size)
            share.grow(len(body))
        return Message(kind, body, query, accepts)
    share.grow(len(body))  # its parts are copies
    form = await asyncio.to_thread(read_form, body, request.headers["content-type"], limits)
    share.grow(max(0, sum(len(file.content) for file in form.files) - len(body)))
    fields = [(name, value) for name, value in form.fields if name != FORMAT]
    stated = [value for name, value in form.fields if name == FORMAT]
    accepts = named_kind([*request.query_params.getlist(FORMAT), *stated]) or accepts
    return Message(kind, b"", [*query, *fields], accepts, form.files)


def _query(request: Request) -> list[tuple[str, str]]:
    """The query, without what says how to answer."""
    return [(name, value) for name, value in request.query_params.multi_items() if name != FORMAT]


async def _answer_lines(request: Request, accepts: Kind, task: TaskKind | None) -> Response:
    """Answer lines while they come."""
    if content_encoding(request) not in ("", "identity"):
        raise HTTPException(415, "a stream of lines is read as it comes, and not decompressed")
    service = service_of(request)
    if accepts not in STREAMED:
        if FORMAT in request.query_params:
            known = ", ".join(STREAMED)
            raise InvalidRequest(f"format: {accepts} holds no stream; ask for one of {known}")
        accepts = "lines"
    stream = await service.stream(asked_of_lines(_query(request), task), accepts)
    room: BodyRoom = request.app.state.body_room
    with ExitStack() as stack:
        stack.callback(stream.close)
        share = stack.enter_context(room.share())
        reader = LineReader(request, request.app.state.body_limits, share, service.models)
        await reader.begin()
        entries = service.read_lines(reader.lines())
        return _streamed(request, stream, entries, accepts, reader.read, stack.pop_all().close)


async def _answer_as_lines(request: Request, read: PredictRequest) -> Response:
    """Answer a request that has been read, in lines as results are there."""

    async def entries() -> AsyncIterator[Entry]:
        for entry in read.entries:
            yield entry

    stream = await service_of(request).stream(read, "lines")
    ended = asyncio.Event()
    ended.set()
    return _streamed(request, stream, entries(), "lines", ended, stream.close)


def _answer_as_events(request: Request, read: PredictRequest) -> Response:
    """Follow the relaxation, or the task, of one structure."""
    service = service_of(request)
    following, ended = service.follow(read), asyncio.Event()
    ended.set()
    response = StreamedResponse(
        request,
        following.events(),
        EVENT_STREAM,
        [following.model],
        None,
        service.settings.receive_timeout,
        ended,
        following.close,
    )
    response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    return response


def _streamed(
    request: Request,
    stream: Stream,
    entries: AsyncIterator[Entry],
    kind: Kind,
    read: asyncio.Event,
    closing: Callable[[], None],
) -> Response:
    return StreamedResponse(
        request,
        stream.parts(entries),
        MEDIA_TYPES[kind],
        stream.models,
        stream.sink if isinstance(stream.sink, LineSink) else None,
        service_of(request).settings.receive_timeout,
        read,
        closing,
    )


async def _response(request: Request, reply: Reply) -> Response:
    headers = model_header(reply.models) if reply.models else {}
    return await sized_response(request, reply.body, reply.status, headers, MEDIA_TYPES[reply.kind])
