"""How the C library's allocator treats the large, short-lived arrays of training steps."""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
LARGEST = 2**31 - 1
"""Bytes; the largest value that it takes."""


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next step, up to 2 GiB.

    By default it gives large arrays back to the system, which hands them out anew page by page. It is
    left alone where the environment says something (`MALLOC_…`), and where there is no glibc.
    """
    stated = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"} & os.environ.keys()
    if sys.platform != "linux" or stated:
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(TRIM_THRESHOLD, LARGEST)
        library.mallopt(MMAP_THRESHOLD, LARGEST)
