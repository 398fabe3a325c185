"""Child: a server whose connections come from its parent."""

import asyncio
import os
import signal
import socket
from typing import Any

from app.api.processes.channel import Channel
from app.api.server import Server, prepare
from app.settings import Settings

LISTENS, READY, CLOSED = "listens", "ready", "closed"
"""What a child says: it takes connections, its models are loaded, a connection was closed."""
METRICS, CHANGED, FOLLOW = "metrics", "changed", "follow"
"""What is asked: for metrics, to tell the others of a change, and to follow one."""
POLL = 0.05


def serve(settings: Settings, messages: socket.socket, connections: socket.socket) -> None:
    """Serve until a signal, or the end of the parent, ends it; what a child's process runs.

    Args:
        settings: of this process.
        messages: to the parent.
        connections: which the parent hands over.
    """
    os.setsid()  # a signal from the terminal is for the parent, which passes it on
    prepare(settings)
    Child(settings, messages, connections).run()


class Child(Server):
    """A server without a listener, and one of a group."""

    def __init__(
        self, settings: Settings, messages: socket.socket, connections: socket.socket
    ) -> None:
        super().__init__(settings)
        self.service.group = self
        self._connections = connections
        self._connections.setblocking(False)
        self._channel = Channel(messages, self._hear)
        self._tasks: list[asyncio.Task[Any]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        await super().startup([])
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run_channel()), loop.create_task(self._tell())]
        loop.add_reader(self._connections, self._take)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As of a single server; connections are taken until all is answered."""
        await super().shutdown(sockets)
        asyncio.get_running_loop().remove_reader(self._connections)
        for task in self._tasks:
            task.cancel()

    async def metrics(self) -> bytes:
        """See `Group`."""
        page: str = await self._channel.ask(METRICS)
        return page.encode()

    async def changed(self) -> None:
        """See `Group`."""
        await self._channel.ask(CHANGED, list(self.service.models.potentials))

    async def _hear(self, what: str, content: Any) -> Any:
        if what == METRICS:
            return self.service.metrics.text().decode()
        if what == FOLLOW:
            await self.service.models.follow(content)
        return None

    async def _run_channel(self) -> None:
        await self._channel.run()
        self.handle_exit(signal.SIGTERM, None)  # nobody would hand connections over any more

    async def _tell(self) -> None:
        """Tell the parent of the start, as far as it is."""
        while not self._channel.is_open:
            await asyncio.sleep(POLL)
        self._channel.say(LISTENS)
        while not self.service.models.loaded.is_set():
            await asyncio.sleep(POLL)
        self._channel.say(READY)

    def _take(self) -> None:
        """Take over what the parent handed over."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connections, 1, 1)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._connections)
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            connection.setblocking(False)
            self._tasks.append(asyncio.get_running_loop().create_task(self._open(connection)))
            self._tasks = [task for task in self._tasks if not task.done()]

    async def _open(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        channel = self._channel
        own: Any = self.config.http_protocol_class

        class Counted(own):  # type: ignore[misc]
            """Says when it is closed."""

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                if channel.is_open:
                    channel.say(CLOSED)

        protocol: asyncio.Protocol = Counted(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol
