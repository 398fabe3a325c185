"""`equipot mcp`: tools for a language model, over standard input and output."""

import argparse
import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.cli.options import add_settings, settings_from
from app.errors import InvalidRequest
from app.integrations.mcp import PATIENCE, Connect, Within, build
from equipot import AsyncClient

HERE = ("model_store", "models", "default_model", "threads", "device", "backend")
"""Options of a service in this process."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Whom the tools ask."""
    parser.add_argument(
        "--server", metavar="URL", help="a running service; else one is started in this process"
    )
    add_settings(parser, *HERE)


def run(options: argparse.Namespace) -> int:
    """Answer until standard input ends."""
    logging.basicConfig(level="WARNING", stream=sys.stderr)
    asyncio.run(_serve(options))
    return 0


async def _serve(options: argparse.Namespace) -> None:
    async with _connecting(options) as connect:
        await build(connect, files=True).run_stdio_async()


@asynccontextmanager
async def _connecting(options: argparse.Namespace) -> AsyncIterator[Connect]:
    """What makes clients, for the length of a block.

    Raises:
        InvalidRequest: what is of a service in this process is stated of another one, or no URL.
    """
    if options.server is None:
        from app.api.app import create_app

        app = create_app(settings_from(options))
        async with app.router.lifespan_context(app):
            await asyncio.to_thread(app.state.service.models.loaded.wait)
            yield lambda headers: Within(app, headers, PATIENCE)
        return
    stated = [name for name in HERE if getattr(options, name) is not None]
    if stated:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in stated)
        raise InvalidRequest(f"{words}: of this process; the service at --server has its own")
    try:
        await AsyncClient(options.server).aclose()
    except ValueError as error:
        raise InvalidRequest(f"--server: {error}") from None
    yield lambda headers: AsyncClient(options.server, headers=headers, retry=PATIENCE)
