"""The routes: each says what it takes and leaves the rest to others."""

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import orjson
from fastapi import APIRouter, Request, Response

from app.api.body import JSON, MSGPACK, XYZ, accepted_kind, content_kind, read_body
from app.api.disconnect import cancelled_on_disconnect
from app.api.openapi import ERRORS, MODEL, MODELS, PREDICT
from app.errors import InvalidRequest
from app.protocol.request import Ask, count_atoms, from_document, from_xyz
from app.service.answer import answer, as_json, as_msgpack, as_xyz, overall
from app.service.models import Service

INLINE_BYTES = 64_000
INLINE_ATOMS = 2000
"""Bodies and answers up to this size are parsed and written faster than they are handed to a
thread.
"""
WRITERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "json": (JSON, as_json),
    "msgpack": (MSGPACK, as_msgpack),
    "xyz": (XYZ, as_xyz),
}

P = ParamSpec("P")
T = TypeVar("T")
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

router = APIRouter()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type=JSON)


@router.post(
    "/predict", tags=["predict"], summary="Energies, forces, stress; relaxed structures", **PREDICT
)
async def predict(request: Request) -> Response:
    """Evaluate structures with a model, and relax them if asked."""
    service = _service(request)
    kind = content_kind(request)
    service.check_ready()
    body = await read_body(request, service.settings.max_body_bytes, service.settings.body_timeout)
    ask = await _read(request, service, kind, body)
    potential = service.potential(ask.model)
    with cancelled_on_disconnect(request):
        results = await answer(
            potential, ask, lambda r: service.metrics.relaxed(potential.reference, r)
        )
    whole = overall(results)
    status = whole.status if whole else 200
    media, write = WRITERS[accepted_kind(request, kind)]
    content = await _maybe_threaded(
        count_atoms(ask.entries) > INLINE_ATOMS, write, potential, ask, results
    )
    headers = {"X-Equipot-Model": f"{potential.reference} {potential.digest}"}
    return Response(content, status, headers, media_type=media)


async def _read(request: Request, service: Service, kind: str, body: bytes) -> Ask:
    large = len(body) > INLINE_BYTES
    if kind == "xyz":
        return await _maybe_threaded(large, from_xyz, body, request.query_params, service.settings)
    if request.query_params:
        names = ", ".join(request.query_params)
        raise InvalidRequest(
            f"query parameters ({names}) go with XYZ bodies; put them into the body"
        )
    return await _maybe_threaded(large, from_document, body, kind, service.settings)


def _get(path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
    """A route for GET, and for HEAD without a word in the documentation."""

    def register(endpoint: Endpoint) -> Endpoint:
        router.get(path, **options)(endpoint)
        router.head(path, include_in_schema=False)(endpoint)
        return endpoint

    return register


async def _maybe_threaded(
    large: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    if large:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


@_get("/models", tags=["models"], summary="All models and their state", **MODELS)
async def models(request: Request) -> Response:
    """The models of the store: those that are served, and those that are refused, with the reason."""
    return _json({"models": _service(request).models()})


@_get("/models/{name}", tags=["models"], summary="The card of a model", **MODEL)
async def model(request: Request, name: str) -> Response:
    """Everything that is known of one model; `name` or `name@version`."""
    return _json(_service(request).model(name))


@_get("/livez", tags=["health"], summary="Is the process alive?")
async def livez() -> Response:
    """Alive as soon as the process listens."""
    return _json({"status": "alive"})


@_get("/readyz", tags=["health"], summary="May it be asked?", responses=ERRORS)
async def readyz(request: Request) -> Response:
    """Ready once the models are loaded and warm; 503 with the reason before, and while shutting
    down.
    """
    service = _service(request)
    service.check_ready()
    return _json({"status": "ready", "models": list(service.potentials)})


@_get("/metrics", tags=["health"], summary="Prometheus metrics")
async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(
        _service(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8"
    )
