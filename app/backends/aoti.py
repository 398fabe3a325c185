"""Exported models as packages of AOTInductor, compiled for a processor, loaded by torch.

The only part of serving that imports torch, and only where a version has packages and one of them
is to be used. A package is bound to the version of torch that wrote it and to the instructions that
it was compiled for; with others it would not load, or end the process. Both are on the card and
compared first.
"""

import importlib
import platform
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from app.backends.aoti_package import Package
from app.backends.artifact import ERRORS, OUTPUTS, Execution, Feeds
from app.backends.device import Device
from app.backends.exported import ExportedBackend
from app.backends.onnx import SLOTS_PER_RUN
from app.errors import BackendError
from app.machine import worker_threads
from app.store.card import ENERGY_PACKAGE, PACKAGE, ModelCard, Packages, member_files

CAPABILITIES = ("AVX2", "AVX512")
"""Vector instructions, each of which a processor with the next one has as well."""
ELSE = "or choose backend 'onnx'"


@dataclass(frozen=True, slots=True)
class AotiArtifact:
    """A package, opened for some runs at a time; more wait for each other."""

    torch: ModuleType
    package: Package
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def execution(self) -> Execution:
        """How it runs."""
        return Execution.PLAIN

    def run(self, wanted: Sequence[str], feeds: Feeds) -> list[NDArray[Any]]:
        """See `Artifact`."""
        with self.torch.inference_mode():
            answers = self.package([self.torch.from_numpy(feeds[name]) for name in self.inputs])
        return [answers[self.outputs.index(name)].numpy() for name in wanted]


def open_aoti(
    card: ModelCard,
    folder: Path,
    threads: int = 0,
    device: str = "cpu",
    deterministic: bool = False,
) -> ExportedBackend:
    """A model in packages of AOTInductor.

    Args:
        card: what the model is.
        folder: where `model.pt2` and `energies.pt2` are, with `model-1.pt2`, … if it has several
            members.
        threads: portions evaluated at the same time, whoever calls; 0 takes all cores the process
            may use. torch gets one thread for each, in the whole process.
        device: of a version's packages, `cpu`.
        deterministic: no portion has atoms of two structures.

    Raises:
        BackendError: the version has no packages, or they do not fit what is here; says what to do.
    """
    torch = require_torch(card, Device.of(device))
    assert card.aoti is not None
    threads, inputs = worker_threads(threads), card.aoti.inputs

    errors = ERRORS if card.uncertainty is not None else ()

    def opened(name: str, outputs: tuple[str, ...]) -> list[AotiArtifact]:
        files = (folder / file for file in member_files(name, card.members))
        return [
            AotiArtifact(torch, _loaded(torch, file, threads), inputs, (*outputs, *errors))
            for file in files
        ]

    return ExportedBackend(
        card,
        opened(PACKAGE, OUTPUTS),
        opened(ENERGY_PACKAGE, OUTPUTS[:1]),
        runtime=f"AOTInductor of torch {torch.__version__}",
        threads=threads,
        slots=SLOTS_PER_RUN["cpu"],
        deterministic=deterministic,
        on_thread=partial(torch.set_num_threads, 1),
    )


def require_torch(card: ModelCard, device: Device) -> ModuleType:
    """The module `torch`, with which this process can run the packages of a version.

    Raises:
        BackendError: it cannot; says why, and what to do.
    """
    if card.aoti is None:
        reference = card.reference
        raise BackendError(
            f"{reference} has no packages of AOTInductor; publish it with: equipot export --aoti, {ELSE}"
        )
    if device.is_cuda:
        raise BackendError(
            f"packages of AOTInductor are for the CPU, not for '{device.name}'; choose it, {ELSE}"
        )
    _check_version(card.aoti)
    torch = importlib.import_module("torch")
    _check_processor(card.aoti, platform.machine(), torch.backends.cpu.get_cpu_capability())
    return torch


def public_version(version: str) -> str:
    """A version without what says how it was built: `2.13.0` of `2.13.0+cpu`."""
    return version.partition("+")[0]


def _check_version(packages: Packages) -> None:
    try:
        installed = public_version(metadata.version("torch"))
    except metadata.PackageNotFoundError:
        raise BackendError(
            f"packages of AOTInductor need torch, which is not installed; run: pip install 'equipot[aoti]', {ELSE}"
        ) from None
    if installed != packages.torch:
        raise BackendError(
            f"the packages were written by torch {packages.torch} and cannot be loaded by {installed}; "
            f"run: pip install 'torch=={packages.torch}', export the model again, {ELSE}"
        )


def _check_processor(packages: Packages, machine: str, capability: str) -> None:
    fits = capability in CAPABILITIES and CAPABILITIES.index(
        packages.capability
    ) <= CAPABILITIES.index(capability)
    if machine != packages.machine or not fits:
        raise BackendError(
            f"the packages were compiled for {packages.machine} with {packages.capability}, and this processor is "
            f"{machine} with {capability}; export the model on such a machine, {ELSE}"
        )


def _loaded(torch: ModuleType, path: Path, runs: int) -> Package:
    try:
        return Package(torch, path, runs)
    except (OSError, RuntimeError, AttributeError, zipfile.BadZipFile) as error:
        raise BackendError(
            f"{path.name} cannot be opened as a package of AOTInductor: {error}"
        ) from error
