"""`/mcp`: tools for language models, by the Model Context Protocol over HTTP."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.body import check_origin
from app.errors import InvalidRequest
from app.settings import Settings

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

PATH = "/mcp"


def mounted(app: FastAPI) -> "MCPServer[Any]":
    """The server of the tools, with its route in an app that it asks for its callers.

    Raises:
        InvalidRequest: the package of the protocol is not installed.
    """
    try:
        from mcp.server.transport_security import TransportSecuritySettings

        from app.integrations.mcp import PATIENCE, Within, build
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"setting mcp: {error.name} is not installed; pip install 'equipot[mcp]'"
        ) from None
    settings: Settings = app.state.service.settings
    server = build(lambda headers: Within(app, headers, PATIENCE), files=False)
    inner = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        json_response=True,
        max_request_body_size=settings.max_body_bytes,
        # Whoever may ask at all is checked as for every other route, by `Checked`.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    # Nothing is sent unasked, so that a GET, which would wait for that, is none of the methods.
    checked = Checked(inner, settings.cors_origins)
    app.router.routes.append(Route(PATH, checked, methods=["POST"]))
    return server


class Checked:
    """An application that pages of other origins may not ask.

    Args:
        app: it.
        origins: of pages that may.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the origin of a request, and pass it on."""
        check_origin(Request(scope), self._origins)
        await self._app(scope, receive, send)
