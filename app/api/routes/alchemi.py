"""`/v1`: batched geometry relaxation, as NVIDIA's ALCHEMI NIM has it."""

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.api.body import check_origin, whole_body
from app.api.body_kinds import JSON
from app.api.disconnect import cancelled_on_disconnect
from app.api.limits import BodyRoom
from app.api.openapi import METRICS
from app.api.openapi_protocols import RELAX, RELAX_LIVE, RELAX_READY, RELAX_STATUS
from app.api.routes import health
from app.api.routes.common import check_query, get, json_response, service_of, sized_response
from app.api.streaming import model_header
from app.api.tally import Counted, Tally
from app.protocol.alchemi.decode import Relaxation, decode
from app.protocol.alchemi.encode import encode
from app.protocol.alchemi.schemas import Health, RelaxStatus
from app.protocol.request import RequestLimits

MODEL = "model"
"""The only parameter of the query: `name`, or `name@version`."""
SHOWN = 80
"""Characters of a header that a message repeats."""

router = APIRouter(tags=["batched geometry relaxation"])


@get(router, "/v1/health/live", summary="Is the process alive?", **RELAX_LIVE)
async def live() -> Response:
    """Alive as soon as the process listens."""
    return json_response(Health(status="live"))


@get(router, "/v1/health/ready", summary="May it be asked?", **RELAX_READY)
async def ready(request: Request) -> Response:
    """As `/readyz`: 503 while it may not."""
    service_of(request).models.check_ready()
    return json_response(Health(status="ready"))


@get(router, "/v1/status", summary="How much is asked and waits", **RELAX_STATUS)
async def status(request: Request) -> Response:
    """Requests and structures of this protocol so far, and what waits of all."""
    service, tally = service_of(request), _tally(request)
    admitted = [potential.admission.admitted for potential in service.models.potentials.values()]
    return json_response(
        RelaxStatus(
            requests_received=tally.requests,
            requests_completed=tally.requests_ended,
            requests_in_progress=tally.requests - tally.requests_ended,
            tasks_received=tally.structures,
            tasks_completed=tally.structures_ended,
            queue_size_tasks=sum(structures for structures, _ in admitted),
            queue_size_atoms=sum(atoms for _, atoms in admitted),
            max_system_size=service.settings.max_atoms,
        )
    )


@get(router, "/v1/metrics", summary="Prometheus metrics", **METRICS)
async def metrics(request: Request) -> Response:
    """The same as `/metrics`."""
    return await health.metrics(request)


@router.post("/v1/infer", summary="Relax structures", **RELAX)
async def infer(request: Request) -> Response:
    """Relax structures, and their cells if asked."""
    with _tally(request).request() as counted:
        return await _infer(request, counted)


async def _infer(request: Request, counted: Counted) -> Response:
    service = service_of(request)
    check_origin(request, service.settings.cors_origins)
    _check_kind(request)
    model = _model(request)
    room: BodyRoom = request.app.state.body_room
    with service.asked(model) as potentials, room.share() as share:
        body = await whole_body(request, request.app.state.body_limits, share)

        def read(limits: RequestLimits) -> Relaxation:
            asked = decode(body, model, limits)
            counted.read(len(asked.sent))
            return asked

        with cancelled_on_disconnect(request):
            code, content, models = await service.exchange(potentials, len(body), read, encode)
    return await sized_response(request, content, code, model_header(models), JSON)


def _tally(request: Request) -> Tally:
    tally: Tally = request.app.state.relax_tally
    return tally


def _check_kind(request: Request) -> None:
    media = request.headers.get("content-type", JSON)
    if media.partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415, f"Content-Type '{media[:SHOWN]}' is not supported; send {JSON}")


def _model(request: Request) -> str | None:
    """The model that is asked for; None for the default."""
    check_query(request, MODEL)
    return request.query_params.get(MODEL)
