"""ONNX Runtime, imported when asked for: its distribution, and the device it really uses."""

import importlib
import os
from importlib import metadata
from types import ModuleType
from typing import Any, Protocol

from app.backends.device import HOST, Device
from app.errors import BackendError

EXTRAS = {"onnxruntime": "cpu", "onnxruntime-gpu": "gpu"}
"""The extra of equipot that installs each distribution; both bring the package `onnxruntime`."""
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
CUDA_GRAPH_ID = "gpu_graph_id"
"""The entry of a run's options that says which CUDA graph it records or replays."""

TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Official builds report usage over the network unless this variable is 1 before the import."""


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that is looked at here."""

    def get_providers(self) -> list[str]:
        """Execution providers that the session got, the preferred one first."""
        ...

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        """The options in force of each of them."""
        ...


def require_onnxruntime(device: Device = HOST) -> ModuleType:
    """The module `onnxruntime` of the one installed distribution, with its telemetry off.

    Whoever wants the telemetry sets `ORT_DISABLE_TELEMETRY=0`.

    Args:
        device: for a GPU, the CUDA and cuDNN libraries of Python packages are loaded first.

    Raises:
        BackendError: neither or both of `onnxruntime` and `onnxruntime-gpu` are installed (they
            overwrite each other's files), or the installed one is broken; the message says what to
            run.
    """
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
    if device.is_cuda and installed == "onnxruntime-gpu":
        module.preload_dlls()
    return module


def providers_for(device: Device, graphs: bool = False) -> list[Any]:
    """The execution providers to ask for when a session is made, with their options, in order.

    The CPU's stays behind CUDA's: the runtime computes sizes of arrays there, which is faster.
    TF32, the default of CUDA's provider, would round the inputs of float32 products to 10 bits of
    mantissa. Each session's arena of memory grows by what is asked for, not to the next power of
    two, since several sessions share the device.

    Args:
        device: of the session.
        graphs: whether its runs may be recorded and replayed as CUDA graphs.
    """
    if not device.is_cuda:
        return [CPU]
    options = {
        "device_id": str(device.index),
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": str(int(graphs)),
    }
    return [(CUDA, options), CPU]


def check_providers(session: Session, device: Device) -> None:
    """Make sure that a session runs where it was asked to.

    The runtime falls back to the CPU without an error.

    Raises:
        BackendError: the device's provider is not the session's first one, or is on another device.
    """
    wanted, got = CUDA if device.is_cuda else CPU, session.get_providers()
    if got[:1] != [wanted]:
        has = ", ".join(got) or "nothing"
        raise BackendError(
            f"device '{device.name}' needs {wanted}, but ONNX Runtime has only {has}; {_remedy(device)}"
        )
    if device.is_cuda and (number := session.get_provider_options()[CUDA]["device_id"]) != str(
        device.index
    ):
        raise BackendError(
            f"device '{device.name}' was asked for, but ONNX Runtime took device {number}"
        )


def distribution() -> str:
    """Name and version of the installed runtime.

    Raises:
        BackendError: as for `require_onnxruntime`.
    """
    name = _only_distribution()
    return f"{name} {metadata.version(name)}"


def _only_distribution() -> str:
    installed = [name for name in EXTRAS if _is_installed(name)]
    if len(installed) == 1:
        return installed[0]
    if not installed:
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


def _remedy(device: Device) -> str:
    if not device.is_cuda:
        return "reinstall ONNX Runtime"
    if not _is_installed("onnxruntime-gpu"):
        return (
            "replace the CPU runtime: pip uninstall -y onnxruntime, then pip install 'equipot[gpu]'"
        )
    return "check that the NVIDIA driver, CUDA and cuDNN can be loaded (nvidia-smi), or choose device 'cpu'"
