"""A client of the service that is an application of this process."""

from collections.abc import Mapping
from typing import Any

import httpx

from equipot import AsyncClient, Retry

BASE = "http://equipot.invalid"
"""Nobody resolves it: nothing goes over a network."""


class Within(AsyncClient):
    """`AsyncClient` of an application of ASGI, without its streams, which need a network.

    Args:
        app: the application.
        headers: of all requests.
        retry: when a request is sent again.
    """

    def __init__(self, app: Any, headers: Mapping[str, str], retry: Retry) -> None:
        super().__init__(BASE, retry=retry)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(
            transport=transport, base_url=BASE, headers=dict(headers), timeout=None
        )
