"""A connection that sends and receives at the same time, which a request over httpx does not."""

import asyncio
import selectors
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import httpx

from equipot.flow import CHUNK, QUIET, Flow
from equipot.results import Result
from equipot.structures import Item

CONNECT = 10.0
"""Seconds."""


def address(url: httpx.URL) -> tuple[str, int]:
    """Host and port of a URL."""
    return url.host, url.port or (443 if url.scheme == "https" else 80)


def exchange(
    flow: Flow, source: Iterator[Item], url: httpx.URL, tls: ssl.SSLContext | None, timeout: float
) -> Iterator[Result]:
    """Results of one connection, as they come. All is done in the caller's thread.

    Args:
        flow: knows what to send, and what it means that has come.
        source: structures, taken as there is room for them.
        url: of the service.
        tls: how to make sure who answers, of `https`.
        timeout: seconds without a byte.

    Raises:
        OSError: the connection failed.
        TimedOut: nothing came for too long.
    """
    host, port = address(url)
    with socket.create_connection((host, port), CONNECT) as raw:
        connection = raw if tls is None else tls.wrap_socket(raw, server_hostname=host)
        with connection, selectors.DefaultSelector() as selector:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
            yield from _exchanged(flow, source, connection, selector, timeout)


def _exchanged(
    flow: Flow,
    source: Iterator[Item],
    connection: socket.socket,
    selector: selectors.BaseSelector,
    timeout: float,
) -> Iterator[Result]:
    out, heard = b"", time.monotonic()
    while not flow.is_over:
        takes = flow.has_room and len(out) < CHUNK
        if takes:
            _take(flow, source)
        out += flow.data_to_send()
        yield from flow.refused()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if out else 0)
        selector.modify(connection, wanted)
        ready = selector.select(0 if takes else min(QUIET, timeout))
        events = ready[0][1] if ready else 0
        if events & selectors.EVENT_READ:
            heard = time.monotonic()
        elif not events and not takes:
            out += flow.keep_alive()
            if time.monotonic() - heard >= timeout:
                raise flow.late(timeout)
        if events & selectors.EVENT_WRITE:
            out = out[_send(connection, out) :]
        if events & selectors.EVENT_READ and (data := _receive(connection)) is not None:
            yield from flow.received(data)


def _take(flow: Flow, source: Iterator[Item]) -> None:
    item = next(source, None)
    if item is None:
        flow.end()
    else:
        flow.add(item)


def _send(connection: socket.socket, data: bytes) -> int:
    try:
        return connection.send(data)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return 0
    except (BrokenPipeError, ConnectionResetError):
        return len(data)  # the service takes no more, and may have said why


def _receive(connection: socket.socket) -> bytes | None:
    """What has come; none for the end, None for nothing yet."""
    try:
        data = connection.recv(CHUNK)
        while data and isinstance(connection, ssl.SSLSocket) and connection.pending():
            data += connection.recv(connection.pending())
        return data
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None


class Source:
    """Structures that are taken one by one on an event loop; one that is waited for is not lost where
    a connection fails meanwhile.

    Args:
        items: of them.
    """

    def __init__(self, items: AsyncIterator[Item]) -> None:
        self._items = items
        self._pending: asyncio.Task[Item | None] | None = None

    async def next(self) -> Item | None:
        """The next one, or None after the last."""
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._next())
        item = await asyncio.shield(self._pending)
        self._pending = None
        return item

    async def close(self) -> None:
        """Take no more."""
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait([self._pending])

    async def _next(self) -> Item | None:
        return await anext(self._items, None)


async def exchange_async(
    flow: Flow, source: Source, url: httpx.URL, tls: ssl.SSLContext | None, timeout: float
) -> AsyncGenerator[Result, None]:
    """The same as `exchange` on an event loop."""
    host, port = address(url)
    async with asyncio.timeout(CONNECT):
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    changed = asyncio.Event()
    sending = asyncio.ensure_future(_send_all(flow, source, writer, changed))
    try:
        while not flow.is_over:
            data = await _read(flow, reader, sending, timeout)
            for result in [*flow.refused(), *flow.received(data)]:
                yield result
            changed.set()
        for result in flow.refused():
            yield result
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        writer.close()


async def _read(
    flow: Flow,
    reader: asyncio.StreamReader,
    sending: "asyncio.Future[None]",
    timeout: float,
) -> bytes:
    """What comes next, unless taking structures fails before."""
    receiving = asyncio.ensure_future(reader.read(CHUNK))
    try:
        async with asyncio.timeout(timeout):
            either: list[asyncio.Future[Any]] = [receiving, sending]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            return await receiving
    except TimeoutError:
        raise flow.late(timeout) from None
    finally:
        receiving.cancel()


async def _send_all(
    flow: Flow, source: Source, writer: asyncio.StreamWriter, changed: asyncio.Event
) -> None:
    while not (flow.is_over or flow.has_sent_all):
        data = flow.data_to_send()
        if not data:
            changed.clear()
            try:
                async with asyncio.timeout(QUIET):
                    await (_add(flow, source) if flow.has_room else changed.wait())
            except TimeoutError:
                data = flow.keep_alive()
        writer.write(data)
        try:
            await writer.drain()
        except ConnectionError:
            return  # the service takes no more, and may have said why


async def _add(flow: Flow, source: Source) -> None:
    item = await source.next()
    flow.end() if item is None else flow.add(item)
