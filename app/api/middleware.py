"""What is done with every request, whatever its route."""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import key_of
from app.api.errors import response
from app.errors import Unavailable
from app.protocol.faults import fault
from app.service.service import Service

PREDICT_PATH = "/predict"


class RequestMiddleware:
    """Counts requests by route and status, measures how long they took, and tells those that
    outlast the shutdown that they are cut off.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._metrics, self._models = service.metrics, service.models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note its status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        began = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if status or self._models.state != "stopping":
                raise
            told = Unavailable("the service was shut down before the answer; send it again")
            cut_off = response(fault(told), scope["path"], {"Connection": "close"})
            await cut_off(scope, receive, noting)
        finally:
            default = PREDICT_PATH if scope["path"] == PREDICT_PATH else "other"
            route = getattr(scope.get("route"), "path", default)
            self._metrics.requests.labels(route, scope["method"], status or 500).inc()
            if (key := key_of(scope)) is not None:
                self._metrics.key_requests.labels(key.name, status or 500).inc()
            self._metrics.latency.labels(route).observe(time.perf_counter() - began)
