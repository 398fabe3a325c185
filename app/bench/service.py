"""The service under load: `equipot serve`, in one process or several, and its clients in another."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

from app.bench.processes import Usage, usage
from app.bench.samples import Sample
from app.errors import BackendError
from app.protocol.document import structure_fields
from app.settings import ENV_PREFIX

READY = " ready after "
LISTENING = re.compile(r"listening on http://.*:(\d+)")
PROCESSES = f"{ENV_PREFIX}PROCESSES"
PATIENCE = 60.0
"""Seconds that a server gets to end."""


@dataclass(frozen=True, slots=True)
class ServiceSpeed:
    """What clients got that each send one structure a request, one after the other.

    Attributes:
        clients: connections that are kept alive.
        rate: requests a second.
        p50: ms, as the next two: that many percent of the answers took no longer.
        p90: the same.
        p99: the same.
        cpu_ms: processor time of the server, of all its processes, for a request; none where the
            system does not say.
        client_cpu_ms: the same of the process with the clients.
    """

    clients: int
    rate: float
    p50: float
    p90: float
    p99: float
    cpu_ms: float | None
    client_cpu_ms: float


class ServerProcess:
    """`equipot serve`, on a free port of this machine.

    Args:
        settings: by name, such as `model_store`; all others come from the environment.

    Attributes:
        pid: of the process, or with several of their parent.
        port: that it listens on.
        processes: that answer.
        ready_after: seconds from the start of the process until all could be asked.

    Raises:
        BackendError: it did not start; quotes its log.
    """

    def __init__(self, settings: Mapping[str, object]) -> None:
        logs = {"log_level": "info", "log_format": "text"}
        own = {"host": "127.0.0.1", "port": 0, "api_keys_file": "", **logs}
        given = {**settings, **own}
        variables = {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in given.items()}
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "serve"],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | variables,
        )
        self.pid = self._process.pid
        self.processes = int(variables.get(PROCESSES, os.environ.get(PROCESSES, "1")))
        self.port = self._until_ready()
        self.ready_after = time.perf_counter() - began
        self._drain = Thread(target=deque, args=(self._process.stderr, 0))
        self._drain.start()

    def _until_ready(self) -> int:
        assert self._process.stderr is not None
        log = ""
        for line in self._process.stderr:
            log += line
            is_ready = log.count(READY) >= self.processes and LISTENING.search(log)  # in any order
            if is_ready or " failed after " in line:
                break
        listening = LISTENING.search(log)
        if listening is None or log.count(READY) < self.processes:
            self._process.kill()
            self._process.wait()
            self._process.stderr.close()
            raise BackendError(f"the service did not start:\n{log}")
        return int(listening[1])

    def usage(self) -> Usage | None:
        """What its processes take; none where the system does not say."""
        return usage(self.pid)

    def memory_mb(self) -> float | None:
        """Resident memory; none where the system does not say."""
        taken = self.usage()
        return taken and taken.memory_mb

    def cpu_seconds(self) -> float | None:
        """Processor time so far; none where the system does not say."""
        taken = self.usage()
        return taken and taken.cpu_seconds

    def reload(self) -> None:
        """Tell it that the store has changed."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it as a supervisor does."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._drain.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def speed(self, bodies: Sequence[dict[str, Any]], clients: int, seconds: float) -> ServiceSpeed:
        """Load it for some seconds.

        Raises:
            BackendError: a request failed; quotes the answer.
        """
        command = [sys.executable, "-m", "app.bench.load", "--port", str(self.port)]
        command += ["--clients", str(clients), "--seconds", str(seconds)]
        before = self.cpu_seconds()
        done = subprocess.run(
            command, input=json.dumps(bodies), check=False, capture_output=True, text=True
        )
        after = self.cpu_seconds()
        if done.returncode:
            raise BackendError(f"the service did not answer:\n{done.stderr}")
        load = json.loads(done.stdout)
        requests = load.pop("requests")
        cpu_ms = None if before is None or after is None else 1000 * (after - before) / requests
        return ServiceSpeed(clients=clients, cpu_ms=cpu_ms, **load)


@contextmanager
def served(settings: Mapping[str, object]) -> Iterator[ServerProcess]:
    """A server with some settings for the length of a block."""
    server = ServerProcess(settings)
    try:
        yield server
    finally:
        server.stop()


def bodies(sample: Sample) -> list[dict[str, Any]]:
    """Requests of one structure each."""
    return [structure_fields(structure) for structure in sample.structures]
