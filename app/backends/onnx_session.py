"""An artifact opened on a device, and how arrays get in and out of it.

On a GPU the arrays lie in buffers on the device (IO binding), of few shapes: `bucket` says to which
one a portion is padded. The buffers of small portions are kept, and what the device does for one of
them is recorded once and then replayed as a whole (a CUDA graph), since launching hundreds of short
kernels one by one takes longer than running them. Large portions keep the device busy either way,
so that nothing of them is kept.

That the provider is the device's is checked when the session is made.
`session.disable_cpu_ep_fallback` is no check of it: it refuses any artifact with a `Shape`, since
the runtime computes sizes on the host on purpose.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.backends.artifact import OUTPUTS, Artifact, Execution, Feeds
from app.backends.device import Device
from app.backends.onnx_runtime import (
    CUDA_GRAPH_ID,
    check_providers,
    providers_for,
    require_onnxruntime,
)
from app.errors import BackendError

KEPT_SLOTS = 1 << 16
"""Slots of the largest portion with kept buffers: 64 molecules, or a crystal of 1000 atoms."""
MOST_KEPT = 128
"""Shapes whose buffers are kept; what comes later gets new ones for each run."""
LEAST = (16, 8)
"""Atoms and slots of the smallest bucket: less would not be faster."""
COARSE, FINE = 3, 5
"""Significant bits of sizes of kept and of larger buckets: ¼ or 1/16 at most is padding."""
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}
NO_GRAPH = -1
"""The runtime's number for a run that is neither recorded nor replayed."""

_ALONE: dict[Device, RLock] = {}

log = logging.getLogger(__name__)


def alone_on(device: Device) -> RLock:
    """Held while a device is used.

    What is recorded there must not meet anything of another session or thread.
    """
    return _ALONE.setdefault(device, RLock())


@dataclass(frozen=True, slots=True)
class PlainArtifact:
    """A session that takes and gives arrays of the host."""

    session: Any
    inputs: tuple[str, ...]

    @property
    def execution(self) -> Execution:
        """How it runs."""
        return Execution.PLAIN

    def run(self, wanted: Sequence[str], feeds: Feeds) -> list[NDArray[Any]]:
        """See `Artifact`."""
        outputs: list[NDArray[Any]] = self.session.run(
            wanted, {name: feeds[name] for name in self.inputs}
        )
        return outputs


class BoundArtifact:
    """A session whose inputs and outputs lie in buffers on its device.

    One run at a time on a device; others wait.

    Args:
        runtime: the module.
        session: of the artifact.
        device: of the session.
        execution: any but `PLAIN`.

    Attributes:
        session: as given.
        inputs: names of what it takes.
        execution: how it runs.
    """

    def __init__(self, runtime: Any, session: Any, device: Device, execution: Execution) -> None:
        self.inputs = tuple(i.name for i in session.get_inputs())
        self.execution = execution
        self.session = session
        self._runtime, self._device = runtime, device
        self._types = {output.name: TYPES[output.type] for output in session.get_outputs()}
        self._kept: dict[tuple[tuple[str, ...], tuple[int, ...]], _Buffers] = {}

    @property
    def dtype(self) -> Any:
        """Of the model's numbers."""
        return self._types[OUTPUTS[0]]

    @property
    def kept(self) -> int:
        """Shapes whose buffers are kept."""
        return len(self._kept)

    def run(self, wanted: Sequence[str], feeds: Feeds) -> list[NDArray[Any]]:
        """See `Artifact`."""
        with alone_on(self._device):
            return self._buffers(tuple(wanted), feeds).run(feeds)

    def check_replay(self, feeds: Sequence[Feeds]) -> None:
        """Make sure that what is replayed with new inputs gives the numbers of a run that is not.

        Raises:
            BackendError: it does not.
            Exception: as the runtime raises it, where it cannot record the artifact.
        """
        wanted = tuple(self._types)
        for one in (*feeds, *feeds):
            expected = self._made(wanted, one, NO_GRAPH).run(one)
            for replayed, right in zip(self.run(wanted, one), expected, strict=True):
                if not np.allclose(replayed, right, rtol=1e-3, atol=1e-4):
                    raise BackendError(
                        f"a replayed run deviates by {np.abs(replayed - right).max():.1e}"
                    )

    def _buffers(self, wanted: tuple[str, ...], feeds: Feeds) -> "_Buffers":
        shape = feeds["mask"].shape
        if (wanted, shape) in self._kept:
            return self._kept[wanted, shape]
        if np.prod(shape) > KEPT_SLOTS or len(self._kept) == MOST_KEPT:
            return self._made(wanted, feeds, NO_GRAPH)
        made = self._made(wanted, feeds, len(self._kept) + 1)
        self._kept[wanted, shape] = made
        return made

    def _made(self, wanted: Sequence[str], feeds: Feeds, graph: int) -> "_Buffers":
        """Buffers for a shape; `graph` is the number of what is recorded on them."""
        device = (self._device.kind, self._device.index)
        create = self._runtime.OrtValue.ortvalue_from_shape_and_type
        atoms, slots = feeds["mask"].shape
        shapes = dict.fromkeys(self._types, (atoms,)) | {"edge_gradients": (atoms, slots, 3)}
        inputs = {
            name: create(feeds[name].shape, feeds[name].dtype.type, *device) for name in self.inputs
        }
        outputs = {name: create(shapes[name], self._types[name], *device) for name in wanted}
        binding = self.session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        options = self._runtime.RunOptions()
        if self.execution is Execution.GRAPHS:
            options.add_run_config_entry(CUDA_GRAPH_ID, str(graph))
        return _Buffers(self.session, options, binding, inputs, list(outputs.values()))


