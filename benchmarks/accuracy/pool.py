"""Commands that run side by side, each with one thread on a core of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Job:
    """A command to run.

    Attributes:
        name: for people.
        command: to run; the repository is on the path of Python.
        log: file that takes its output.
        env: beside the variables that make it use one thread.
    """

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)


def equipot(*words: str | Path) -> list[str]:
    """A command of our own command line."""
    return [sys.executable, "-m", "app.cli", *map(str, words)]


def run_all(jobs: Sequence[Job], processes: int) -> list[Job]:
    """Run commands in their order, so many at a time.

    Args:
        jobs: what to run.
        processes: how many at a time, each on a core of its own.

    Returns:
        Those that failed.
    """
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= processes <= len(cores):
        raise SystemExit(f"{processes} processes at a time: there are {len(cores)} cores")
    free: SimpleQueue[int] = SimpleQueue()
    for core in cores[:processes]:
        free.put(core)
    running: dict[str, subprocess.Popen[bytes]] = {}
    lock, stopped = threading.Lock(), threading.Event()

    def run(job: Job) -> int:
        core = free.get()
        try:
            with lock:
                if stopped.is_set():
                    return 1
                print(f"{job.name}: started, see {job.log}", file=sys.stderr, flush=True)
                running[job.name] = _start(job, core)
            status = running[job.name].wait()
            print(f"{job.name}: {'done' if status == 0 else f'failed, status {status}'}", file=sys.stderr, flush=True)
            return status
        finally:
            free.put(core)

    with ThreadPoolExecutor(processes) as pool:
        found = pool.map(run, jobs)
        try:
            statuses = list(found)
        except BaseException:
            with lock:
                stopped.set()
                for process in running.values():
                    process.terminate()
            raise
    return [job for job, status in zip(jobs, statuses, strict=True) if status]


def _start(job: Job, core: int) -> subprocess.Popen[bytes]:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, **ONE_THREAD, **job.env, "PYTHONPATH": str(ROOT)}
    with job.log.open("ab") as log:
        process = subprocess.Popen(job.command, env=env, stdout=log, stderr=subprocess.STDOUT)
    with suppress(ProcessLookupError):  # it may have ended already
        os.sched_setaffinity(process.pid, {core})
    return process
