"""`/jobs`: requests of millions of structures."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime
from starlette.responses import StreamingResponse

from app.api.access import key_of
from app.api.body import check_origin
from app.api.body_kinds import (
    EVENT_STREAM,
    FORMAT,
    HELD,
    LINES,
    MEDIA_TYPES,
    SAME,
    answer_kind,
    content_kind,
)
from app.api.openapi_jobs import (
    CANCEL,
    EVENTS,
    JOB,
    JOBS,
    RESULTS,
    SUBMIT,
)
from app.api.routes.common import check_query, get, jobs_of, json_response, owner_of, service_of
from app.api.spool import receive
from app.api.streaming import StreamedResponse, model_header
from app.errors import EquipotError, InvalidRequest, StructureTooLarge
from app.formats.registry import WRITERS
from app.jobs.job import Job
from app.jobs.options import request_of
from app.jobs.schemas import JobOut, JobsAnswer, State
from app.jobs.submission import Submission
from app.protocol.encode import check_fits, check_held, encode, fitting
from app.protocol.lines import LineSink, RecordSink, sink
from app.protocol.request import Kind, PredictRequest
from app.protocol.response import PredictResponse

MOST_LISTED = 1000
LONGEST_KEY = 255
MOST = 2**53
STATE = "X-Equipot-Job-State"
"""The header that says how far a job was when its results were asked for."""
RETRY = "1"
"""Seconds after which further results of a job may be there."""

router = APIRouter(tags=["jobs"])


@router.post("/jobs", summary="Answer a large request in its own time", **SUBMIT)
async def submit(request: Request) -> Response:
    """Take a body of `/predict` of any size in, to be answered beside all other requests; with `task`, one of
    `/tasks/{task}`.
    """
    service = service_of(request)
    check_origin(request, service.settings.cors_origins)
    known = key_of(request.scope)
    caller = None if known is None else known.caller
    kind, key = content_kind(request), _key(request, None if caller is None else caller.name)
    service.models.check_ready()
    query = request.query_params.multi_items()
    _webhook(query)
    settings, jobs = service.settings, await jobs_of(request)
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    if size > settings.max_job_bytes:
        raise StructureTooLarge(
            f"the body is larger than {settings.max_job_bytes} bytes (max_job_bytes); send several "
            "jobs"
        )
    await jobs.intake.check_room(size, caller)
    with jobs.intake.upload() as upload:
        limits = settings.max_job_bytes, settings.body_timeout
        got = await receive(request, upload.path, kind, *limits)
        digest = _digest(kind, query, got.digest)
        asked = [*query, *got.fields]
        submission = Submission(
            upload=upload,
            kind=kind,
            files=got.files,
            query=[(name, value) for name, value in asked if name != "webhook"],
            digest=digest,
            size=got.size,
            key=key,
            webhook=_webhook(asked),
            caller=caller,
        )
        job = await jobs.submit(submission)
    return json_response(job, 202, {"Location": f"{_root(request)}/jobs/{job.id}"})


@get(router, "/jobs", summary="All jobs", **JOBS)
async def listed(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="the most jobs")] = 100,
    before: Annotated[
        AwareDatetime | None, Query(description="those created before this moment only")
    ] = None,
    state: Annotated[State | None, Query(description="those in this state only")] = None,
) -> Response:
    """The newest jobs, newest first; with a key, its own."""
    check_query(request, "limit", "before", "state")
    jobs = await jobs_of(request)
    moment = None if before is None else before.timestamp()
    found = await jobs.listed(limit, moment, state, owner_of(request))
    return json_response(JobsAnswer(jobs=found))


@get(router, "/jobs/{id}", summary="How far a job is", **JOB)
async def job(request: Request, id: str) -> Response:
    """Counts, rate and time left."""
    check_query(request)
    jobs = await jobs_of(request)
    return json_response(jobs.shown(await jobs.job(id, owner_of(request))))


@router.delete("/jobs/{id}", summary="Cancel a job", **CANCEL)
async def cancel(request: Request, id: str) -> Response:
    """End a job; what it has of results stays. One that has ended is not changed."""
    check_query(request)
    check_origin(request, service_of(request).settings.cors_origins)
    jobs = await jobs_of(request)
    return json_response(await jobs.cancel(id, owner_of(request)))


@router.get("/jobs/{id}/results", summary="Results of a job, also while it runs", **RESULTS)
async def results(
    request: Request,
    id: str,
    offset: Annotated[int, Query(ge=0, le=MOST, description="number of the first structure")] = 0,
    limit: Annotated[
        int | None, Query(ge=1, le=MOST, description="the most results; at most `max_structures`")
    ] = None,
    stream: Annotated[
        bool, Query(description="all from the offset on, as they come, until the job ends")
    ] = False,
) -> Response:
    """A page of results in the order of the structures, or all of them as they come."""
    check_query(request, "offset", "limit", "stream", FORMAT)
    jobs = await jobs_of(request)
    wanted = await jobs.job(id, owner_of(request))
    asked = request_of(wanted, [])
    in_kind = SAME if asked.task is None else HELD
    kind = answer_kind(request, wanted.kind if wanted.kind in in_kind else "json")
    _check_kind(kind, asked)
    if kind in WRITERS:
        check_fits(await jobs.results.sample(wanted), kind)
    headers = {STATE: wanted.state, **model_header(wanted.models)}
    if stream:
        if limit is not None:
            raise InvalidRequest("limit: a stream has none; leave it out, or take a page")
        return _streamed(request, wanted, jobs.results.all(wanted, offset), kind)
    most = service_of(request).settings.max_structures
    page = await jobs.results.page(wanted, offset, offset + min(limit or most, most))
    following = offset + len(page.results)
    if following < wanted.structures and (wanted.is_open or page.results):
        url = f"{_root(request)}/jobs/{id}/results?offset={following}"
        headers["Link"] = f'<{url}{f"&limit={limit}" if limit else ""}>; rel="next"'
    if not page.results and wanted.is_open:
        headers["Retry-After"] = RETRY
    body = await asyncio.to_thread(_page, page, kind)
    return Response(body, 200, headers, media_type=MEDIA_TYPES[kind])


@router.get("/jobs/{id}/events", summary="The course of a job", **EVENTS)
async def events(request: Request, id: str) -> Response:
    """Server-sent events: the job whenever it has changed, until it ends."""
    check_query(request)
    jobs = await jobs_of(request)
    await jobs.job(id, owner_of(request))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(jobs.followed(id)), headers=headers, media_type=EVENT_STREAM)


def _check_kind(kind: Kind, asked: PredictRequest) -> None:
    """Whether results can be written so.

    Raises:
        InvalidRequest: the format holds one structure alone, not what a task finds, or cannot be
            written here.
    """
    if asked.task is not None:
        check_held(asked, kind)
    if kind in WRITERS:
        WRITERS[kind].check()
        if WRITERS[kind].single:
            raise InvalidRequest(f"format: {kind} holds one structure; ask for json or xyz")


def _page(page: PredictResponse, kind: Kind) -> bytes:
    """The body of some results."""
    if kind != "lines":
        return encode(_fitted(page, kind), kind)
    written = sink(kind, page.model, page.request)
    pairs = zip(page.request.entries, page.results, strict=True)
    return b"".join((written.begin(), *(written.result(*pair) for pair in pairs), written.end()))


def _fitted(page: PredictResponse, kind: Kind) -> PredictResponse:
    """The results, with an error in the place of each that the format cannot hold."""
    request = fitting(page.request, kind)
    rows = zip(page.request.entries, request.entries, page.results, strict=True)
    results = [
        now.structure if now is not then and isinstance(now.structure, EquipotError) else result
        for then, now, result in rows
    ]
    return PredictResponse(page.model, request, results)


def _streamed(
    request: Request, job: Job, pages: AsyncIterator[PredictResponse], kind: Kind
) -> Response:
    """All pages, one after the other; who reads them can tell whether the stream is whole."""
    written = None
    if kind not in ("json", "msgpack"):
        written = sink(kind, job.only, request_of(job, []))
    read = asyncio.Event()
    read.set()
    answer = StreamedResponse(
        request,
        _encoded(pages, kind, written),
        LINES if kind == "json" else MEDIA_TYPES[kind],
        job.models,
        written if isinstance(written, LineSink) else None,
        service_of(request).settings.receive_timeout,
        read,
        lambda: None,
    )
    answer.headers[STATE] = job.state
    return answer


async def _encoded(
    pages: AsyncIterator[PredictResponse], kind: Kind, written: LineSink | RecordSink | None
) -> AsyncGenerator[bytes, None]:
    """Pages one after the other, of JSON each on a line; other formats go on from page to page."""
    if written is not None:
        yield written.begin()
    async for page in pages:
        if written is None:
            body = await asyncio.to_thread(encode, page, kind)
            yield body + b"\n" if kind == "json" else body
        else:
            yield await asyncio.to_thread(_records, page, kind, written)
    if written is not None:
        yield written.end()


def _records(page: PredictResponse, kind: Kind, written: LineSink | RecordSink) -> bytes:
    fitted = _fitted(page, kind)
    pairs = zip(fitted.request.entries, fitted.results, strict=True)
    return b"".join([written.result(*pair) for pair in pairs])


async def _events(states: AsyncIterator[JobOut | None]) -> AsyncIterator[bytes]:
    async for state in states:
        if state is None:
            yield b":\n\n"
        else:
            name = "progress" if state.ended is None else "end"
            yield f"event: {name}\ndata: {state.model_dump_json(exclude_unset=True)}\n\n".encode()


def _key(request: Request, owner: str | None) -> str | None:
    """The idempotency key, which no two owners have in common."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isascii()):
        raise InvalidRequest(f"Idempotency-Key: 1 to {LONGEST_KEY} ASCII characters are expected")
    if key is None or owner is None:
        return key
    return hashlib.sha256(f"{owner} {key}".encode()).hexdigest()


def _webhook(query: list[tuple[str, str]]) -> str | None:
    urls = [value for name, value in query if name == "webhook"]
    if len(urls) > 1:
        raise InvalidRequest("query parameter webhook: is given twice; give it once")
    return urls[0] if urls else None


def _digest(kind: Kind, query: list[tuple[str, str]], body: str) -> str:
    """sha256 of all that is asked."""
    return hashlib.sha256(json.dumps([kind, query, body]).encode()).hexdigest()


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", ""))
