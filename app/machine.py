"""The machine: its processor, and the cores and the memory that this process may use."""

import os
import platform
import resource
import sys
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
MEMORY_INFO = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Of the process, as a container sees it."""
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
    """Bytes that the system, or the control group of the process, would still give."""
    available = _entries(MEMORY_INFO, "MemAvailable")
    free = int(available[0].split()[0]) * 1024 if available else UNKNOWN_MEMORY
    limit, used = CONTROL_GROUP / "memory.max", CONTROL_GROUP / "memory.current"
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdecimal():
        free = min(free, max(0, int(text) - int(used.read_text())))
    return free


def peak_memory() -> int:
    """Bytes, the largest that this process has ever had in memory."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _entries(path: Path, name: str) -> list[str]:
    """What a file of `name: value` lines says under a name; nothing where there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for key, _, value in pairs if key.strip() == name]
