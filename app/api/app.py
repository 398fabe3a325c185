"""create_app: the service as an ASGI application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from app import __version__
from app.api.access import AccessMiddleware
from app.api.body import BodyLimits
from app.api.direct import Direct
from app.api.disconnect import ClientLeft
from app.api.errors import (
    on_client_left,
    on_equipot_error,
    on_http_exception,
    on_invalid_parameter,
    on_surprise,
)
from app.api.limits import BodyRoom
from app.api.middleware import PREDICT_PATH, RequestMiddleware
from app.api.openapi import complete
from app.api.routes import (
    admin,
    alchemi,
    health,
    jobs,
    models,
    open_inference,
    page,
    predict,
    tasks,
    tools,
)
from app.api.tally import Tally
from app.errors import EquipotError
from app.jobs.jobs import Jobs
from app.service.service import Service
from app.settings import Settings

EXPOSED = (
    *("X-Equipot-Model", "X-Request-ID", "Retry-After", "Location", "Link"),
    open_inference.HEADER,
)
"""Headers of answers that pages of other origins may read."""


def create_app(settings: Settings | None = None, service: Service | None = None) -> FastAPI:
    """An app with models, queue and metrics of its own.

    Args:
        settings: read from the environment where not given.
        service: that answers; one of its own where not given.
    """
    service = service or Service(settings or Settings())
    app: FastAPI = FastAPIOffline(
        title="Equipot",
        version=__version__,
        description="Equivariant interatomic potentials: energies, forces, stress and relaxed structures.",
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.service = service
    app.state.jobs = Jobs(service)
    app.state.body_room = BodyRoom(service.settings.max_bodies_bytes)
    app.state.relax_tally = Tally()
    app.state.body_limits = BodyLimits.of(service.settings)
    for routes in (page, predict, tasks, jobs, models, open_inference, alchemi, admin, health):
        app.include_router(routes.router)
    app.state.mcp = tools.mounted(app) if service.settings.mcp else None
    app.mount(page.FILES_PATH, page.Files(directory=page.FOLDER))
    app.add_route("/docs", _head, methods=["HEAD"], include_in_schema=False)
    app.add_exception_handler(EquipotError, on_equipot_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_parameter)
    app.add_exception_handler(ClientLeft, on_client_left)
    app.add_exception_handler(Exception, on_surprise)
    app.add_middleware(
        Direct, path=PREDICT_PATH, endpoint=predict.predict, handlers=app.exception_handlers
    )
    app.add_middleware(AccessMiddleware, gate=service.gate)
    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(RequestMiddleware, service=service)
    complete(app)
    return app


async def _head(_: Request) -> Response:
    """The page is there."""
    return Response(media_type="text/html")


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Listen at once, load meanwhile; finish what was admitted before the end."""
    service: Service = app.state.service
    jobs: Jobs = app.state.jobs

    async def load() -> None:
        await service.models.start()
        await jobs.start()

    loading = asyncio.create_task(load())
    try:
        async with contextlib.AsyncExitStack() as stack:
            if app.state.mcp is not None:
                await stack.enter_async_context(app.state.mcp.session_manager.run())
            yield
    finally:
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading
        await jobs.stop()
        await service.stop()
