"""ONNX Runtime, imported when it is asked for: which distribution is installed, and which device it really uses."""

import importlib
import os
from importlib import metadata
from types import ModuleType
from typing import Protocol

from app.errors import BackendError

EXTRAS = {"onnxruntime": "cpu", "onnxruntime-gpu": "gpu"}
"""The extra of equipot that installs each distribution; both install the import package `onnxruntime`."""
PROVIDERS = {"cpu": ("CPUExecutionProvider",), "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider")}
"""What a session of each device asks for, in order; the first one is what the device is for."""

SHORTAGE = (
    "failed to allocate memory",  # the arena of a device, bfc_arena.cc
    "out of memory",  # CUDA failure 2
    "bad allocation",
    "bad_alloc",
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED and CUDNN_STATUS_ALLOC_FAILED
)
"""What ONNX Runtime and the libraries under it say when memory does not suffice; no class of errors says so."""

TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Official builds report usage to their makers over the network unless this variable is 1 before the import."""


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that is looked at here."""

    def get_providers(self) -> list[str]:
        """Execution providers that the session got, the preferred one first."""
        ...


def require_onnxruntime(device: str = "cpu") -> ModuleType:
    """The module `onnxruntime`, from the one distribution that is installed, with its telemetry off.

    Whoever wants the telemetry sets `ORT_DISABLE_TELEMETRY=0`.

    Args:
        device: `cpu` or `cuda`; for `cuda`, the CUDA and cuDNN libraries of Python packages are loaded first.

    Raises:
        BackendError: neither or both of `onnxruntime` and `onnxruntime-gpu` are installed (they overwrite each
            other's files), or the installed one is broken; the message says what to run.
    """
    providers_for(device)
    installed = _only_distribution()
    os.environ.setdefault(TELEMETRY, "1")
    try:
        module = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise BackendError(f"'{installed}' is installed but cannot be imported: {error}") from error
    if not hasattr(module, "InferenceSession"):
        raise BackendError(
            f"'{installed}' is installed but its files are not; run: pip install --force-reinstall {installed}"
        )
    if device == "cuda" and installed == "onnxruntime-gpu":
        module.preload_dlls()
    return module


def providers_for(device: str) -> list[str]:
    """The execution providers to ask for when a session is made.

    Raises:
        BackendError: no such device.
    """
    if device not in PROVIDERS:
        raise BackendError(f"device '{device}' is unknown; choose one of: {', '.join(PROVIDERS)}")
    return list(PROVIDERS[device])


def check_providers(session: Session, device: str) -> None:
    """Make sure that a session runs where it was asked to: the runtime falls back to the CPU without an error.

    Raises:
        BackendError: the device's provider is not the session's first one.
    """
    wanted = providers_for(device)[0]
    got = session.get_providers()
    if got[:1] == [wanted]:
        return
    raise BackendError(
        f"device '{device}' needs {wanted}, but ONNX Runtime has only {', '.join(got) or 'nothing'}; {_remedy(device)}"
    )


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of the runtime says that memory did not suffice."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in SHORTAGE)


def distribution() -> str:
    """Name and version of the installed runtime.

    Raises:
        BackendError: as for `require_onnxruntime`.
    """
    name = _only_distribution()
    return f"{name} {metadata.version(name)}"


def _only_distribution() -> str:
    found = [name for name in EXTRAS if _is_installed(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BackendError(
            "ONNX Runtime is not installed; run: pip install 'equipot[cpu]', or 'equipot[gpu]' for CUDA, not both"
        )
    raise BackendError(
        "both 'onnxruntime' and 'onnxruntime-gpu' are installed and have overwritten each other's files; "
        "run: pip uninstall -y onnxruntime onnxruntime-gpu, then pip install one of 'equipot[cpu]' and 'equipot[gpu]'"
    )


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _remedy(device: str) -> str:
    if device != "cuda":
        return "reinstall ONNX Runtime"
    if not _is_installed("onnxruntime-gpu"):
        return "replace the CPU runtime: pip uninstall -y onnxruntime, then pip install 'equipot[gpu]'"
    return "check that the NVIDIA driver, CUDA and cuDNN can be loaded (nvidia-smi), or choose device 'cpu'"
