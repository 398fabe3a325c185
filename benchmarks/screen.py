"""A screen from end to end: molecules through a job, a stream and the command line, beside the
backend alone.

    python -m benchmarks.screen --structures 100000 --records 10000 --threads 2

The stream is sent and read by curl. What durability costs is the difference of job and stream.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import numpy as np
import orjson

from app.atoms.structure import Structure
from app.bench.backend import batch_speeds, best
from app.bench.samples import Sample
from app.bench.service import ServerProcess, served
from app.engine.load import open_backend
from app.engine.potential import PotentialOptions
from app.formats.record import Record
from app.formats.sdf import SdfWriter
from app.store.store import ModelStore
from benchmarks.structures import aspirin
from benchmarks.timing import digits, print_header, print_row
from benchmarks.worker import ROOT

LOOK = 0.1
"""Seconds between two looks at a job or at the memory of the service."""
XYZ = {"Content-Type": "chemical/x-xyz"}


def molecules(count: int) -> Iterator[Structure]:
    """Aspirins, each distorted by 0.05 Å in its own way."""
    one = aspirin()
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(0, 0.05, (len(one), 3))
        yield Structure(one.numbers, one.positions + noise)


class Memory:
    """Resident memory of a service: after a tenth of the structures, and the most there was."""

    def __init__(self, server: ServerProcess) -> None:
        self._server, self._ended = server, Event()
        self.early: float | None = None
        self.most = 0.0

    def look(self, share: float) -> None:
        """Measure, now that a share of the structures has results."""
        now = self._server.memory_mb() or 0.0
        self.most = max(self.most, now)
        if self.early is None and share >= 0.1:
            self.early = now

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Measure again and again for the length of a block."""

        def watch() -> None:
            while not self._ended.wait(LOOK):
                self.look(0.0)

        thread = Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def __str__(self) -> str:
        return f"{self.early or self.most:.0f} → {self.most:.0f}"


def job(server: ServerProcess, path: Path, count: int) -> tuple[float, float, Memory]:
    """Seconds until the first result and until the last, from the submission on."""
    memory, first = Memory(server), None
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=600) as client:
        began = time.perf_counter()
        with path.open("rb") as body:
            url = client.post("/jobs", content=body, headers=XYZ).raise_for_status()
        place = url.headers["Location"]
        while True:
            shown = client.get(place).json()
            if (
                first is None
                and client.get(f"{place}/results?limit=1&format=json").json()["results"]
            ):
                first = time.perf_counter() - began
            memory.look(1.0 - shown["left"] / count)
            if shown["state"] == "done":
                assert shown["done"] == count, shown
                return first or 0.0, time.perf_counter() - began, memory
            time.sleep(LOOK)


def stream(server: ServerProcess, path: Path, count: int) -> tuple[float, float, Memory]:
    """The same of a stream of lines."""
    memory, results, first = Memory(server), 0, None
    command = ["curl", "-sSN", "-X", "POST", "-T", str(path)]
    command += ["-H", "Content-Type: application/x-ndjson"]
    began = time.perf_counter()
    with (
        subprocess.Popen(
            [*command, f"http://127.0.0.1:{server.port}/predict"], stdout=subprocess.PIPE
        ) as curl,
        memory.watched(),
    ):
        assert curl.stdout is not None
        for line in curl.stdout:
            if b'"status":"ok"' in line:
                first = first or time.perf_counter() - began
                results += 1
                if results == count // 10:
                    memory.look(0.1)
    assert results == count, f"{results} of {count} results"
    return first or 0.0, time.perf_counter() - began, memory


def command_line(options: argparse.Namespace, path: Path, output: Path) -> tuple[float, float]:
    """Seconds that `equipot predict` takes, and the most memory that it had, MB."""
    command = [sys.executable, "-m", "app.cli.main", "predict", str(path), "--output", str(output)]
    command += ["--model", options.model, "--threads", str(options.threads)]
    began = time.perf_counter()
    subprocess.run([*command, "--model-store", options.model_store], check=True, cwd=ROOT)
    seconds = time.perf_counter() - began
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6


def write_inputs(folder: Path, structures: int, records: int) -> tuple[Path, Path, Path]:
    """Molecules as XYZ, as lines of JSON, and some as SDF."""
    xyz, lines, sdf = folder / "in.xyz", folder / "in.ndjson", folder / "in.sdf"
    with xyz.open("w") as frames, lines.open("wb") as items:
        for number, molecule in enumerate(molecules(structures)):
            rows = zip(molecule.symbols, molecule.positions.tolist(), strict=True)
            atoms = "\n".join(f"{s} {x:.6f} {y:.6f} {z:.6f}" for s, (x, y, z) in rows)
            frames.write(f"{len(molecule)}\nid={number}\n{atoms}\n")
            item = {"id": str(number), "symbols": list(molecule.symbols)}
            items.write(orjson.dumps(item | {"positions": molecule.positions.tolist()}) + b"\n")
    writer = SdfWriter()
    with sdf.open("wb") as file:
        for number, molecule in enumerate(molecules(records)):
            file.write(writer.add(Record(molecule, str(number))))
    return xyz, lines, sdf


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--structures", type=int, default=100_000, help="of job and stream")
    parser.add_argument("--records", type=int, default=10_000, help="of the SDF")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each size of a batch")
    parser.add_argument("--model", default="organic-xtb")
    parser.add_argument("--model-store", default=str(ROOT / "model_store"))
    options = parser.parse_args(arguments)
    loaded = ModelStore(Path(options.model_store)).load(options.model)
    backend = open_backend(loaded, PotentialOptions(threads=options.threads))
    sample = Sample("aspirin", list(molecules(128)))
    alone = best(batch_speeds(backend, sample, options.seconds))
    print_header(["", "structures/s", "share", "first result, s", "CPU ms each", "memory, MB"])
    print_row(["backend alone", digits(alone.rate), "100 %", "", digits(alone.cpu_ms), ""])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        xyz, lines, sdf = write_inputs(folder, options.structures, options.records)
        settings = {
            "model_store": options.model_store,
            "default_model": options.model,
            "threads": options.threads,
            "jobs_folder": folder / "jobs",
        }
        each: dict[str, tuple[float, float]] = {}
        for way, measure, path in (("job", job, xyz), ("stream", stream, lines)):
            with served(settings) as server:
                before = server.cpu_seconds() or 0.0
                first, seconds, memory = measure(server, path, options.structures)
                cpu = ((server.cpu_seconds() or 0.0) - before) * 1e3 / options.structures
            rate = options.structures / seconds
            each[way] = 1e3 / rate, cpu
            share = f"{100 * rate / alone.rate:.0f} %"
            print_row([way, digits(rate), share, f"{first:.2f}", digits(cpu), memory])
        seconds, most = command_line(options, sdf, folder / "out.sdf")
        rate = options.records / seconds
        share = f"{100 * rate / alone.rate:.0f} %"
        print_row(
            [
                f"`equipot predict`, {options.records} records",
                digits(rate),
                share,
                "",
                "",
                f"{most:.0f}",
            ]
        )
    wall, cpu = (ours - theirs for ours, theirs in zip(each["job"], each["stream"], strict=True))
    print(f"\nDurability: {wall:+.3f} ms a structure, {cpu:+.3f} ms of processor time.")


if __name__ == "__main__":
    main()
