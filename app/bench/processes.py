"""What a process and those that it started have taken of the machine, by `/proc`."""

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Usage(NamedTuple):
    """Of a process and all below it.

    Attributes:
        cpu_seconds: processor time so far, that of processes that have ended included.
        memory_mb: resident now; pages that they share count for each.
    """

    cpu_seconds: float
    memory_mb: float


class _Stat(NamedTuple):
    """One process: its parent, its processor time (s) with that of ended children, its memory (MB)."""

    parent: int
    cpu_seconds: float
    memory_mb: float


def usage(pid: int) -> Usage | None:
    """What a process and those below it take; None where the system does not say."""
    found = _processes()
    if pid not in found:
        return None
    family, queue = [found[pid]], [pid]
    while queue:
        parent = queue.pop()
        children = {each: stat for each, stat in found.items() if stat.parent == parent}
        family += children.values()
        queue += children
    return Usage(sum(stat.cpu_seconds for stat in family), sum(stat.memory_mb for stat in family))


def _processes() -> dict[int, _Stat]:
    """All processes that can be seen."""
    if not PROC.is_dir():
        return {}
    pids = (int(path.name) for path in PROC.iterdir() if path.name.isdecimal())
    return {pid: stat for pid in pids if (stat := _stat(pid)) is not None}


def _stat(pid: int) -> _Stat | None:
    """Of one process; None where it has ended meanwhile."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = sum(map(int, fields[11:15]))  # user and system, its own and its ended children's
    seconds = ticks / os.sysconf("SC_CLK_TCK")
    return _Stat(int(fields[1]), seconds, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
