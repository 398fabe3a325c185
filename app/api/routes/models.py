"""`GET /models`, `GET /models/{name}` and `GET /models/{name}/plots/{plot}`."""

import asyncio

from fastapi import APIRouter, Request, Response

from app.api.openapi import MODEL, MODELS, PLOT
from app.api.routes.common import check_query, get, json_response, service_of
from app.service.listing import card, listed, plot

router = APIRouter(tags=["models"])


@get(router, "/models", summary="All models and their state", **MODELS)
async def models(request: Request) -> Response:
    """The models of the store: those that are served, and those refused, with the reason."""
    check_query(request)
    return json_response(listed(service_of(request).models))


@get(router, "/models/{name}", summary="The card of a model", **MODEL)
async def model(request: Request, name: str) -> Response:
    """Everything that is known of one model; `name`, `name@version` or an alias."""
    check_query(request)
    return json_response(card(service_of(request).models, name))


@get(router, "/models/{name}/plots/{file}", summary="A picture of how good a model is", **PLOT)
async def picture(request: Request, name: str, file: str) -> Response:
    """Predictions against labels of data that were set aside (`parity.png`), or errors of forces
    against their estimates (`calibration.png`), where the version has them.
    """
    check_query(request)
    content = await asyncio.to_thread(plot, service_of(request).models, name, file)
    return Response(content, media_type="image/png")
