"""The shortest way to the endpoint that is asked most."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import request_response
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send


class Direct:
    """Answers `POST` of one path itself, and passes on what is of others.

    The route is there besides, for its documentation and other methods; FastAPI's own way to it
    takes several times what the rest of the web server does.

    Args:
        app: what answers other requests.
        path: of the endpoint.
        endpoint: what answers.
        handlers: of the app, by the errors that they answer; what none of them knows is raised.
    """

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        handlers: Mapping[Any, ExceptionHandler],
    ) -> None:
        self._app, self._path = app, path
        self._endpoint = request_response(endpoint)
        self._handlers = {kind: each for kind, each in handlers.items() if kind is not Exception}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or get_route_path(scope) != self._path
        ):
            await self._app(scope, receive, send)
            return
        scope["starlette.exception_handlers"] = self._handlers, {}
        await self._endpoint(scope, receive, send)
