"""The machine: its processor, and the cores and the memory that this process may use."""

import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CPU_INFO = Path("/proc/cpuinfo")
MEMORY_INFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")
OWN_GROUPS = Path("/proc/self/cgroup")
"""Which control groups the process is in."""
CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where they are mounted: version 2 itself, version 1 with a folder for each controller."""
UNKNOWN_MEMORY = 4 << 30
"""Bytes that are taken to be free where the system does not say."""


def machine() -> str:
    """The processor's name and the cores that the process may use."""
    return f"{processor()}, {cores()} cores"


def processor() -> str:
    """The processor's name, or its kind where the system knows no name."""
    names = _entries(CPU_INFO, "model name")
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """Cores that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_threads(threads: int) -> int:
    """Numerics threads of one evaluation; 0 takes all cores that the process may use."""
    return threads or cores()


def free_memory() -> int:
    """Bytes that the system, the control groups of the process and its own limits would still
    give; the least of these.
    """
    available = _entries(MEMORY_INFO, "MemAvailable")
    system = int(available[0].split()[0]) * 1024 if available else UNKNOWN_MEMORY
    return max(0, min([system, *_left_in_groups(), *_left_of_limits()]))


class _Files(NamedTuple):
    """What the files of a memory controller are called."""

    limit: str
    used: str
    unused_pages: str


_FILES = {
    1: _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: _Files("memory.max", "memory.current", "inactive_file"),
}
_INHERITED = "hierarchical_memory_limit"
"""Version 1: the least limit of a group and all that contain it, whether they can be seen or not."""


def _left_in_groups() -> Iterator[int]:
    """What each group with a limit has left: that of the process, and all that contain it.

    Pages of files that nothing uses are given back when memory is short, so that they count as
    free.
    """
    for version, group in _groups():
        files = _FILES[version]
        limit, used = _number(group / files.limit), _number(group / files.used)
        if limit is not None and used is not None:
            counters = _counters(group / "memory.stat")
            limit = min(limit, counters.get(_INHERITED, limit))
            yield limit - used + counters.get(files.unused_pages, 0)


def _groups() -> Iterator[tuple[int, Path]]:
    """Version and folder of the groups of the process that can be seen, and of those around them.

    In a container the path may be that of the host, which is not there; the root is the container's
    then.
    """
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.is_file() else ["0::/", "1:memory:/"]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        version, root = (1, CONTROL_GROUPS / "memory") if controllers else (2, CONTROL_GROUPS)
        group = root / path.strip("/")
        if ".." in group.parts or not group.is_dir():
            group = root
        yield from (
            (version, each) for each in (group, *group.parents) if each.is_relative_to(root)
        )


def _left_of_limits() -> Iterator[int]:
    """What the limits of the process's own memory leave, as `ulimit` sets them."""
    for name, limit in (("VmSize", resource.RLIMIT_AS), ("VmData", resource.RLIMIT_DATA)):
        most, used = resource.getrlimit(limit)[0], _entries(STATUS, name)
        if most != resource.RLIM_INFINITY and used:
            yield most - int(used[0].split()[0]) * 1024


def _number(path: Path) -> int | None:
    """What a file of one number says; None where there is none, or a word as in `max`."""
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdecimal() else None


def _counters(path: Path) -> dict[str, int]:
    """What a file of `name value` lines says; nothing where there is none."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {name: int(value) for name, _, value in (line.partition(" ") for line in lines)}


def resident_memory() -> int | None:
    """Bytes that this process has in memory; None where the system does not say."""
    resident = _entries(STATUS, "VmRSS")
    return int(resident[0].split()[0]) * 1024 if resident else None


def peak_memory() -> int:
    """Bytes, the largest that this process has ever had in memory."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _entries(path: Path, name: str) -> list[str]:
    """What a file of `name: value` lines says under a name; nothing where there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for key, _, value in pairs if key.strip() == name]
