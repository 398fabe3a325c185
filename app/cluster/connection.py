"""A Ray cluster for the length of a block: one of this machine, or one that runs already."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.errors import InvalidRequest, Unavailable

LOCAL = "local"
"""The address of a cluster that is started here, and ends with the block."""
OBJECT_STORE = 500_000_000
"""Bytes of the store of objects of such a one: what travels is small."""
START_SECONDS = 180
"""That its parts may take to start, on a machine that has other work; Ray's own 30 are few."""
REACH_SECONDS = 5.0
"""After which nobody listens at an address; Ray itself asks for minutes."""
TOKEN = Path("~/.ray/auth_token").expanduser()
"""What Ray makes for clusters that are to be used by their user alone."""
OF_ITS_OWN = {
    "RAY_agent_register_timeout_ms": str(1000 * START_SECONDS),
    "RAY_raylet_start_wait_time_s": str(START_SECONDS),
    "RAY_worker_niceness": "0",  # Ray's 15 would give way to everything else on this machine
}
"""Variables of a cluster that is started here."""


def check_installed() -> None:
    """Whether there can be a cluster: to be asked before anything is read or answered.

    Raises:
        Unavailable: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise Unavailable("--ray: ray is not installed; pip install 'equipot[cluster]'")


@contextmanager
def cluster(address: str, cores: int | None = None) -> Iterator[None]:
    """This process as a driver of a cluster, until the block ends.

    Args:
        address: `local`, `auto` for the one that runs on this machine, `HOST:PORT` of its head, or
            `ray://HOST:PORT` of its client server.
        cores: of a local one; all where not given.

    Raises:
        InvalidRequest: no address.
        Unavailable: no cluster is there, it has another version of Ray or Python, or Ray is not
            installed.
    """
    check_installed()
    if address != LOCAL:
        _check_reachable(address)
    if address != LOCAL and TOKEN.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray joins without it, and is refused
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        for name, value in OF_ITS_OWN.items():
            os.environ.setdefault(name, value)
        quiet |= {"num_cpus": cores, "object_store_memory": OBJECT_STORE}
        quiet |= {"include_dashboard": False}
    try:
        ray.init(address=address, **quiet)
    except Exception as error:  # Ray raises anything, RuntimeError for versions that differ
        raise Unavailable(f"--ray {address}: {_first_lines(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    if address == "auto":
        return
    parts = urlsplit(address if "://" in address else f"ray-head://{address}")
    try:
        place = parts.hostname, parts.port
    except ValueError:
        place = None, None
    if not all(place):
        raise InvalidRequest(
            f"--ray {address}: is no address; local, auto, HOST:PORT or ray://HOST:PORT is expected"
        )
    try:
        socket.create_connection((place[0], place[1]), REACH_SECONDS).close()
    except OSError as error:
        raise Unavailable(
            f"--ray {address}: no cluster answers there ({error.strerror or error}); start one with "
            "`ray start --head`, or say --ray local"
        ) from None


def _first_lines(error: Exception) -> str:
    """What Ray says, as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:6]) or type(error).__name__
