"""Commands that run side by side, each with one thread on a core of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
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
    """

    name: str
    command: Sequence[str]
    log: Path


def equipot(*words: str | Path) -> list[str]:
    """A command of our own command line."""
    return [sys.executable, "-m", "app.cli.main", *map(str, words)]


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
    running = Running(cores[:processes])
    with ThreadPoolExecutor(processes) as pool:
        found = pool.map(running.run, jobs)
        try:
            statuses = list(found)
        except BaseException:
            running.stop()
            raise
    return [job for job, status in zip(jobs, statuses, strict=True) if status]


class Running:
    """Commands that run, each on one of some cores; one is started only when a core is free."""

    def __init__(self, cores: Sequence[int]) -> None:
        self.free: SimpleQueue[int] = SimpleQueue()
        for core in cores:
            self.free.put(core)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.lock, self.stopped = threading.Lock(), False

    def run(self, job: Job) -> int:
        """Run a command to its end; returns its status."""
        core = self.free.get()
        try:
            with self.lock:
                if self.stopped:
                    return 1
                process = start(job, core)
                self.processes.append(process)
            status = process.wait()
            say(f"{job.name}: {'done' if status == 0 else f'failed, status {status}'}")
            return status
        finally:
            self.free.put(core)

    def stop(self) -> None:
        """End all that runs, and start nothing more."""
        with self.lock:
            self.stopped = True
            for process in self.processes:
                process.terminate()


def start(job: Job, core: int) -> subprocess.Popen[bytes]:
    """Start a command on a core."""
    say(f"{job.name}: started, see {job.log}")
    job.log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    with job.log.open("ab") as log:
        process = subprocess.Popen(job.command, env=env, stdout=log, stderr=subprocess.STDOUT)
    with suppress(ProcessLookupError):  # it may have ended already
        os.sched_setaffinity(process.pid, {core})
    return process


def say(text: str) -> None:
    """Tell people."""
    print(text, file=sys.stderr, flush=True)
