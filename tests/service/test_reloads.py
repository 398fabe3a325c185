"""Many signals are few reloads, and what they were sent for is read."""

import asyncio
import logging

import pytest

from app.service.reloads import Reloads


class Store:
    """Something that is read by reloads that last until `gate` is set."""

    def __init__(self) -> None:
        self.content = 0
        self.read: list[int] = []
        self.at_once = self.most_at_once = 0
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()

    async def reload(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.read.append(self.content)
        self.entered.set()
        await self.gate.wait()
        self.at_once -= 1


def test_while_one_is_made_all_others_are_one() -> None:
    async def main() -> Store:
        store = Store()
        reloads = Reloads(store.reload, interval=0.0)
        reloads.ask()
        await store.entered.wait()
        for store.content in range(1, 2001):
            reloads.ask()
            await asyncio.sleep(0)
        store.entered.clear()
        store.gate.set()
        await store.entered.wait()
        await reloads.stop()
        return store

    store = asyncio.run(main())
    assert store.read == [0, 2000]
    assert store.most_at_once == 1


def test_quick_ones_are_made_once_an_interval() -> None:
    async def main() -> Store:
        store = Store()
        store.gate.set()
        reloads = Reloads(store.reload, interval=60.0)
        for store.content in range(2000):
            reloads.ask()
            await asyncio.sleep(0)
        await asyncio.wait_for(reloads.stop(), 10)
        return store

    assert len(asyncio.run(main()).read) == 1


def test_one_that_fails_is_logged_and_the_next_is_made(caplog: pytest.LogCaptureFixture) -> None:
    made = []

    async def fail() -> None:
        made.append(1)
        raise OSError("the disk is gone")

    async def main() -> None:
        reloads = Reloads(fail, interval=0.0)
        for _ in range(2):
            reloads.ask()
            while len(made) < 1 or reloads.is_waiting:
                await asyncio.sleep(0)
        await reloads.stop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert len(made) == 2
    assert "the disk is gone" in caplog.text
