"""Window: how many structures of a long run are under way at a time."""

import asyncio
from collections.abc import Callable

from app.service.load import Load


class Window:
    """Room for structures under way, of all who share it; belongs to one event loop."""

    def __init__(self) -> None:
        self._load = Load()
        self._left = asyncio.Event()

    async def enter(self, atoms: int, most: Callable[[], Load]) -> None:
        """Wait for a place; `most` says how much there may be."""
        while not self._load.below(most()):
            self._left.clear()
            await self._left.wait()
        self._load.add(atoms)

    def leave(self, atoms: int) -> None:
        """Give a place back."""
        self._load.remove(atoms)
        self._left.set()
