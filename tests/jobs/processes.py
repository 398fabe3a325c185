"""Services in processes of their own, which can be killed."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.paths import ROOT


class Process:
    """A service, a client for it, and the lines of its log.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        own = {name: value for name, value in os.environ.items() if "EQUIPOT" not in name}
        given = {f"EQUIPOT_{name.upper()}": str(value) for name, value in settings.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "serve"],
            cwd=ROOT,
            env=own | given | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        assert self._process.stderr
        for line in self._process.stderr:
            self.log.append(line)
            told = "".join(self.log)
            if "ready after" in told and "listening on" in told:  # in either order
                break
        address = re.search(r"listening on (http://\S+)", "".join(self.log))
        assert address, "".join(self.log)
        self.client = httpx.Client(base_url=address[1], timeout=120)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._end()

    def terminate(self) -> None:
        """Tell it to end, and wait for that."""
        self._process.send_signal(signal.SIGTERM)
        self._end()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))

    def _end(self) -> None:
        self.client.close()
        self._process.wait(60)
        self._reading.join(60)
        assert self._process.stderr
        self._process.stderr.close()

    def _read(self) -> None:
        assert self._process.stderr
        self.log.extend(self._process.stderr)


@contextlib.contextmanager
def served(store: Path, folder: Path, **settings: Any) -> Iterator[Process]:
    """A service for the length of a block, or until it is killed in it."""
    quiet = {"measure": False, "cache": "", "port": 0, "threads": 1}
    known = {"model_store": store, "default_model": "pairs", "jobs_folder": folder, "job_lease": 1}
    process = Process(quiet | known | settings)
    try:
        yield process
    finally:
        process.terminate()
