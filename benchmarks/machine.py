"""The machine, in words."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """The processor's name and its cores."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores"
