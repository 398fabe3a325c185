"""What is done with every request, whatever its route."""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import response
from app.errors import Unavailable
from app.protocol.faults import fault
from app.service.metrics import Metrics
from app.service.models import Models

PREDICT_PATH = "/predict"


class CutOffMiddleware:
    """Tells clients whose requests outlast the shutdown that they are cut off."""

    def __init__(self, app: ASGIApp, models: Models) -> None:
        self._app = app
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; if it is cancelled at the shutdown, answer in its place."""
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if started or scope["type"] != "http" or self._models.state != "stopping":
                raise
            told = Unavailable("the service was shut down before the answer; send it again")
            await response(fault(told), {"Connection": "close"})(scope, receive, send)


class MetricsMiddleware:
    """Counts requests by route and status, and measures how long they took."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note its status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            default = PREDICT_PATH if scope["path"] == PREDICT_PATH else "other"
            route = getattr(scope.get("route"), "path", default)
            self._metrics.requests.labels(route, scope["method"], status).inc()
            self._metrics.latency.labels(route).observe(time.perf_counter() - began)
