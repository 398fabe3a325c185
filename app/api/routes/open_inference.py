"""`/v2`: the Open Inference Protocol."""

from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app import __version__
from app.api.body import check_origin, whole_body
from app.api.body_kinds import JSON, OCTETS
from app.api.disconnect import cancelled_on_disconnect
from app.api.limits import BodyRoom
from app.api.openapi_protocols import INFER, LIVE, MODEL_METADATA, MODEL_READY, SERVER, SERVER_READY
from app.api.routes.common import check_query, get, json_response, service_of, sized_response
from app.api.streaming import model_header
from app.engine.potential import Potential
from app.errors import InvalidRequest, Unavailable
from app.protocol.open_inference.decode import decode
from app.protocol.open_inference.encode import Encoded, encode
from app.protocol.open_inference.model import metadata, outputs_of
from app.protocol.open_inference.schemas import (
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
)
from app.service.choice import ref_of

HEADER = "Inference-Header-Content-Length"
"""Bytes of the JSON of a body that goes on with tensors."""
LONGEST_NUMBER = 18
"""Digits of it."""
SHOWN = 80
"""Characters of a header that a message repeats."""
BY_NAME = "/v2/models/{name}"
BY_VERSION = "/v2/models/{name}/versions/{version}"

router = APIRouter(tags=["open inference protocol"])


@get(router, "/v2", summary="What serves?", **SERVER)
async def server() -> Response:
    """Name, version and extensions of the server."""
    return json_response(
        ServerMetadata(name="equipot", version=__version__, extensions=["binary_tensor_data"])
    )


@get(router, "/v2/health/live", summary="Is the process alive?", **LIVE)
async def live() -> Response:
    """Alive as soon as the process listens."""
    return json_response(ServerLive(live=True))


@get(router, "/v2/health/ready", summary="May it be asked?", **SERVER_READY)
async def ready(request: Request) -> Response:
    """As `/readyz`: 503 while it may not."""
    try:
        service_of(request).models.check_ready()
    except Unavailable:
        return json_response(ServerReady(ready=False, live=False), 503)
    return json_response(ServerReady(ready=True, live=True))


@get(router, BY_NAME, summary="What a model takes and gives", **MODEL_METADATA)
async def model(request: Request, name: str) -> Response:
    """Inputs and outputs of the newest version of a model."""
    return _metadata(request, name)


@get(router, BY_VERSION, summary="What a version takes and gives", **MODEL_METADATA)
async def model_version(request: Request, name: str, version: str) -> Response:
    """Inputs and outputs of a version of a model."""
    return _metadata(request, _reference(name, version))


@get(router, f"{BY_NAME}/ready", summary="May a model be asked?", **MODEL_READY)
async def model_ready(request: Request, name: str) -> Response:
    """Whether any version of a model is served; an error where none is."""
    return _ready(request, name)


@get(router, f"{BY_VERSION}/ready", summary="May a version be asked?", **MODEL_READY)
async def version_ready(request: Request, name: str, version: str) -> Response:
    """Whether a version of a model is served; an error where it is not."""
    return _ready(request, _reference(name, version))


@router.post(f"{BY_NAME}/infer", summary="Energies, forces, stress as tensors", **INFER)
async def infer(request: Request, name: str) -> Response:
    """Evaluate structures with the newest version of a model."""
    return await _infer(request, name)


@router.post(f"{BY_VERSION}/infer", summary="The same with a version of a model", **INFER)
async def infer_version(request: Request, name: str, version: str) -> Response:
    """Evaluate structures with a version of a model."""
    return await _infer(request, _reference(name, version))


def _metadata(request: Request, reference: str) -> Response:
    check_query(request)
    models = service_of(request).models
    card = models.potential(reference).card
    cards = [potential.card for potential in models.potentials.values()]
    versions = sorted(other.version for other in cards if other.name == card.name)
    return json_response(metadata(card, [str(version) for version in versions]))


def _ready(request: Request, reference: str) -> Response:
    check_query(request)
    card = service_of(request).models.potential(reference).card
    return json_response(ModelReady(name=card.name, ready=True))


async def _infer(request: Request, reference: str) -> Response:
    service = service_of(request)
    check_origin(request, service.settings.cors_origins)
    check_query(request)
    header = _header(request)
    room: BodyRoom = request.app.state.body_room
    with service.asked(reference) as (potential,), room.share() as share:
        body = await whole_body(request, request.app.state.body_limits, share)
        with cancelled_on_disconnect(request):
            known = outputs_of(potential.card)
            read = partial(decode, body, header, potential.reference, known)
            encoded = await service.exchange([potential], len(body), read, encode)
    return await _response(request, potential, encoded)


async def _response(request: Request, potential: Potential, encoded: Encoded) -> Response:
    headers = model_header([ref_of(potential)])
    if encoded.header is not None:
        headers[HEADER] = str(encoded.header)
    media = JSON if encoded.header is None else OCTETS
    return await sized_response(request, encoded.body, 200, headers, media)


def _reference(name: str, version: str) -> str:
    return f"{name}@{version}"


def _header(request: Request) -> int | None:
    """Bytes of the JSON of the body; None where it is all."""
    media = request.headers.get("content-type", JSON)
    if media.partition(";")[0].strip().lower() not in (JSON, OCTETS):
        raise HTTPException(
            415, f"Content-Type '{media[:SHOWN]}' is not supported; send {JSON} or {OCTETS}"
        )
    given = request.headers.get(HEADER)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < LONGEST_NUMBER):
        raise InvalidRequest(f"{HEADER}: '{given[:SHOWN]}'; a number of bytes is expected")
    return int(given)
