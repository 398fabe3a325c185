"""`equipot serve`: the HTTP service."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any

import uvicorn
from pydantic import ValidationError

from app.api.app import create_app
from app.errors import InvalidRequest
from app.settings import ENV_PREFIX, Settings

SWITCH_INTERVAL = 1e-4
"""Seconds after which a thread gives way to others: what comes back from the backend shall not wait
for 5 ms.
"""
OPTIONS = (
    "model_store",
    "models",
    "default_model",
    "host",
    "port",
    "threads",
    "device",
    "backend",
    "deterministic",
    "log_level",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Options for the settings that change most; all others come from the environment."""
    for name in OPTIONS:
        field = Settings.model_fields[name]
        help_text = f"{field.description} (${ENV_PREFIX}{name.upper()})"
        action = "store_true" if field.annotation is bool else "store"
        parser.add_argument(
            f"--{name.replace('_', '-')}", dest=name, help=help_text, default=None, action=action
        )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    settings = settings_from(options)
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    sys.setswitchinterval(SWITCH_INTERVAL)
    # there is nothing to reload before the start, and it would end all
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Server(settings).run()
    return 0


def settings_from(options: argparse.Namespace) -> Settings:
    """Settings from the environment, overridden by the command line.

    Raises:
        InvalidRequest: naming the setting.
    """
    given = {
        name: getattr(options, name) for name in OPTIONS if getattr(options, name, None) is not None
    }
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"setting {place}: {first['msg']}".replace(" : ", " ")) from None


class Server(uvicorn.Server):
    """uvicorn, telling the service about the end before the listeners close, and about SIGHUP:
    reload the models.
    """

    def __init__(self, settings: Settings) -> None:
        self.service_app = create_app(settings)
        config = uvicorn.Config(
            self.service_app,
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
        self.service_app.state.service.state = "stopping"
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where: with port 0 the system chose one."""
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self.service_app.state.service.reload_soon)
        await super().startup(sockets)
        for server in getattr(self, "servers", []):
            for listener in server.sockets:
                self._announce(listener.getsockname())

    def _announce(self, address: Any) -> None:
        logging.getLogger("app").info("listening on http://%s:%s", address[0], address[1])
