"""What there is: packages, drivers, devices, and which device ONNX Runtime really takes."""

import importlib
import platform
import shutil
import subprocess
from collections import Counter
from importlib import metadata
from types import ModuleType

from benchmarks.gpu_parts.report import Report, Setup

PACKAGES = {
    "numpy": "everything",
    "ase": "everything",
    "pydantic": "everything",
    "pydantic_settings": "everything",
    "orjson": "everything",
    "vesin": "crystals and structures of more than 300 atoms",
    "onnxruntime": "everything but eager torch and training",
    "torch": "eager models, training, and making artifacts",
    "e3nn": "the same",
    "onnx": "making artifacts",
    "onnxscript": "making artifacts",
    "uvicorn": "service",
    "uvloop": "service",
    "fastapi": "service",
    "ormsgpack": "service",
    "yaml": "training",
    "tqdm": "training",
    "torch_sim": "relaxation beside TorchSim",
}
"""By import name: what needs it."""


def absent() -> dict[str, str]:
    """Packages that cannot be imported, and why."""
    found = {}
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except Exception as error:  # a package that is there and broken raises anything
            found[name] = f"{type(error).__name__}: {error}"
    return found


def measure(setup: Setup) -> Report:
    """Versions and devices; fails where a GPU was asked for and ONNX Runtime does not use it."""
    report = Report(("what", "found"))
    for name, why in absent().items():
        report.lacks(f"package {name}, for {PACKAGES[name]}", why)
    report.rows += [("python", platform.python_version()), ("system", platform.platform())]
    report.rows += [(name, _version(name)) for name in PACKAGES]
    report.rows += [("nvidia-smi", line) for line in _nvidia_smi()]
    for what, look in (("torch", _torch), ("onnxruntime", _onnxruntime)):
        try:
            report.rows += look()
        except Exception as error:
            report.lacks(what, error)
    try:
        report.rows += _session(setup)
    except Exception as error:
        report.lacks(f"a session on {setup.device}", error)
        report.failed = setup.device != "cpu"
    return report


def _version(name: str) -> str | None:
    for distribution in (
        name,
        f"{name}-gpu",
        {"yaml": "pyyaml", "torch_sim": "torch-sim-atomistic"}.get(name, name),
    ):
        try:
            return f"{distribution} {metadata.version(distribution)}"
        except metadata.PackageNotFoundError:
            continue
    return None


def _nvidia_smi() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return ["not there"]
    query = [
        "nvidia-smi",
        "--query-gpu=index,name,driver_version,memory.total",
        "--format=csv,noheader",
    ]
    done = subprocess.run(query, check=False, capture_output=True, text=True, timeout=60)
    return (done.stdout or done.stderr).strip().splitlines()


def _torch() -> list[tuple[str, str]]:
    import torch

    rows = [("torch's CUDA", str(torch.version.cuda))]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            found = torch.cuda.get_device_properties(index)
            rows.append(
                (f"torch's cuda:{index}", f"{found.name}, {found.total_memory / 2**30:.0f} GiB")
            )
    return rows


def _onnxruntime() -> list[tuple[str, str]]:
    from app.backends.onnx_runtime import require_onnxruntime

    return [
        ("providers that are listed", ", ".join(require_onnxruntime().get_available_providers()))
    ]


def _session(setup: Setup) -> list[tuple[str, str]]:
    """Which providers a session of the bundled model has, and which of its nodes they got."""
    from app.backends.device import Device
    from app.backends.onnx_runtime import (
        check_providers,
        providers_for,
        require_onnxruntime,
    )
    from app.store.store import ModelStore

    device = Device.of(setup.device)
    runtime = require_onnxruntime(device)
    path = ModelStore(setup.options.store).load(setup.options.model).folder / "model.onnx"
    options = runtime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = runtime.InferenceSession(str(path), options, providers=providers_for(device))
    check_providers(session, device)
    rows = [("providers of a session", ", ".join(session.get_providers()))]
    return [*rows, *_placed(session, runtime)]


def _placed(session: object, runtime: ModuleType) -> list[tuple[str, str]]:
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return [("nodes by provider", f"not told by ONNX Runtime {runtime.__version__}")]
    placed: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        placed.setdefault(part.ep_name, Counter()).update(node.op_type for node in part.get_nodes())
    return [
        (
            f"nodes on {name}",
            f"{kinds.total()}: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()),
        )
        for name, kinds in placed.items()
    ]
