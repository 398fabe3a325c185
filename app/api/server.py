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
from app.api.connection import Connection
from app.api.limits import ConnectionLimits
from app.process import be_quick
from app.service.service import Service
from app.settings import Settings
from app.telemetry.logs import configure_logging
from app.telemetry.tracing import start_tracing

KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than proxies keep theirs."""
DRAIN_STEP = 0.02


def prepare(settings: Settings) -> None:
    """Have this process log as it should, and be as quick as it can be."""
    configure_logging(settings.log_level, settings.log_format)
    be_quick()
    # There is nothing to reload before the start, and the signal would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


class Server(uvicorn.Server):
    """uvicorn, telling the service about the end before the listeners close, and about SIGHUP:
    reload the models.

    Args:
        settings: of the service.
        service: that answers; one of its own where not given.

    Raises:
        InvalidRequest: the file of keys is none, or others than this machine could ask without a key
            and nothing says that they may; or spans are asked for that cannot be made.
    """

    def __init__(self, settings: Settings, service: Service | None = None) -> None:
        app = create_app(settings, service)
        self.service: Service = app.state.service
        self.service.gate.check_address(settings.host, settings.allow_anonymous)
        self._stop_tracing = start_tracing()
        limits = ConnectionLimits(
            settings.max_connections, settings.header_timeout, self.service.metrics
        )
        connection = type("Connection", (Connection,), {"limits": limits})
        self._drain_timeout = settings.drain_timeout
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=connection,
            ws="none",
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.forwarded_allow_ips),
            forwarded_allow_ips=settings.forwarded_allow_ips or None,
            root_path=settings.root_path,
            timeout_keep_alive=KEEP_ALIVE,
            log_config=None,
            log_level=settings.log_level,
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
            loop.add_signal_handler(signal.SIGHUP, self.service.models.reloads.ask)
        await super().startup(sockets)
        for server in getattr(self, "servers", []):
            for listener in server.sockets:
                self._announce(listener.getsockname())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is there, for as long as it gets, before the listeners close.

        Meanwhile health checks are told of it, and new requests refused. What is not done by then
        is cut off, and told so. The last spans are sent here, since what called `run` may end the
        process by the signal that it got.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._drain_timeout
        while self.server_state.tasks and loop.time() < deadline and not self.force_exit:
            await asyncio.sleep(DRAIN_STEP)
        self.config.timeout_graceful_shutdown = 0 if self.server_state.tasks else 1
        await super().shutdown(sockets)
        await asyncio.to_thread(self._stop_tracing)

    def _announce(self, address: Any) -> None:
        logging.getLogger("app").info("listening on http://%s:%s", address[0], address[1])
