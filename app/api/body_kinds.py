"""How bodies are written, by their media types."""

from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.atoms.properties import NAMES
from app.errors import InvalidRequest
from app.formats.registry import FORMATS, WRITERS
from app.protocol.request import Kind

JSON = "application/json"
MSGPACK = "application/x-msgpack"
XYZ = WRITERS["xyz"].media_type
LINES = "application/x-ndjson"
FORM = "multipart/form-data"
HTML = "text/html"
OCTETS = "application/octet-stream"
EVENT_STREAM = "text/event-stream"
FORMAT = "format"
"""The query parameter that says how to answer."""
INPUT_FORMAT = "input_format"
"""The field of a form that states the format of its files."""
SHOWN = 80
"""Characters of a header that a message repeats."""
DOCUMENTS: Mapping[str, Kind] = {
    JSON: "json",
    MSGPACK: "msgpack",
    "application/msgpack": "msgpack",
    "application/vnd.msgpack": "msgpack",
    LINES: "lines",
    "application/ndjson": "lines",
    "application/jsonl": "lines",
}
READ: Mapping[str, Kind] = {
    **DOCUMENTS,
    FORM: "files",
    **{media: kind for kind, known in FORMATS.items() for media in known.media_types},
}
"""Kinds of bodies that ask."""
MEDIA_TYPES: Mapping[Kind, str] = {
    "json": JSON,
    "msgpack": MSGPACK,
    "lines": LINES,
    **{kind: written.media_type for kind, written in WRITERS.items()},
}
"""Of bodies that answer."""
WRITTEN: Mapping[str, Kind] = {
    **DOCUMENTS,
    **{media: kind for media, kind in READ.items() if kind in WRITERS},
    **{written.media_type: kind for kind, written in WRITERS.items()},
}
"""Kinds of bodies that answer, by what a client may call them."""
HELD = ("msgpack", "lines")
"""Kinds of bodies that are answered in kind where a task is asked for."""
SAME = ("msgpack", "lines", *(kind for kind, written in WRITERS.items() if written.holds == NAMES))
"""Kinds of bodies that are answered in kind, unless something else is asked for; others, in JSON."""


def content_kind(request: Request) -> Kind:
    """The kind of the body, from Content-Type; JSON where there is none.

    Raises:
        HTTPException: 415 for what is not read.
    """
    header = request.headers.get("content-type", JSON)
    kind = READ.get(header.partition(";")[0].strip().lower())
    if kind is None:
        raise HTTPException(
            415, f"Content-Type '{header[:SHOWN]}' is not supported; send one of {', '.join(READ)}"
        )
    return kind


def answer_kind(request: Request, default: Kind) -> Kind:
    """The kind of the answer: the query's `format`, else what Accept prefers, else the default.

    Raises:
        InvalidRequest: the query names no format that is written, or two.
    """
    named = named_kind(request.query_params.getlist(FORMAT))
    return accepted_kind(request, default) if named is None else named


def named_kind(given: Sequence[str]) -> Kind | None:
    """The kind of the answer that is asked for by name, in a query or a form; None where none is.

    Raises:
        InvalidRequest: no format that is written, or two.
    """
    if not given:
        return None
    if len(given) > 1 or given[0] not in MEDIA_TYPES:
        raise InvalidRequest(
            f"format: '{', '.join(given)[:SHOWN]}'; choose one of {', '.join(MEDIA_TYPES)}"
        )
    return given[0]


def accepted_kind(request: Request, default: Kind) -> Kind:
    """The kind of the answer, as Accept prefers, else the default one."""
    best, kind = 0.0, default
    accept = request.headers.get("accept")
    for part in accept.split(",") if accept else ():
        media, _, parameters = part.partition(";")
        offered = WRITTEN.get(media.strip().lower())
        weight = _weight(parameters)
        if offered and weight > best:
            best, kind = weight, offered
    return kind


def accepts_events(request: Request) -> bool:
    """Whether a relaxation is to be followed in server-sent events; `?format=` comes before Accept."""
    accept = request.headers.get("accept", "")
    media = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return EVENT_STREAM in media and FORMAT not in request.query_params


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
