"""A screen from end to end: molecules through a job, a stream and the command line, beside the
backend alone.

    python -m benchmarks.screen --job 100000 --stream 100000 --records 10000 --threads 1
    python -m benchmarks.screen --write aspirins.xyz --job 200000

The same with `--model lennard-jones`, which takes next to nothing itself, says what all else takes.
Structures are sent and results read by the project's client, in a process of its own. Where other
work runs on the machine, compare processor time. Batches have a fixed size, since what a service
measures on a busy machine is that. What durability costs is the difference of job and stream.
`--pool` has ASE answer one by one.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
import orjson

from app.atoms.structure import Structure
from app.bench.backend import batch_speeds
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
"""Seconds between two looks at the memory of a process."""
ARGON = np.full(4, 18)
TETRAHEDRON = np.array([[0, 0, 0], [2.7, 2.7, 0], [2.7, 0, 2.7], [0, 2.7, 2.7]])
BATCH = 64
"""Structures of a batch, at most."""
CLIENT = """
import sys, time
import orjson
from equipot import Client

url, way, path = sys.argv[1:]
count, began = 0, time.perf_counter()
with Client(url) as client, open(path, "rb") as lines:
    results = (
        client.jobs.results(client.jobs.submit(path))
        if way == "job"
        else client.stream(map(orjson.loads, lines))
    )
    for result in results:
        assert result.ok and result.forces is not None, result
        first = time.perf_counter() - began if not count else first
        count += 1
print(first, time.perf_counter() - began, count)
"""
"""Submits a job and reads its results while it runs, or streams."""
POOL = """
import sys
from concurrent.futures import ProcessPoolExecutor
from ase.io import iread, write
from equipot import EquipotCalculator

def begin(model, store, threads):
    global calculator
    calculator = EquipotCalculator(model, store, threads=int(threads))

def answer(atoms):
    atoms.calc = calculator
    atoms.get_potential_energy(), atoms.get_forces()
    return atoms

given, output, *model = sys.argv[1:]
with ProcessPoolExecutor(1, initializer=begin, initargs=model) as pool, open(output, "w") as file:
    for atoms in pool.map(answer, iread(given, ":", format="extxyz"), chunksize=64):
        write(file, atoms, format="extxyz")
