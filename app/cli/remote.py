"""Asking a service over HTTP."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlencode

from app.errors import BackendError, InvalidRequest

TIMEOUT = 600.0
"""Seconds without a byte."""


class Remote:
    """A service.

    Args:
        url: where it is.

    Raises:
        InvalidRequest: that is no URL of HTTP.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidRequest(f"--server {url}: a URL is expected, as in http://127.0.0.1:8000")
        self._url = url.rstrip("/")

    def json(self, method: str, path: str, query: Mapping[str, object] | None = None) -> Any:
        """What it answers in JSON.

        Raises:
            BackendError: it cannot be reached, or answers with an error, which is told.
        """
        with self.open(method, path, query) as answer:
            return json.load(answer)

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        body: IO[bytes] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Its answer, to be read in the block.

        Raises:
            BackendError: it cannot be reached, or answers with an error, which is told.
        """
        url = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        request = urllib.request.Request(url, body, dict(headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise BackendError(_told(error)) from None
        except http.client.IncompleteRead:
            told = "the answer ends early; the service has ended, or the job was cancelled"
            raise BackendError(f"{self._url}: {told}") from None
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            reason = getattr(error, "reason", error)
            raise BackendError(f"{self._url} does not answer: {reason}") from None


def _told(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        told = json.loads(text)["error"]
        return f"{told['code']}: {told['message']}"
    except (ValueError, KeyError, TypeError):
        return f"the service answered {error.code}: {text[:500]}"
