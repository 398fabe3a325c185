"""The one table from error class to HTTP status and code, and how an error becomes a response."""

from dataclasses import dataclass
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app import errors

TABLE: dict[type[errors.EquipotError], tuple[int, str]] = {
    errors.InvalidStructure: (422, "invalid_structure"),
    errors.InvalidFormat: (422, "invalid_format"),
    errors.InvalidRequest: (422, "invalid_request"),
    errors.UnsupportedElement: (422, "unsupported_element"),
    errors.UnsupportedCharge: (422, "unsupported_charge"),
    errors.StructureTooLarge: (413, "too_large"),
    errors.UnknownModel: (404, "unknown_model"),
    errors.CorruptModel: (503, "corrupt_model"),
    errors.ModelExists: (409, "model_exists"),
    errors.CertificateRefused: (409, "certificate_refused"),
    errors.Overloaded: (429, "overloaded"),
    errors.Unavailable: (503, "unavailable"),
    errors.BackendError: (500, "model_failed"),
    errors.OutOfMemory: (503, "out_of_memory"),
    errors.InvalidConfig: (500, "invalid_config"),
    errors.InvalidData: (500, "invalid_data"),
}


CLIENT_LEFT = 499
"""What the metrics show for a client that did not wait for its answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as the client sees it."""

    status: int
    code: str
    message: str

    def as_json(self) -> dict[str, str]:
        """`{"code", "message"}`."""
        return {"code": self.code, "message": self.message}


def fault(error: errors.EquipotError) -> Fault:
    """Status, code and message of an error; a subclass that is not in the table is looked up by its
    bases.
    """
    for kind in type(error).__mro__:
        if kind in TABLE:
            status, code = TABLE[kind]
            return Fault(status, code, str(error))
    return Fault(500, "internal", str(error))


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
