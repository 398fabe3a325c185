"""The native kernel of Equipot: an Allegro in C++, for the vector instructions of this processor.

It is a C interface (`equipot_kernel.h`, beside this file) in shared libraries, one for each level of
instructions, and depends on no version of Python.
"""

import ctypes
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

LEVELS = ("baseline", "AVX2", "AVX-512")
"""What the libraries are compiled for; a processor with one of them has those before it."""

FOLDER = Path(__file__).parent


def version() -> str:
    """Of this distribution."""
    return metadata.version("equipot-kernel")


@cache
def library(level: str = "") -> ctypes.CDLL:
    """The shared library for a level of `LEVELS`, or for the best one that this processor has.

    Raises:
        OSError: it is not there, or cannot be loaded.
    """
    name = level or best_level()
    return ctypes.CDLL(str(_file(name)))


def _file(level: str) -> Path:
    """The library of a level, whatever the system calls libraries: `.so`, `.dylib`, `.dll`."""
    files = sorted(FOLDER.glob(f"*equipot_kernel_{LEVELS.index(level)}.*"))
    if not files:
        raise OSError(
            f"{FOLDER} has no library for {level} instructions; equipot-kernel has to be built for "
            f"{platform.system()} {platform.machine()}"
        )
    return files[0]


def best_level() -> str:
    """The best level that this processor has.

    Raises:
        OSError: the library is not there, or cannot be loaded.
    """
    return LEVELS[library(LEVELS[0]).equipot_level()]
