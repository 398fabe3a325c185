"""How long one small request takes beside others: bulk clients, or bodies that nobody should send.

`python -m tests.soak.beside` prints a table: a water, one after the other, while nothing else goes on,
beside 1, 8 and 64 clients that send 1024 single points or 256 relaxations each, and beside hostile
bodies. The service runs in a process of its own, its clients in this one and others.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.synchronize import Event

import httpx
from ase.build import molecule

from app.bench.service import served

SECONDS = 8.0
MODEL = "organic-xtb"


def fields(name: str) -> dict[str, object]:
    atoms = molecule(name)
    return {"symbols": atoms.get_chemical_symbols(), "positions": atoms.positions.tolist()}


def bulk(structures: int, relax: bool) -> bytes:
    body = {"structures": [fields("C6H6")] * structures, "properties": ["energy", "forces"]}
    return json.dumps(body | ({"relax": {"fmax": 1e-9, "steps": 1000}} if relax else {})).encode()


LARGE = 30_000_000
BODIES: dict[str, Callable[[], bytes]] = {
    "1024 molecules": partial(bulk, 1024, False),
    "256 relaxations": partial(bulk, 256, True),
    "30 MB of numbers in symbols": lambda: b'{"symbols":[' + b"1," * (LARGE // 2) + b"1]}",
    "30 MB of empty lists": lambda: b'{"structures":[' + b"[]," * (LARGE // 3) + b"[]]}",
    "30 MB of coordinates": lambda: (
        b'{"symbols":["C"],"positions":[' + b"[1.25,2.25,3.25]," * (LARGE // 17) + b"[0,0,0]]}"
    ),
    "30 MB of XYZ": lambda: b"1000000\n\n" + b"C 1.234567 2.234567 3.234567\n" * (LARGE // 29),
}


def send(port: int, what: str, stop: Event) -> None:
    """Send a body again and again."""
    content = BODIES[what]()
    kind = "chemical/x-xyz" if "XYZ" in what else "application/json"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
        while not stop.is_set():
            answer = client.post("/predict", content=content, headers={"content-type": kind})
            if answer.status_code == 429:
                stop.wait(float(answer.headers["retry-after"]))


@contextmanager
def beside(port: int, what: str | None, clients: int) -> Iterator[None]:
    """Clients that send a body for the length of a block; they begin a second before it."""
    with multiprocessing.Manager() as manager, ProcessPoolExecutor(max(1, clients)) as pool:
        stop = manager.Event()
        running = [pool.submit(send, port, what, stop) for _ in range(clients) if what]
        time.sleep(1.0 if what else 0.0)
        yield
        stop.set()
        for one in running:
            one.cancel()
        for process in list(pool._processes.values()):
            process.terminate()


def waits(port: int, seconds: float) -> tuple[list[float], int]:
    """Milliseconds of each of the small requests within some seconds, and how many were refused."""
    body, took, refused = json.dumps(fields("H2O")).encode(), [], 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            answer = client.post("/predict", content=body)
            took.append(1000 * (time.perf_counter() - began))
            refused += answer.status_code != 200
            time.sleep(0.01)
    return took, refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each row")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64], help="of bulk")
    parser.add_argument("--threads", type=int, default=1, help="numerics threads of the service")
    options = parser.parse_args()
    rows: list[tuple[str | None, int]] = [(None, 0)]
    rows += [(what, n) for what in list(BODIES)[:2] for n in options.clients]
    rows += [(what, 1) for what in list(BODIES)[2:]]
    settings = {"models": MODEL, "default_model": MODEL, "threads": options.threads, "cache": ""}
    print("| beside | clients | requests | median ms | 99 % ms | longest ms | refused |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for what, clients in rows:
        with served(settings) as server, beside(server.port, what, clients):
            took, refused = waits(server.port, options.seconds)
        took.sort()
        shown = (statistics.median(took), took[int(0.99 * (len(took) - 1))], took[-1])
        numbers = " | ".join(f"{number:.1f}" for number in shown)
        print(
            f"| {what or 'nothing'} | {clients} | {len(took)} | {numbers} | {refused} |", flush=True
        )


if __name__ == "__main__":
    main()
