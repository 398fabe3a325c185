"""Load on the service: connections that send the next request once they have the answer.

    python -m app.bench.load --port 8000 --clients 64 --seconds 10 < bodies.json

A process of its own; takes a JSON list of request bodies and prints a `Load` as JSON.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle, islice
from typing import cast

import numpy as np

HEAD = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
WARM = 2.0
"""Seconds of load, at most, that are not counted."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients saw.

    Attributes:
        requests: that were answered, those before the measurement included.
        rate: requests a second.
        p50: ms, as the next two: that many percent of the answers took no longer.
        p90: the same.
        p99: the same.
        client_cpu_ms: processor time of this process for a request.
    """

    requests: int
    rate: float
    p50: float
    p90: float
    p99: float
    client_cpu_ms: float


class Client(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, requests: Sequence[bytes], first: int, end: float) -> None:
        self.requests = islice(cycle(requests), first, None)
        self.end = end
        self.latencies: list[float] = []
        self.done: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of no common class
        self.send()

    def send(self) -> None:
        """Send the next request."""
        self.began = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        """Note how long the answer took, once it is complete, and go on."""
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not separator or length is None or len(rest) < int(length[1]):
            return
        self.buffer = b""
        now = time.perf_counter()
        if b" 200 " not in head[:20]:
            self.done.set_exception(RuntimeError((head + rest).decode()[:500]))
            self.transport.close()
            return
        self.latencies.append(now - self.began)
        if now < self.end:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, or a server that is gone."""
        if not self.done.done():
            self.done.set_result(self.latencies)


async def load(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> list[float]:
    """Latencies, in s, of what so many connections asked for in this time; at least one each.

    Raises:
        RuntimeError: an answer that is not 200; quotes it.
    """
    loop = asyncio.get_running_loop()
    end = time.perf_counter() + seconds
    makers = [partial(Client, requests, number, end) for number in range(clients)]
    connections = [loop.create_connection(maker, "127.0.0.1", port) for maker in makers]
    protocols = [protocol for _, protocol in await asyncio.gather(*connections)]
    each = await asyncio.gather(*(protocol.done for protocol in protocols))
    return [latency for latencies in each for latency in latencies]


def measure(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Load for some seconds, and before that for a while that is not counted."""
    import uvloop

    before = time.process_time()
    warm = uvloop.run(load(port, requests, clients, min(WARM, seconds)))
    began = time.perf_counter()
    latencies = uvloop.run(load(port, requests, clients, seconds))
    taken = time.perf_counter() - began
    answered = len(warm) + len(latencies)
    cpu_ms = 1000 * (time.process_time() - before) / answered
    p50, p90, p99 = (1000 * float(np.percentile(latencies, share)) for share in (50, 90, 99))
    return Load(answered, len(latencies) / taken, p50, p90, p99, cpu_ms)


def main() -> None:
    """Read the bodies, measure, print."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    bodies = [json.dumps(body).encode() for body in json.load(sys.stdin)]
    requests = [HEAD.format(len(body)).encode() + body for body in bodies]
    print(json.dumps(asdict(measure(options.port, requests, options.clients, options.seconds))))


if __name__ == "__main__":
    main()
