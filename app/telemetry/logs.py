"""Lines of the log, for people or as JSON; each says to which request it belongs."""

import json
import logging
import time
from typing import Any, Literal

from app.telemetry.context import CONTEXT

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FIELDS = "fields"
"""Attribute of a record with what it has besides its message."""


def configure_logging(level: str, style: Literal["text", "json"]) -> None:
    """Write what is logged from a level on to standard error.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        style: `text` for people, or a document of JSON a line.
    """
    # Neither kind of line has what these would look up for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class TextFormatter(logging.Formatter):
    """Lines for people; the id of the request stands at their end."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, before a traceback."""
        line = super().formatMessage(record)
        context = CONTEXT.get()
        return line if context is None else f"{line} [{context.id}]"


class JsonFormatter(logging.Formatter):
    """A document a line: time, level, logger, message, request, and what else the record has."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        document: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (context := CONTEXT.get()) is not None:
            document["request_id"] = context.id
            if context.trace_id is not None:
                document["trace_id"] = context.trace_id
            if context.key is not None:
                document["key"] = context.key
        document |= getattr(record, FIELDS, {})
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)
