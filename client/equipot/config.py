"""How a client is set up."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from equipot.flow import Flow
from equipot.options import query_of
from equipot.request import Request, Retry

DEFAULT_URL = "http://127.0.0.1:8000"
API_KEY = "EQUIPOT_API_KEY"
"""The variable with the key of clients that are given none."""
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
        api_key: that lets it in; by default that of the environment. Not shown, but pickled.
    """

    url: str = DEFAULT_URL
    timeout: float = 600.0
    retry: Retry = field(default_factory=Retry)
    headers: Mapping[str, str] = field(default_factory=dict)
    verify: bool | str = True
    api_key: str | None = field(default_factory=lambda: os.environ.get(API_KEY), repr=False)

    def __post_init__(self) -> None:
        """Check the address and the key.

        Raises:
            ValueError: it is none of HTTP, or the key cannot stand in a header.
        """
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url: {self.url!r}; expected as in {DEFAULT_URL}")
        if self.api_key and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ValueError("api_key: printable ASCII characters are expected")

    def all_headers(self) -> dict[str, str]:
        """Of every request, with the key; a header `Authorization` of its own wins over it."""
        given = dict(self.headers)
        if not self.api_key or any(name.lower() == "authorization" for name in given):
            return given
        return {**given, "Authorization": f"Bearer {self.api_key}"}

    def options(self) -> dict[str, Any]:
        """Of an httpx client."""
        return {
            "base_url": self.url,
            "headers": self.all_headers(),
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

    def flow(self, options: Mapping[str, Any], window: int, path: str) -> Flow:
        """A stream."""
        url = httpx.URL(self.url.rstrip("/") + path, params=query_of(options))
        return Flow(url, self.all_headers(), self.retry, window)


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