"""
"""The script that people write with ASE: one calculator a process, structures one by one."""


def molecules(count: int, model: str) -> Iterator[Structure]:
    """Aspirins, or four argon atoms for a model of noble gases, each distorted by 0.05 Å in its own
    way.
    """
    one = aspirin() if model != "lennard-jones" else Structure(ARGON, TETRAHEDRON)
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(0, 0.05, (len(one), 3))
        yield Structure(one.numbers, one.positions + noise)


@contextmanager
def watched(*pids: int) -> Iterator[list[list[float]]]:
    """Resident memory of processes, MB, looked at again and again for the length of a block."""
    series: list[list[float]] = [[] for _ in pids]
    ended = Event()

    def watch() -> None:
        while not ended.wait(LOOK):
            for pid, memory in zip(pids, series, strict=True):
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except (FileNotFoundError, ProcessLookupError):  # it has ended
                    continue
                if resident := re.search(r"VmRSS:\s+(\d+) kB", status):
                    memory.append(int(resident[1]) * 1024 / 1e6)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield series
    finally:
        ended.set()
        thread.join()


def course(memory: list[float]) -> str:
    """After a tenth of the time, and the most there was."""
    return f"{memory[len(memory) // 10]:.0f} → {max(memory):.0f}"


def asked(server: ServerProcess, way: str, path: Path) -> tuple[float, float, list[str]]:
    """Seconds until the first result and until the last, and memory of server and client."""
    url = f"http://127.0.0.1:{server.port}"
    command = [sys.executable, "-c", CLIENT, url, way, str(path)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as client,
        watched(server.pid, client.pid) as memory,
    ):
        told, _ = client.communicate()
    first, seconds, _ = map(float, told.split())
    return first, seconds, [course(each) for each in memory]


def python(*arguments: str) -> tuple[float, float, float]:
    """Seconds that Python takes with some arguments, of the clock and of processors, and the most
    memory that it had, MB; with the processes that it has started.
    """
    began = time.perf_counter()
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    seconds = time.perf_counter() - began
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


def write_input(path: Path, way: str, structures: int, model: str) -> None:
    """Molecules as XYZ for a job, as lines of JSON for a stream, or as SDF."""
    sdf = SdfWriter()
    with path.open("wb") as file:
        for number, molecule in enumerate(molecules(structures, model)):
            if way == "sdf":
                file.write(sdf.add(Record(molecule, str(number))))
            elif way == "stream":
                item = {"id": str(number), "symbols": list(molecule.symbols)}
                positions = {"positions": molecule.positions.tolist()}
                file.write(orjson.dumps(item | positions) + b"\n")
            else:
                rows = zip(molecule.symbols, molecule.positions.tolist(), strict=True)
                atoms = "\n".join(f"{s} {x:.6f} {y:.6f} {z:.6f}" for s, (x, y, z) in rows)
                file.write(f"{len(molecule)}\nid={number}\n{atoms}\n".encode())


def print_whole(name: str, count: int, alone: float, used: tuple[float, float, float]) -> None:
    """A row of a process that reads a file and writes one."""
    seconds, cpu, most = used
    row = [name, count, digits(count / seconds), "", digits(1e3 * cpu / count)]
    print_row([*row, f"{100 * alone * count / 1e3 / cpu:.0f} %", "", f"{most:.0f}"])


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--job", type=int, default=100_000, help="structures; 0 leaves it out")
    parser.add_argument("--stream", type=int, default=100_000, help="the same")
    parser.add_argument("--records", type=int, default=10_000, help="of the SDF; the same")
    parser.add_argument("--pool", type=int, default=0, help="by ASE in a pool; the same")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each size of a batch")
    parser.add_argument("--model", default="organic-xtb")
    parser.add_argument("--model-store", default=str(ROOT / "model_store"))
    parser.add_argument("--write", type=Path, help="the file of --job alone, as XYZ; no more")
    options = parser.parse_args(arguments)
    if options.write:
        write_input(options.write, "job", options.job, options.model)
        return
    loaded = ModelStore(Path(options.model_store)).load(options.model)
    backend = open_backend(loaded, PotentialOptions(threads=options.threads))
    sample = Sample("aspirin", list(molecules(128, options.model)))
    alone = min(batch_speeds(backend, sample, options.seconds), key=lambda speed: speed.cpu_ms)
    columns = ["", "structures", "structures/s", "first result, s", "CPU ms each", "share of CPU"]
    print_header([*columns, "server, MB", "client, MB"])
    name = f"backend alone, batches of {alone.structures}"
    print_row([name, "", digits(alone.rate), "", digits(alone.cpu_ms), "100 %", "", ""])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"EQUIPOT_BATCH_STRUCTURES": str(BATCH), "EQUIPOT_MEASURE": "false"}
        settings = {
            "model_store": options.model_store,
            "default_model": options.model,
            "threads": options.threads,
            "jobs_folder": folder / "jobs",
        }
        for way, count in (("job", options.job), ("stream", options.stream)):
            if not count:
                continue
            path = folder / f"{way}.xyz"
            write_input(path, way, count, options.model)
            with served(settings) as server:
                before = server.cpu_seconds() or 0.0
                first, seconds, memory = asked(server, way, path)
                cpu = ((server.cpu_seconds() or 0.0) - before) * 1e3 / count
            row = [way, count, digits(count / seconds), f"{first:.2f}", digits(cpu)]
            print_row([*row, f"{100 * alone.cpu_ms / cpu:.0f} %", *memory])
        if count := options.records:
            write_input(folder / "in.sdf", "sdf", count, options.model)
            given = ["--model-store", options.model_store, "--model", options.model]
            files = [str(folder / "in.sdf"), "--output", str(folder / "out.sdf")]
            command = ["-m", "app.cli.main", "predict", *files, *given]
            used = python(*command, "--threads", str(options.threads))
            print_whole("`equipot predict`", count, alone.cpu_ms, used)
        if count := options.pool:
            write_input(folder / "in.xyz", "job", count, options.model)
            files = [str(folder / "in.xyz"), str(folder / "out.xyz")]
            given = [options.model, options.model_store, str(options.threads)]
            used = python("-c", POOL, *files, *given)
            print_whole("ASE, a process of a pool", count, alone.cpu_ms, used)


if __name__ == "__main__":
    main()
