"""Asking the service for a tool, with errors as a model can act on them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from app.integrations.mcp.given import Given, items_of
from app.integrations.mcp.kept import Kept
from equipot import AsyncClient, Results, Retry, calls, errors
from equipot.structures import Item

Connect: TypeAlias = Callable[[Mapping[str, str]], AsyncClient]
"""A client of the service, with headers of all its requests."""
FORWARDED = ("authorization",)
"""Headers of a caller with which the service is asked for them."""
PATIENCE = Retry(attempts=3, longest_wait=3.0)
"""Of clients: who waits for a tool is told soon."""
NEXT: Mapping[type[errors.EquipotError], str] = {
    errors.UnknownModel: "list_models has the names",
    errors.UnsupportedElement: "list_models says which elements each model knows",
    errors.Overloaded: "wait, or use submit_job",
    errors.UnknownJob: "jobs that have ended are removed after a while; submit it again",
    errors.ConnectionFailed: "is the service running? Tell the user",
}
"""What to do after an error."""


class Asking:
    """Whom the tools ask.

    Args:
        connect: makes clients.
        files: whether the caller's files are those of this machine.

    Attributes:
        kept: answers that were given.
    """

    def __init__(self, connect: Connect, files: bool) -> None:
        self._connect, self.files, self.kept = connect, files, Kept()

    @asynccontextmanager
    async def client(self, context: Context) -> AsyncIterator[AsyncClient]:
        """A client for one call.

        Raises:
            ToolError: what went wrong in the block, and what to do about it.
        """
        sent = context.headers or {}
        headers = {name: sent[name] for name in FORWARDED if name in sent}
        try:
            async with self._connect(headers) as client:
                yield client
        except errors.EquipotError as error:
            raise ToolError(_told(error)) from error
        except (OSError, ValueError) as error:
            raise ToolError(str(error)) from error

    def items(self, structures: list[Given], conformers: int = 1, seed: int = 1) -> list[Item]:
        """Structures as the client sends them; raises `ToolError`."""
        return items_of(structures, self.kept, self.files, conformers, seed)


async def predicted(client: AsyncClient, items: list[Item], options: Mapping[str, Any]) -> Results:
    """The results of one request; a file that cannot be read has its error in its place."""
    asked = {name: value for name, value in options.items() if value is not None}
    return await client.run(calls.predict(items, *calls.asked(None, asked)))


def _told(error: errors.EquipotError) -> str:
    code = f"{error.code}: " if isinstance(error, errors.ServiceError) else ""
    hint = next((NEXT[kind] for kind in type(error).__mro__ if kind in NEXT), None)
    return f"{code}{error}" + (f" ({hint})" if hint else "")