@dataclass(frozen=True, slots=True)
class _Buffers:
    """Inputs and outputs of one shape on the device, and the session bound to them."""

    session: Any
    options: Any
    binding: Any
    inputs: dict[str, Any]
    outputs: list[Any]

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        for name, value in self.inputs.items():
            value.update_inplace(np.ascontiguousarray(feeds[name]))
        self.binding.synchronize_inputs()
        self.session.run_with_iobinding(self.binding, self.options)
        self.binding.synchronize_outputs()
        return [_taken(value) for value in self.outputs]


def _taken(value: Any) -> NDArray[Any]:
    """A copy of what a buffer holds; on the CPU, the runtime gives a view."""
    array: NDArray[Any] = value.numpy()
    return array.copy() if value.device_name() == "cpu" else array


def bucket(atoms: int, slots: int) -> tuple[int, int]:
    """The shape to which a portion of so many atoms and slots of each is padded."""
    least = max(atoms, LEAST[0]), max(slots, LEAST[1])
    coarse = _rounded(least[0], COARSE), _rounded(least[1], COARSE)
    if coarse[0] * coarse[1] <= KEPT_SLOTS:
        return coarse
    return _rounded(least[0], FINE), _rounded(least[1], FINE)


def open_artifact(
    path: Path, device: Device, execution: Execution, deterministic: bool
) -> Artifact:
    """An artifact on a device; where it cannot be replayed there, the log says so and why.

    Raises:
        BackendError: the runtime is missing, cannot use the device, or cannot read the artifact.
    """
    if execution is not Execution.GRAPHS or not device.is_cuda:
        return open_session(path, device, execution, deterministic)
    try:
        artifact = open_session(path, device, execution, deterministic)
        assert isinstance(artifact, BoundArtifact)
        with alone_on(device):
            artifact.check_replay(probes(artifact))
        return artifact
    except Exception as error:
        reason = str(error)
    artifact = open_session(path, device, Execution.BUCKETS, deterministic)
    log.warning("%s runs without CUDA graphs, which makes small batches slower: %s", path, reason)
    return artifact


def probes(artifact: BoundArtifact) -> list[Feeds]:
    """Two pairs of atoms, one further apart than the other, in the smallest bucket."""
    return [_pair(distance, artifact.dtype) for distance in (1.1, 1.6)]


def open_session(
    path: Path, device: Device, execution: Execution, deterministic: bool
) -> PlainArtifact | BoundArtifact:
    """An artifact on a device, as it is to be run there.

    Raises:
        BackendError: as for `open_artifact`.
    """
    runtime = require_onnxruntime(device)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.use_deterministic_compute = deterministic
    providers = providers_for(device, graphs=execution is Execution.GRAPHS)
    try:
        with alone_on(device):
            session = runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise BackendError(f"ONNX Runtime cannot open {path.name}: {error}") from error
    check_providers(session, device)
    if execution is Execution.PLAIN:
        return PlainArtifact(session, tuple(i.name for i in session.get_inputs()))
    return BoundArtifact(runtime, session, device, execution)


def _pair(distance: float, dtype: Any) -> Feeds:
    """Two atoms a distance (Å) apart, as any artifact takes them."""
    shape = bucket(2, 1)
    vectors, mask = np.zeros((*shape, 3), dtype=dtype), np.zeros(shape, dtype=bool)
    vectors[:2, 0, 0] = distance, -distance
    mask[:2, 0] = True
    own = np.arange(mask.size).reshape(shape)
    neighbors, reverse = own // shape[1], own.copy()
    neighbors[:2, 0], reverse[:2, 0] = neighbors[1::-1, 0].copy(), own[1::-1, 0].copy()
    species = np.zeros(shape[0], dtype=np.int64)
    all_feeds = {
        "edge_vectors": vectors,
        "mask": mask,
        "species": species,
        "neighbors": neighbors,
        "reverse": reverse,
        "charge": np.zeros(shape[0], dtype=dtype),
    }
    return all_feeds | {"neighbor_species": np.zeros(shape, dtype=np.int64)}


def _rounded(size: int, bits: int) -> int:
    """The next number of at most so many significant bits."""
    step = 1 << max(size.bit_length() - bits, 0)
    return -(-size // step) * step
