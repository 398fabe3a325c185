"""`GET /livez`, `/readyz` and `/metrics`."""

import os

from fastapi import APIRouter, Request, Response

from app import __version__
from app.api.openapi import ALIVE, METRICS, READY
from app.api.routes.common import get, json_response, service_of
from app.protocol.schemas import Alive, Ready

METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(tags=["health"])


@get(router, "/livez", summary="Is the process alive?", **ALIVE)
async def livez() -> Response:
    """Alive as soon as the process listens."""
    return json_response(Alive(status="alive"))


@get(router, "/readyz", summary="May it be asked?", **READY)
async def readyz(request: Request) -> Response:
    """Ready once the models are loaded and warm, until the shutdown; else 503 with the reason."""
    models = service_of(request).models
    models.check_ready()
    ready = Ready(
        status="ready",
        service="equipot",
        version=__version__,
        process=os.getpid(),
        models=list(models.potentials),
    )
    return json_response(ready)


@get(router, "/metrics", summary="Prometheus metrics", **METRICS)
async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(await service_of(request).group.metrics(), media_type=METRICS_TEXT)
