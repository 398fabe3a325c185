"""The machine, in words."""

import platform
from pathlib import Path

from app.backends import worker_threads


def machine() -> str:
    """The processor's name and the cores that the process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {worker_threads(0)} cores"
