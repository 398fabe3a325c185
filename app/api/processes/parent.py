"""Parent: listens, and hands each connection to the child that has the fewest.

The system's own ways to share a port (`SO_REUSEPORT`, a listener that is inherited) share connections by
chance, or give them to whoever wakes first; a client keeps its connection, so that some processes
would be full and others idle. Handing over costs once a connection, and a child that is killed takes
no connection with it that it had not begun.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from app.access.gate import Gate
from app.api.processes import child
from app.api.processes.channel import Channel
from app.api.processes.shares import settings_of_each
from app.errors import BackendError, EquipotError, Unavailable
from app.service.sums import Sums
from app.settings import Settings

BACKLOG = 2048
AGAIN_AFTER = 1.0
"""Seconds after which a child that has ended is replaced."""
DEPLOYMENT = "deployment.json"

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Child:
    """One child.

    Attributes:
        process: of it.
        connections: over which it gets them.
        channel: to it.
        open: connections that it has.
        listens: whether it takes them.
        is_ready: whether its models are loaded.
        page: its metrics, as it told them last.
    """

    process: BaseProcess
    connections: socket.socket
    channel: Channel = field(init=False)
    open: int = 0
    listens: bool = False
    is_ready: bool = False
    page: bytes = b""


class Parent:
    """Serves with several processes.

    Args:
        settings: of the service.
        listeners: sockets that are bound to its address.

    Raises:
        InvalidRequest: they cannot be shared, the file of keys is none, or others than this machine
            could ask without a key and nothing says that they may.
    """

    def __init__(self, settings: Settings, listeners: list[socket.socket]) -> None:
        self._listeners = listeners
        Gate(settings.api_keys_file).check_address(settings.host, settings.allow_anonymous)
        self._settings, self._each = settings, settings_of_each(settings)
        self._children: list[_Child] = []
        self._sums = Sums()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_stopping = False
        self._has_failed = False

    def run(self) -> int:
        """Serve until a signal ends it.

        Returns:
            0, or 1 where a process did not start.
        """
        return asyncio.run(self._serve())

    async def _serve(self) -> int:
        loop = asyncio.get_running_loop()
        self._ended, self._some_listen = asyncio.Event(), asyncio.Event()
        with ExitStack() as stack:
            if self._each.deployment_file is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="equipot-"))
                self._each = self._each.model_copy(
                    update={"deployment_file": Path(folder) / DEPLOYMENT}
                )
            for listener in self._listeners:
                listener.listen(BACKLOG)
                listener.setblocking(False)
                address = listener.getsockname()
                log.info("listening on http://%s:%s", address[0], address[1])
                self._each = self._each.model_copy(update={"port": address[1]})
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop)
            loop.add_signal_handler(signal.SIGHUP, self._signal, signal.SIGHUP)
            for _ in range(self._settings.processes):
                self._start()
            accepting = [loop.create_task(self._accept(listener)) for listener in self._listeners]
            await self._ended.wait()
            for task in (*accepting, *self._tasks):
                task.cancel()
        return int(self._has_failed)

    def _start(self) -> None:
        """Start one more child."""
        own, others = zip(socket.socketpair(), socket.socketpair(), strict=True)
        process = multiprocessing.get_context("spawn").Process(
            target=child.serve, args=(self._each, *others), name="equipot"
        )
        process.start()
        for each in others:
            each.close()
        messages, connections = own
        connections.setblocking(False)
        new = _Child(process, connections)
        new.channel = Channel(messages, lambda *said: self._hear(new, *said))
        self._children.append(new)
        self._do(new.channel.run())
        asyncio.get_running_loop().add_reader(process.sentinel, self._on_end, new)

    def _do(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_end(self, ended: _Child) -> None:
        """A child has ended: replace it, unless it is the time to."""
        asyncio.get_running_loop().remove_reader(ended.process.sentinel)
        ended.process.join()
        ended.connections.close()
        self._children.remove(ended)
        self._sums.gone(ended.page)
        some_listen = any(each.listens for each in self._children)
        if not some_listen:
            self._some_listen.clear()
        if not ended.listens and not some_listen and not self._is_stopping:
            log.error("a process did not start (exit code %s)", ended.process.exitcode)
            self._has_failed = True
            self._stop()
        if not self._is_stopping:
            code = ended.process.exitcode
            log.error(
                "process %d has ended (exit code %s), and is replaced", ended.process.pid, code
            )
            self._do(self._replace())
        elif not self._children:
            self._ended.set()

    async def _replace(self) -> None:
        await asyncio.sleep(AGAIN_AFTER)
        if not self._is_stopping:
            self._start()
        elif not self._children:
            self._ended.set()

    def _stop(self) -> None:
        """Have all finish what they have; asked again, not even that."""
        self._signal(signal.SIGINT if self._is_stopping else signal.SIGTERM)
        self._is_stopping = True
        if not self._children:
            self._ended.set()

    def _signal(self, number: signal.Signals) -> None:
        for each in self._children:
            if each.process.pid is not None and each.process.is_alive():
                os.kill(each.process.pid, number)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._some_listen.wait()
            connection, _ = await loop.sock_accept(listener)
            with connection:
                self._hand_over(connection)

    def _hand_over(self, connection: socket.socket) -> None:
        """Give a connection to the child with the fewest, of those that are ready if any is."""
        able = [each for each in self._children if each.listens]
        for one in sorted(able, key=lambda each: (not each.is_ready, each.open)):
            try:
                socket.send_fds(one.connections, [b"c"], [connection.fileno()])
            except OSError as error:  # it is about to end, or has too many that it did not take
                log.warning("process %d takes no connection: %s", one.process.pid, error)
                continue
            one.open += 1
            return
        log.error("a connection is closed, since no process takes it")

    async def _hear(self, asking: _Child, what: str, content: Any) -> Any:
        if what == child.CLOSED:
            asking.open -= 1
        elif what == child.LISTENS:
            asking.listens = True
            self._some_listen.set()
        elif what == child.READY:
            asking.is_ready = True
        elif what == child.METRICS:
            return await self._metrics()
        elif what == child.CHANGED:
            await self._tell_others(asking, content)
        return None

    async def _metrics(self) -> str:
        await asyncio.gather(*(self._look(each) for each in self._children if each.listens))
        return self._sums.text([each.page for each in self._children]).decode()

    async def _look(self, one: _Child) -> None:
        with suppress(Unavailable):  # it has just ended, and what it told last counts
            page: str = await one.channel.ask(child.METRICS)
            one.page = page.encode()

    async def _tell_others(self, changed: _Child, served: list[str]) -> None:
        """Have the others serve what one of them does, under the same names.

        Raises:
            BackendError: one could not; says why.
        """
        others = [each for each in self._children if each is not changed and each.listens]
        asked = (each.channel.ask(child.FOLLOW, served) for each in others)
        results = await asyncio.gather(*asked, return_exceptions=True)
        for result in results:
            if isinstance(result, EquipotError) and not isinstance(result, Unavailable):
                raise BackendError(
                    f"the change is in force in one process, and not in another: {result}; mend "
                    "that, and POST /admin/reload"
                )
            if isinstance(result, BaseException) and not isinstance(result, EquipotError):
                raise result
