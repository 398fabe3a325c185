"""64 clients, some of which may misbehave."""

import asyncio
import contextlib
import math
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tests.soak.bad import Bad
from tests.soak.good import Good
from tests.soak.plan import PATIENCE, Plan
from tests.soak.service import Service


@dataclass
class Phase:
    """What one phase has seen: times in s, sent requests by name, and what was wrong."""

    times: list[float] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    by_model: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        """ms."""
        return 1000 * float(np.percentile(self.times, percent))

    @property
    def settled(self) -> float:
        """MB, resident memory in the last fifth of the phase."""
        return float(np.median(self.memory[-max(1, len(self.memory) // 5) :]))


class Connection:
    """A keep-alive connection that is made when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, content: bytes) -> tuple[int, str, bytes]:
        """Status, head and body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(content)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", head)
        body = await (reader.readexactly(int(length[1])) if length else reader.read())
        return int(head.split()[1]), head, body

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def behave(connection: Connection, request: Good, phase: Phase) -> None:
    """Send a good request, and note what is wrong with its answer."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        status, head, body = await asyncio.wait_for(connection.ask(request.content), PATIENCE)
    except (OSError, EOFError, TimeoutError) as error:
        phase.faults.append(f"{request.name}: no answer: {type(error).__name__}: {error}")
        await connection.close()
        return
    phase.times.append(loop.time() - began)
    model = re.search(r"x-equipot-model: (\S+)", head)
    if status != 200 or model is None:
        phase.faults.append(f"{request.name}: {status}: {body[:300].decode(errors='replace')}")
        return
    phase.by_model[model[1]] += 1
    if fault := request.fault(model[1], body):
        phase.faults.append(f"{request.name}: {fault}")


async def misbehave(port: int, request: Bad, phase: Phase) -> None:
    """Send what is bad over a connection of its own; an answer that is due must be the right one."""
    connection = Connection(port)
    try:
        if not request.status:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.ask(request.content), request.stays)
            return
        status, _, body = await asyncio.wait_for(connection.ask(request.content), PATIENCE)
        if status != request.status or request.told not in body.decode(errors="replace"):
            phase.faults.append(f"{request.name}: {status}: {body[:300].decode(errors='replace')}")
    except (OSError, EOFError, TimeoutError) as error:
        phase.faults.append(f"{request.name}: no answer: {type(error).__name__}: {error}")
    finally:
        await connection.close()


async def load(
    service: Service, plan: Plan, good: list[Good], bad: list[Bad], middle: Callable[[], None]
) -> Phase:
    """One phase. Without bad requests, those who would send them are silent.

    `middle` is called after half the time; where it takes long, the phase does, so that there are
    requests after it.
    """
    phase, loop = Phase(), asyncio.get_running_loop()
    least, end = loop.time() + plan.seconds, math.inf

    async def client(number: int) -> None:
        rng, connection = random.Random(number), Connection(service.port)
        misbehaves = number < plan.misbehaved
        if misbehaves and not bad:
            return
        await asyncio.sleep(rng.uniform(0, plan.interval))
        while (began := loop.time()) < end:
            if misbehaves:
                request: Good | Bad = rng.choice(bad)
                await misbehave(service.port, request, phase)
            else:
                request = rng.choice(good)
                await behave(connection, request, phase)
            phase.sent[request.name] += 1
            await asyncio.sleep(
                max(0.0, began + plan.interval * rng.uniform(0.5, 1.5) - loop.time())
            )
        await connection.close()

    async def watch() -> None:
        nonlocal end
        await asyncio.sleep(plan.seconds / 2)
        await asyncio.to_thread(middle)
        end = max(least, loop.time() + 2 * plan.interval)

    async def weigh() -> None:
        while loop.time() < end:
            phase.memory.append(service.memory())
            await asyncio.sleep(plan.seconds / 100)

    await asyncio.gather(watch(), weigh(), *map(client, range(plan.clients)))
    return phase
