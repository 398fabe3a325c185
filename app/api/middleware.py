"""What is done with every request, whatever its route."""

import asyncio
import logging
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import key_of
from app.api.errors import REQUEST_ID, response
from app.errors import Unavailable
from app.protocol.faults import fault
from app.service.service import Service
from app.telemetry.context import CONTEXT, RequestContext
from app.telemetry.logs import FIELDS
from app.telemetry.tracing import end_request, request_span

PREDICT_PATH = "/predict"
QUIET = (
    *("/livez", "/readyz", "/metrics", "/v1/health/live", "/v1/health/ready", "/v1/metrics"),
    *("/v2/health/live", "/v2/health/ready"),
)
"""Routes of those that look after the service, whose lines are for debugging."""

log = logging.getLogger("app.requests")


class RequestMiddleware:
    """Gives requests their ids, counts them by route and status, measures how long they took, writes
    a line of the log for each, and tells those that outlast the shutdown that they are cut off.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._metrics, self._models = service.metrics, service.models
        self._logs = service.settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note its status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        began = time.perf_counter()
        headers = Headers(scope=scope)
        context = _context(scope, headers)
        # It stays until the end of the request's task, which logs what nobody caught.
        CONTEXT.set(context)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = (REQUEST_ID.lower().encode(), context.id.encode())
                message = {**message, "headers": [*message.get("headers", ()), own]}
            await send(message)

        with request_span(context, headers) as span:
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
                if span is not None:
                    attributes = _attributes(scope, route, status)
                    end_request(span, f"{scope['method']} {route}", attributes)
                self._note(scope, context, route, status or 500, time.perf_counter() - began)

    def _note(
        self, scope: Scope, context: RequestContext, route: str, status: int, seconds: float
    ) -> None:
        self._metrics.request(route, scope["method"], status, seconds)
        if (key := key_of(scope)) is not None:
            self._metrics.key_requests.labels(key.name, status).inc()
        level = logging.DEBUG if route in QUIET else logging.INFO
        if self._logs and log.isEnabledFor(level):
            _log(level, scope["method"], route, context, status, seconds)


def _context(scope: Scope, headers: Headers) -> RequestContext:
    address, _ = scope.get("client") or (None, None)
    return RequestContext.of(
        headers.getlist(REQUEST_ID), headers.getlist("traceparent"), address=address
    )


def _attributes(scope: Scope, route: str, status: int) -> dict[str, str | int]:
    """What a span says of a request, by OpenTelemetry's names where there are any."""
    context = CONTEXT.get()
    assert context is not None
    key = {} if context.key is None else {"equipot.key": context.key}
    return {
        "http.request.method": scope["method"],
        "http.route": route,
        "http.response.status_code": status or 500,
        "equipot.structures": context.structures,
        "equipot.atoms": context.atoms,
        **key,
    }


def _log(
    level: int, method: str, route: str, context: RequestContext, status: int, seconds: float
) -> None:
    """A line of the log, without anything of the structures but their sizes."""
    fields = {
        "method": method,
        "route": route,
        "status": status,
        "structures": context.structures,
        "atoms": context.atoms,
        "ms": round(1e3 * seconds, 3),
        "key": context.key,
    }
    told = f"{method} {route} {status} {1e3 * seconds:.1f} ms"
    if context.structures:
        told += f", {context.structures} structures, {context.atoms} atoms"
    if context.key is not None:
        told += f", key {context.key}"
    # Nobody is told from where in the code the line comes, which is slow to find out.
    log.handle(log.makeRecord(log.name, level, "", 0, told, (), None, extra={FIELDS: fields}))
