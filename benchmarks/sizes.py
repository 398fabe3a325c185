"""What our model and a peer have in common: hyperparameters, and the process's settings.

Standard library only.
"""

import argparse

SIZES = {
    "l_max": 2,
    "layers": 2,
    "scalars": 64,
    "tensors": 16,
    "cutoff": 5.0,
    "average_neighbors": 15.0,
}
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
"""Lets glibc keep the memory of large temporaries, which helps torch; set for all alike."""


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Declare the hyperparameters."""
    for name, value in SIZES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)


def size_arguments(options: argparse.Namespace) -> list[str]:
    """The hyperparameters as another process takes them."""
    return [
        text
        for name in SIZES
        for text in (f"--{name.replace('_', '-')}", str(getattr(options, name)))
    ]
