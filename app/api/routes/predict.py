"""`POST /predict`."""

from fastapi import APIRouter, Request, Response

from app.api.body import MEDIA_TYPES, accepted_kind, content_kind, read_body
from app.api.disconnect import cancelled_on_disconnect
from app.api.middleware import PREDICT_PATH
from app.api.openapi import PREDICT
from app.api.routes.common import service_of
from app.protocol.request import Message

router = APIRouter(tags=["predict"])


@router.post(PREDICT_PATH, summary="Energies, forces, stress; relaxed structures", **PREDICT)
async def predict(request: Request) -> Response:
    """Evaluate structures with a model, and relax them if asked."""
    service = service_of(request)
    kind = content_kind(request)
    service.models.check_ready()
    limits = service.settings
    body = await read_body(request, limits.max_body_bytes, limits.body_timeout)
    query = request.query_params.multi_items()
    message = Message(kind, body, query, accepted_kind(request, kind))
    with cancelled_on_disconnect(request):
        reply = await service.answer(message)
    headers = {"X-Equipot-Model": f"{reply.model.reference} {reply.model.digest}"}
    return Response(reply.body, reply.status, headers, media_type=MEDIA_TYPES[reply.kind])
