"""What our model and a peer have in common: hyperparameters, structures, and the process's settings.

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
SYSTEMS = {"aspirins": [1, 64], "silicon": [5]}
"""Molecules of batches, and repeats of the cubic cells of crystals."""
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
"""Lets glibc keep the memory of large temporaries, which helps torch; set for all alike."""
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads of OpenMP, torch's, sleep while they wait; else they spin, which counts as processor time."""


def environment(processor_time: bool) -> dict[str, str]:
    """Variables that all processes have, by what is measured."""
    return ALLOCATOR | (PASSIVE if processor_time else {})


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Declare the hyperparameters, the device and the threads."""
    for name, value in SIZES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="on the CPU (%(default)s)")


def add_systems(parser: argparse.ArgumentParser) -> None:
    """Declare the structures."""
    for name, value in SYSTEMS.items():
        parser.add_argument(f"--{name}", type=int, nargs="*", default=value)


def as_arguments(options: argparse.Namespace, *others: str) -> list[str]:
    """The hyperparameters, device and threads, and some others, as another process takes them."""
    words = []
    for name in (*SIZES, "device", "threads", *others):
        value = getattr(options, name)
        words.append(f"--{name.replace('_', '-')}")
        words += map(str, value if isinstance(value, list) else [value])
    return words
