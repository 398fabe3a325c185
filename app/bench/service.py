"""The service under load: `equipot serve` in one process, its clients in another."""

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
from pathlib import Path
from threading import Thread
from typing import Any

from app.bench.samples import Sample
from app.errors import BackendError
from app.protocol.document import structure_fields
from app.settings import ENV_PREFIX

LISTENING = re.compile(r"listening on http://.*:(\d+)")
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
        cpu_ms: processor time of the server for a request; none where the system does not say.
    """

    clients: int
    rate: float
    p50: float
    p90: float
    p99: float
    cpu_ms: float | None


class ServerProcess:
    """`equipot serve` as a process, on a free port of this machine.

    Args:
        settings: by name, such as `model_store`; all others come from the environment.

    Attributes:
        pid: of the process.
        port: that it listens on.
        ready_after: seconds from the start of the process until it could be asked.

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
        self.port = self._until_ready()
        self.ready_after = time.perf_counter() - began
        self._drain = Thread(target=deque, args=(self._process.stderr, 0))
        self._drain.start()

    def _until_ready(self) -> int:
        assert self._process.stderr is not None
        log = ""
        for line in self._process.stderr:
            log += line
            is_ready = " ready after " in log and LISTENING.search(log)  # in either order
            if is_ready or " failed after " in line:
                break
        listening = LISTENING.search(log)
        if listening is None or " ready after " not in log:
            self._process.kill()
            self._process.wait()
            self._process.stderr.close()
            raise BackendError(f"the service did not start:\n{log}")
        return int(listening[1])

    def memory_mb(self) -> float | None:
        """Resident memory; none where the system does not say."""
        status = Path(f"/proc/{self.pid}/status")
        resident = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.is_file() else None
        return int(resident[1]) * 1024 / 1e6 if resident else None

    def cpu_seconds(self) -> float | None:
        """Processor time so far; none where the system does not say."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.is_file():
            return None
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

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
