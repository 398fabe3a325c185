"""How an error becomes an HTTP response."""

from http import HTTPStatus

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app import errors
from app.protocol.faults import Fault, fault

CLIENT_LEFT = 499
"""What the metrics show for a client that did not wait for its answer."""


def response(fault: Fault, headers: dict[str, str] | None = None) -> Response:
    """`{"error": {"code", "message"}}` with the status of the fault."""
    body = orjson.dumps({"error": fault.as_json()})
    return Response(body, fault.status, headers, media_type="application/json")


async def on_equipot_error(_: Request, error: Exception) -> Response:
    """The answer to a request that could not be served at all."""
    assert isinstance(error, errors.EquipotError)
    headers = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = f"{error.retry_after:.0f}"
    return response(fault(error), headers)


async def on_http_exception(_: Request, error: Exception) -> Response:
    """Wrong paths, methods and content types, in the same shape as all other errors."""
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return response(Fault(error.status_code, code, error.detail), dict(error.headers or {}))


async def on_invalid_parameter(_: Request, error: Exception) -> Response:
    """A parameter of path or query that is not what is expected."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    shown = f"{first['loc'][-1]}: {first['msg']}, not '{str(first['input'])[:80]}'"
    return response(fault(errors.InvalidRequest(f"query parameter {shown}")))


async def on_client_left(_: Request, error: Exception) -> Response:
    """Nobody receives it; the metrics show it."""
    return Response(status_code=CLIENT_LEFT)


async def on_surprise(_: Request, error: Exception) -> Response:
    """A fault of ours: the log has the traceback, the client its kind.

    The server closes the connection after it, which the client is told, so that it sends nothing
    more over it.
    """
    told = Fault(
        500, "internal", f"an unexpected {type(error).__name__}; the service's log has more"
    )
    return response(told, {"Connection": "close"})
