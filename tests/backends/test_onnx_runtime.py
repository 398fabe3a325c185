"""ONNX Runtime's two distributions, faked by metadata folders and stub modules on the import path."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import pytest

from app.backends.device import Device
from app.backends.onnx_runtime import (
    CUDA,
    check_providers,
    providers_for,
    require_onnxruntime,
)
from app.errors import BackendError

WORKING = "class InferenceSession: ...\nloaded = []\ndef preload_dlls(): loaded.append('cuda')\n"
Install = Callable[..., None]


@dataclass
class FakeSession:
    providers: list[str] = field(default_factory=list)
    number: str = "0"

    def get_providers(self) -> list[str]:
        return self.providers

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {name: {"device_id": self.number} for name in self.providers}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Replace the whole import path for distributions, so that the real runtime is not seen."""
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "")
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(name: str) -> metadata.Distribution:
        for distribution in metadata.distributions(name=name, path=[str(tmp_path)]):
            return distribution
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", installed)

    def run(*distributions: str, module: str = WORKING) -> None:
        for name in distributions:
            folder = tmp_path / f"{name.replace('-', '_')}-1.23.0.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.23.0\n"
            )
        (tmp_path / "onnxruntime.py").write_text(module)

    yield run
    sys.modules.pop("onnxruntime", None)


@pytest.mark.parametrize("distribution", ["onnxruntime", "onnxruntime-gpu"])
def test_the_one_installed_distribution_is_imported(install: Install, distribution: str) -> None:
    install(distribution)
    module = require_onnxruntime()
    assert module.InferenceSession
    assert module.loaded == []


def test_cuda_libraries_are_loaded_for_cuda_only(install: Install) -> None:
    install("onnxruntime-gpu")
    assert require_onnxruntime(Device("cuda")).loaded == ["cuda"]


def test_the_cpu_distribution_loads_no_cuda_libraries(install: Install) -> None:
    install("onnxruntime")
    assert require_onnxruntime(Device("cuda")).loaded == []


def test_telemetry_is_off_before_the_import(install: Install) -> None:
    install(
        "onnxruntime", module=WORKING + "import os\nseen = os.environ['ORT_DISABLE_TELEMETRY']\n"
    )
    assert require_onnxruntime().seen == "1"


def test_telemetry_that_was_asked_for_stays(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    install("onnxruntime")
    require_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_neither_distribution_says_what_to_install(install: Install) -> None:
    install()
    with pytest.raises(BackendError, match=r"pip install 'equipot\[cpu\]'"):
        require_onnxruntime()


def test_both_distributions_are_refused(install: Install) -> None:
    install("onnxruntime", "onnxruntime-gpu")
    with pytest.raises(BackendError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        require_onnxruntime()


def test_a_distribution_without_its_files_is_named(install: Install) -> None:
    install("onnxruntime", module="")
    with pytest.raises(BackendError, match="--force-reinstall onnxruntime"):
        require_onnxruntime()


def test_a_distribution_that_cannot_be_imported_is_named(install: Install) -> None:
    install("onnxruntime-gpu", module="raise ImportError('libstdc++ is too old')\n")
    with pytest.raises(BackendError, match=r"'onnxruntime-gpu' .* libstdc\+\+ is too old"):
        require_onnxruntime()


def test_a_session_on_its_device_passes() -> None:
    check_providers(FakeSession(["CPUExecutionProvider"]), Device.of("cpu"))
    check_providers(FakeSession([CUDA, "CPUExecutionProvider"], "3"), Device.of("cuda:3"))


def test_a_session_on_another_gpu_is_an_error() -> None:
    with pytest.raises(
        BackendError, match="'cuda:1' was asked for, but ONNX Runtime took device 0"
    ):
        check_providers(FakeSession([CUDA, "CPUExecutionProvider"], "0"), Device.of("cuda:1"))


def test_what_a_gpu_is_asked_for_names_the_device_and_full_precision() -> None:
    (name, options), _ = providers_for(Device.of("cuda:1"), graphs=True)
    assert name == CUDA
    assert (options["device_id"], options["use_tf32"], options["enable_cuda_graph"]) == (
        "1",
        "0",
        "1",
    )


def test_a_fall_back_without_the_gpu_distribution_is_an_error(install: Install) -> None:
    install("onnxruntime")
    with pytest.raises(
        BackendError, match=r"needs CUDAExecutionProvider.*pip install 'equipot\[gpu\]'"
    ):
        check_providers(FakeSession(["CPUExecutionProvider"]), Device.of("cuda"))


def test_a_fall_back_of_the_gpu_distribution_is_an_error(install: Install) -> None:
    install("onnxruntime-gpu")
    with pytest.raises(BackendError, match="NVIDIA driver"):
        check_providers(FakeSession(["CPUExecutionProvider"]), Device.of("cuda"))


def test_a_session_without_providers_is_an_error() -> None:
    with pytest.raises(BackendError, match="has only nothing"):
        check_providers(FakeSession(), Device.of("cpu"))
