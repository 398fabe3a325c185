"""Requests a second of the service, as a share of what its backend alone does with the best batch.

    python -m benchmarks.service --model organic-xtb --store model_store

One 21-atom molecule a request, over keep-alive connections, by a load generator in a process of its own.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.structures import aspirin

ROW = "{:<34}{:>11}{:>8}{:>9}{:>9}{:>9}{:>9}"


def body(model: str) -> bytes:
    molecule = aspirin()
    symbols = molecule.get_chemical_symbols()
    return json.dumps({"model": model, "symbols": symbols, "positions": molecule.positions.tolist()}).encode()


def backend_alone(store: Path, model: str, threads: int, seconds: float) -> tuple[float, int, float]:
    """Best molecules a second over batch sizes, that batch size, and its processor ms a molecule.

    Neighbour lists are not counted.
    """
    from app.backends import load_backend
    from app.formats.ase_atoms import from_ase
    from app.graph import collate
    from app.neighbors import build_graph
    from app.store import ModelStore

    backend = load_backend(ModelStore(store).load(model), threads=threads)
    graph = build_graph(from_ase(aspirin()), backend.card.cutoff)
    best = (0.0, 0, 0.0)
    for batch in (1, 2, 4, 8, 16, 32, 64, 128):
        graphs = collate([graph] * batch)
        backend(graphs)
        times: list[float] = []
        cpu = time.process_time()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            began = time.perf_counter()
            backend(graphs)
            times.append(time.perf_counter() - began)
        rate = batch / float(np.median(times))
        cpu = 1000 * (time.process_time() - cpu) / batch / len(times)
        print(f"  backend alone, batches of {batch:>3}: {rate:10.0f} molecules/s, {cpu:.2f} ms CPU each")
        best = max(best, (rate, batch, cpu))
    return best


class Service:
    """`equipot serve` as a process."""

    def __init__(self, store: Path, model: str, threads: int) -> None:
        command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--model-store", str(store)]
        command += ["--models", model, "--default-model", model, "--threads", str(threads)]
        began = time.perf_counter()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        log = ""
        for line in self.process.stderr:
            log += line
            if " ready after " in line or " failed after " in line:
                break
        self.ready_after = time.perf_counter() - began
        found = re.search(r"listening on http://[^:]+:(\d+)", log)
        if not found or " ready after " not in log:
            raise SystemExit(log)
        self.port = int(found[1])

    def memory(self) -> float:
        """Resident memory, MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Client(asyncio.Protocol):
    """One keep-alive connection that sends the next request as soon as it has the answer."""

    def __init__(self, request: bytes, latencies: list[float], end: float, done: asyncio.Future[None]) -> None:
        self.request, self.latencies, self.end, self.done = request, latencies, end, done
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        if len(rest) < length:
            return
        if b" 200 " not in head[:20]:
            self.done.set_exception(RuntimeError((head + rest).decode()[:500]))
            self.transport.close()
            return
        self.buffer = b""
        now = time.perf_counter()
        if now < self.end:
            self.latencies.append(now - self.began)
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def load(port: int, request: bytes, clients: int, seconds: float) -> list[float]:
    """Latencies of all requests that `clients` connections had answered within `seconds`."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    waiting = []
    for _ in range(clients):
        done: asyncio.Future[None] = loop.create_future()
        waiting.append(done)
        await loop.create_connection(lambda done=done: Client(request, latencies, end, done), "127.0.0.1", port)
    await asyncio.gather(*waiting)
    return latencies


def generate(options: argparse.Namespace) -> None:
    """The load generator's process: prints its measurements as JSON."""
    import uvloop

    content = body(options.model)
    head = (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    request = head.encode() + content
    warm = uvloop.run(load(options.port, request, options.clients, min(2.0, options.seconds)))
    latencies = uvloop.run(load(options.port, request, options.clients, options.seconds))
    found: dict[str, Any] = {"rate": len(latencies) / options.seconds, "requests": len(latencies) + len(warm)}
    found |= {f"p{p}": float(np.percentile(latencies, p)) * 1000 for p in (50, 90, 99)}
    print(json.dumps(found))


def measure(service: Service, options: argparse.Namespace, clients: int) -> dict[str, float]:
    """One run of the load generator."""
    command = [sys.executable, __file__, "--model", options.model, "--port", str(service.port)]
    command += ["--clients", str(clients), "--seconds", str(options.seconds)]
    before = service.cpu()
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(result.stderr)
    found: dict[str, float] = json.loads(result.stdout)
    return found | {"cpu": 1000 * (service.cpu() - before) / found["requests"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="organic-xtb")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--clients", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.port:
        generate(options)
        return
    best, size, cpu = backend_alone(options.store, options.model, options.threads, options.seconds / 10)
    service = Service(options.store, options.model, options.threads)
    try:
        print(f"{options.model}: ready after {service.ready_after:.2f} s, {service.memory():.0f} MB resident")
        print(ROW.format("", "requests/s", "share", "CPU ms", "p50 ms", "p90 ms", "p99 ms"))
        print(ROW.format(f"backend alone, batches of {size}", f"{best:.0f}", "100%", f"{cpu:.2f}", "", "", ""))
        for clients in (1, 64):
            found = measure(service, options, clients)
            share = f"{found['rate'] / best:.0%}"
            times = [f"{found[name]:.2f}" for name in ("cpu", "p50", "p90", "p99")]
            print(ROW.format(f"service, {clients} clients", f"{found['rate']:.0f}", share, *times))
        print(f"{service.memory():.0f} MB resident afterwards")
    finally:
        service.stop()


if __name__ == "__main__":
    main()
