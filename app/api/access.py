"""Access over HTTP: which key which path needs, and what those are told who have none."""

from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Asgi

from app.access.gate import Gate, is_local
from app.access.keys import Key, Scope
from app.api.errors import error_response
from app.errors import Forbidden, RateLimited, Unauthorized
from app.settings import Settings
from app.telemetry.context import CONTEXT

OPEN = ("/", "/livez", "/readyz", "/docs", "/openapi.json")
"""Paths for which nobody needs a key: they say nothing of models, requests or jobs."""
OPEN_FOLDERS = ("/page/", "/static-offline-docs/", "/v1/health/", "/v2/health/")
SCOPES: dict[str, Scope | None] = {
    "/metrics": "metrics",
    "/v1/metrics": "metrics",
    "/jobs": "jobs",
    "/admin": "admin",
    "/models": None,
}
"""What a key needs for a path and those below it: `predict` for others, None for any key."""
KEY = "equipot.key"


class AccessMiddleware:
    """Lets requests in by their keys.

    Args:
        app: what answers them.
        gate: decides.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Asgi, receive: Receive, send: Send) -> None:
        """Pass the request on, or say why not."""
        if scope["type"] != "http" or not self._gate.wants_keys or is_open(get_route_path(scope)):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).getlist("authorization")
        try:
            scope[KEY] = key = self._gate.key(given[0] if len(given) == 1 else None)
            _note(key)
            with self._gate.request(key, _wanted(scope)):
                await self._app(scope, receive, send)
        except (Unauthorized, Forbidden, RateLimited) as error:
            await error_response(error, scope["path"])(scope, receive, send)


def _note(key: Key | None) -> None:
    """Have the log say whose request it is."""
    context = CONTEXT.get()
    if context is not None and key is not None:
        context.key = key.name


def key_of(scope: Asgi) -> Key | None:
    """The key that a request came with; None where nobody needs one."""
    key: Key | None = scope.get(KEY)
    return key


PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers of requests that somebody passes on."""
HOW = "set EQUIPOT_API_KEYS_FILE, and send a key with the scope admin"


def check_local(request: Request, gate: Gate, settings: Settings) -> None:
    """Whether a request comes from this machine, where nobody has a key that would say who asks.

    Raises:
        Forbidden: it may come from another one; says why.
    """
    if gate.wants_keys:
        return
    if not is_local(settings.host) or settings.root_path or settings.forwarded_allow_ips:
        raise Forbidden(
            "this service is set up for others than this machine (EQUIPOT_HOST, EQUIPOT_ROOT_PATH, "
            f"EQUIPOT_FORWARDED_ALLOW_IPS), and nobody needs a key; {HOW}"
        )
    address = "" if request.client is None else request.client.host
    named = is_local(request.url.hostname or "")
    if not (is_local(address) and named) or any(name in request.headers for name in PROXIES):
        raise Forbidden(
            f"without keys, only this machine may ask for this, by its own name and through no proxy; {HOW}"
        )


def is_open(path: str) -> bool:
    """Whether nobody needs a key for a path."""
    return path in OPEN or path.startswith(OPEN_FOLDERS)


def _wanted(scope: Asgi) -> Scope | None:
    path = get_route_path(scope)
    found = [wanted for base, wanted in SCOPES.items() if f"{path}/".startswith(f"{base}/")]
    return found[0] if found else "predict"
