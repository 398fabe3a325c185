"""How a client is set up."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from equipot.flow import Flow
from equipot.options import query_of
from equipot.request import Request, Retry

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT = 10.0
"""Seconds until a connection is there."""
CONNECTIONS = 100
"""The most at a time, of all threads that share a client."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a client is told; all that a copy needs.

    Attributes:
        url: of the service.
        timeout: seconds without a byte.
        retry: when a request is sent again.
        headers: of every request.
        verify: whether certificates are checked, or the file of those that are trusted.
    """

    url: str = DEFAULT_URL
    timeout: float = 600.0
    retry: Retry = field(default_factory=Retry)
    headers: Mapping[str, str] = field(default_factory=dict)
    verify: bool | str = True

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            ValueError: it is none of HTTP.
        """
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url: {self.url!r}; expected as in {DEFAULT_URL}")

    def options(self) -> dict[str, Any]:
        """Of an httpx client."""
        return {
            "base_url": self.url,
            "headers": dict(self.headers),
            "timeout": httpx.Timeout(self.timeout, connect=CONNECT, pool=None),
            "limits": httpx.Limits(max_connections=CONNECTIONS),
            "verify": self.context() or True,
        }

    def context(self) -> ssl.SSLContext | None:
        """What checks certificates; None where there are none."""
        if not self.url.startswith("https://"):
            return None
        context = httpx.create_ssl_context(verify=self.verify is not False)
        if isinstance(self.verify, str):
            context.load_verify_locations(self.verify)
        return context

    def flow(self, options: Mapping[str, Any], window: int) -> Flow:
        """A stream."""
        query = query_of(options)
        return Flow(httpx.URL(self.url), query, self.headers, self.retry, window)


def built(
    http: "httpx.Client | httpx.AsyncClient", request: Request, content: Any
) -> httpx.Request:
    """A request as httpx takes it.

    Args:
        http: the client.
        request: what is to be sent.
        content: its body.
    """
    return http.build_request(
        request.method,
        request.path.lstrip("/"),
        params=dict(request.query),
        headers=dict(request.headers),
        content=content,
    )
