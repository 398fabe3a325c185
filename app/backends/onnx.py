"""Exported models in ONNX Runtime, on a CPU or a GPU."""

from pathlib import Path

from app.backends.artifact import Artifact, Execution
from app.backends.device import Device
from app.backends.exported import ExportedBackend
from app.backends.onnx_runtime import distribution
from app.backends.onnx_session import open_artifact
from app.machine import worker_threads
from app.store.card import ARTIFACT, ENERGIES, ModelCard, member_files

SLOTS_PER_RUN = {"cpu": 2048, "cuda": 1 << 18}
"""Edge slots of a run: on a CPU what stays in its cache, on a GPU what keeps it busy."""
ON_GPU = 2
"""Threads with a GPU: one lays out a portion while that of the other one is on the device."""


def open_onnx(
    card: ModelCard,
    folder: Path,
    threads: int = 0,
    device: str = "cpu",
    deterministic: bool = False,
    execution: Execution | None = None,
    slots: int = 0,
) -> ExportedBackend:
    """A model in ONNX Runtime.

    Args:
        card: what the model is.
        folder: where `model.onnx` is, with `model-1.onnx`, … beside it if it has several members;
            and the like of `energies.onnx`, if the card says that they are there.
        threads: portions evaluated at the same time, whoever calls; 0 takes all cores the process
            may use.
        device: `cpu`, `cuda` or `cuda:1`; never another one than that.
        deterministic: no portion has atoms of two structures.
        execution: how arrays get in and out; None chooses by the device.
        slots: most edge slots of a portion; 0 chooses by the device.

    Raises:
        BackendError: the runtime is missing, cannot use the device, or cannot read the artifact.
    """
    target = Device.of(device)
    chosen = Execution.of(target) if execution is None else execution

    def opened(name: str) -> list[Artifact]:
        files = member_files(name, card.members)
        return [open_artifact(folder / file, target, chosen, deterministic) for file in files]

    artifacts = opened(ARTIFACT)
    return ExportedBackend(
        card,
        artifacts,
        opened(ENERGIES) if card.energies_alone else artifacts,
        runtime=distribution(),
        threads=ON_GPU if target.is_cuda else worker_threads(threads),
        slots=slots or SLOTS_PER_RUN[target.kind],
        deterministic=deterministic,
    )
