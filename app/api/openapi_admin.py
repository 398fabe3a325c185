"""What the OpenAPI document says of `/admin`."""

from typing import Any

from app.api.body_kinds import JSON
from app.api.openapi import answer, error, ref
from app.protocol.admin import AdminAnswer, Alias, DefaultIn

ANSWER = answer(AdminAnswer, "all versions with their states, the default, and the aliases")
FORBIDDEN = error("the key may not do this, or nobody has a key and another machine asks")
UNKNOWN = error("no such model, version or alias")
IN_USE = error("it is needed, or being loaded or unloaded")
UNREAD = {
    400: error("the body is none of HTTP"),
    408: error("the body did not come"),
    413: error("the body is too large"),
    415: error("a Content-Type that is not read"),
    422: error("the body is malformed"),
    429: error("the bodies being read take too much memory, or the key asks too much"),
}


def _operation(*changes: dict[int, Any]) -> dict[str, Any]:
    responses: dict[int, Any] = {200: ANSWER, 403: FORBIDDEN}
    for change in changes:
        responses |= change
    return {"responses": responses}


def _sent(schema: Any, example: object) -> dict[str, Any]:
    content = {JSON: {"schema": ref(schema), "example": example}}
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}}


FAILED = {
    500: error("the model cannot be run"),
    503: error("the model is corrupt, or needs more memory than there is; or shutting down"),
}
WRITTEN = {409: IN_USE, 422: error("the file of the deployment cannot be read or written")}
SHOWN = _operation()
LOAD = _operation(WRITTEN, FAILED, {404: UNKNOWN})
UNLOAD = _operation(WRITTEN, {404: UNKNOWN})
RELOAD = _operation(WRITTEN, FAILED, {404: error("the store holds no model")})
DEFAULT = _operation(UNREAD, {404: UNKNOWN, 409: IN_USE, 503: FAILED[503]}) | _sent(
    DefaultIn, {"models": ["organic-xtb"]}
)
ALIAS = _operation(UNREAD, {404: UNKNOWN, 409: IN_USE, 503: FAILED[503]}) | _sent(
    Alias, {"shares": {"organic-xtb@3": 90, "organic-xtb@4": 10}}
)
ALIAS_GONE = _operation(WRITTEN, {404: UNKNOWN})
