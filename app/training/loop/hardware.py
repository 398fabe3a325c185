"""The machine: device, threads, memory allocator, and what of it goes into a run's record."""

import ctypes
import os
import platform
import sys

import torch

from app.errors import InvalidConfig
from app.machine import peak_memory, processor
from app.training.runs.config import TrainConfig

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def set_up(config: TrainConfig, local: int = 0) -> torch.device:
    """Choose the device, and set threads, determinism and the allocator for this process.

    Args:
        config: of the run.
        local: number of this process among those of its machine, which have a CUDA device each.

    Raises:
        InvalidConfig: `cuda` or `tf32` on a machine without CUDA, or more processes than devices.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InvalidConfig(
            "device = 'cuda': there is no CUDA device, or torch was built without CUDA; use 'cpu'"
        )
    keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(config.deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    wants_cuda = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    if config.precision == "tf32" and not wants_cuda:
        raise InvalidConfig(
            "precision = 'tf32': only CUDA devices have it; use 'full', or 'bfloat16'"
        )
    if not wants_cuda:
        return torch.device("cpu")
    if local >= torch.cuda.device_count():
        raise InvalidConfig(
            f"process {local} of this machine has no CUDA device of its own; start at most "
            f"{torch.cuda.device_count()}, or set device to 'cpu'"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed memory rather than hand each large block back to the system.

    A training step frees and asks for the same large tensors over and over; giving their pages back
    and faulting them in again can take longer than the arithmetic. Elsewhere than on glibc this
    does nothing.

    Returns:
        Whether the allocator took the settings.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 * 2**20}
    return all(mallopt(parameter, value) == 1 for parameter, value in settings.items())


def describe(device: torch.device) -> dict[str, str | int]:
    """What the run ran on."""
    on_cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_cuda else processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
    }


def peak_mebibytes(device: torch.device) -> float:
    """MiB, the largest that torch has had on the device, or this process in memory where that is
    the CPU.
    """
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_memory()
    return round(peak / 2**20, 1)
