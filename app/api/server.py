"""Server: uvicorn with the service in it."""

import asyncio
import logging
import signal
import socket
import threading
from types import FrameType
from typing import Any

import uvicorn

from app.api.app import create_app
from app.service.service import Service
from app.settings import Settings

SWITCH_INTERVAL = 1e-4
"""Seconds after which a thread gives way to others: what comes back from the backend shall not wait
for 5 ms.
"""


class Server(uvicorn.Server):
    """uvicorn, telling the service about the end before the listeners close, and about SIGHUP:
    reload the models.
    """

    def __init__(self, settings: Settings) -> None:
        app = create_app(settings)
        self.service: Service = app.state.service
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="none",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            log_config=None,
            log_level=settings.log_level,
            timeout_graceful_shutdown=int(settings.drain_timeout),
        )
        super().__init__(config)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop being ready at once; the rest is uvicorn's: close listeners, finish requests, end."""
        self.service.models.drain()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where: with port 0 the system chose one."""
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self.service.models.reload_soon)
        await super().startup(sockets)
        for server in getattr(self, "servers", []):
            for listener in server.sockets:
                self._announce(listener.getsockname())

    def _announce(self, address: Any) -> None:
        logging.getLogger("app").info("listening on http://%s:%s", address[0], address[1])
