"""How an error becomes an HTTP response."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app import errors
from app.protocol.faults import Fault, fault
from app.telemetry.context import request_id

CLIENT_LEFT = 499
"""What the metrics show for a client that did not wait for its answer."""


REQUEST_ID = "X-Request-ID"


def response(fault: Fault, path: str, headers: dict[str, str] | None = None) -> Response:
    """`{"error": {"code", "message"}, "request_id"}` with the status of the fault.

    Args:
        fault: what is told.
        path: of the request; those of other protocols have errors as these have them.
        headers: besides.
    """
    status, document = SHAPES.get(path.lstrip("/").partition("/")[0], _own)(fault)
    return Response(orjson.dumps(document), status, headers, media_type="application/json")


def _own(fault: Fault) -> tuple[int, object]:
    return fault.status, {"error": fault.as_json(), "request_id": request_id()}


def _open_inference(fault: Fault) -> tuple[int, object]:
    """A text alone; what cannot be processed is a bad request."""
    return 400 if fault.status == 422 else fault.status, {"error": fault.message}


def _alchemi(fault: Fault) -> tuple[int, object]:
    """A text where its framework has one, beside what is told elsewhere."""
    return fault.status, {"detail": fault.message, "error": fault.as_json()}


SHAPES: Mapping[str, Callable[[Fault], tuple[int, object]]] = {
    "v1": _alchemi,
    "v2": _open_inference,
}
"""How other protocols tell an error, by the first part of their paths."""


def error_response(error: errors.EquipotError, path: str) -> Response:
    """The answer to a request that could not be served at all."""
    headers = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = f"{error.retry_after:.0f}"
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="equipot"'
    return response(fault(error), path, headers)


async def on_equipot_error(request: Request, error: Exception) -> Response:
    """The same, for the app."""
    assert isinstance(error, errors.EquipotError)
    return error_response(error, _path(request))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Wrong paths, methods and content types, in the same shape as all other errors."""
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    told = Fault(error.status_code, code, error.detail)
    return response(told, _path(request), dict(error.headers or {}))


async def on_invalid_parameter(request: Request, error: Exception) -> Response:
    """A parameter of path or query that is not what is expected."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    shown = f"{first['loc'][-1]}: {first['msg']}, not '{str(first['input'])[:80]}'"
    return response(fault(errors.InvalidRequest(f"query parameter {shown}")), _path(request))


async def on_client_left(_: Request, error: Exception) -> Response:
    """Nobody receives it; the metrics show it."""
    return Response(status_code=CLIENT_LEFT)


async def on_surprise(request: Request, error: Exception) -> Response:
    """A fault of ours: the log has the traceback, the client its kind.

    The server closes the connection after it, which the client is told, so that it sends nothing
    more over it.
    """
    told = Fault(
        500, "internal", f"an unexpected {type(error).__name__}; the service's log has more"
    )
    # It is answered outside of all middleware, which would name the request.
    headers = {"Connection": "close", REQUEST_ID: request_id() or ""}
    return response(told, _path(request), headers)


def _path(request: Request) -> str:
    return str(request.scope["path"])
