"""Channel: questions and answers between two processes, lines of JSON over a socket."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import orjson

from app.errors import BackendError, EquipotError, Unavailable

LONGEST = 64_000_000
"""Bytes of a line, at most."""


class Channel:
    """One end; belongs to one event loop.

    Args:
        connection: to the other end.
        hear: is told what the other end says, with what belongs to it, and gives the answer if it
            asks.
    """

    def __init__(
        self, connection: socket.socket, hear: Callable[[str, Any], Awaitable[Any]]
    ) -> None:
        self._connection, self._hear = connection, hear
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        """Whether the other end can be told something."""
        return self._writer is not None and not self._writer.is_closing()

    async def run(self) -> None:
        """Hear what the other end says, until it is gone."""
        reader, self._writer = await asyncio.open_unix_connection(
            sock=self._connection, limit=LONGEST
        )
        try:
            while line := await reader.readline():
                self._take(orjson.loads(line))
        except ConnectionError:
            return  # the other process was killed
        finally:
            self._writer.close()
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(Unavailable("a process of the service has ended"))

    def say(self, what: str) -> None:
        """Tell the other end something."""
        self._send({"what": what})

    async def ask(self, what: str, content: object = None) -> Any:
        """What the other end answers.

        Args:
            what: is asked.
            content: what belongs to it, as JSON can hold it.

        Raises:
            BackendError: it could not; says why.
            Unavailable: it is gone.
        """
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._send({"what": what, "content": content, "number": number})
        try:
            return await self._asked[number]
        finally:
            del self._asked[number]

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer is None or not self.is_open:
            raise Unavailable("a process of the service has ended")
        self._writer.write(orjson.dumps(message) + b"\n")

    def _take(self, message: dict[str, Any]) -> None:
        if "what" in message:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (waiting := self._asked.get(message["number"])) is not None and not waiting.done():
            if "error" in message:
                waiting.set_exception(BackendError(message["error"]))
            else:
                waiting.set_result(message["answer"])

    async def _answer(self, message: dict[str, Any]) -> None:
        number = message.get("number")
        try:
            told = {"answer": await self._hear(message["what"], message.get("content"))}
        except EquipotError as error:
            told = {"error": str(error)}
        if number is not None and self.is_open:
            self._send({**told, "number": number})
