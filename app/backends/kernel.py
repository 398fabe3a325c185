"""Exported Allegros in the native kernel: the distribution `equipot-kernel`, C++ on a CPU.

It takes a version's weights rather than its ONNX file, and is loaded where it is installed and can
run the version. Its functions give up Python's lock, so that portions run side by side.
"""

import ctypes
import importlib
import platform
import weakref
from collections.abc import Mapping, Sequence
from ctypes import c_char, c_char_p, c_int64, c_void_p
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.atoms.structure import Floats
from app.backends.artifact import ERRORS, OUTPUTS, Execution, Feeds
from app.backends.device import Device
from app.backends.exported import ExportedBackend
from app.backends.kernel_network import read_networks
from app.errors import BackendError
from app.machine import worker_threads
from app.store.card import ModelCard

SLOTS_PER_RUN = 4096
"""Edge slots of a portion: some thirty tiles of the kernel."""
INTERFACE = 2
"""`EQUIPOT_INTERFACE` of the header whose structures are repeated below."""
MESSAGE_BYTES = 512
WHEELS = (("Linux", "x86_64"),)
"""Systems and processors for which there are wheels of the kernel."""


class _Tensor(ctypes.Structure):
    """`EquipotTensor`."""

    _fields_ = (
        ("name", c_char_p),
        ("reals", c_void_p),
        ("integers", c_void_p),
        ("count", c_int64),
    )


class _Portion(ctypes.Structure):
    """`EquipotPortion`."""

    _fields_ = (
        ("atoms", c_int64),
        ("slots", c_int64),
        ("species", c_void_p),
        ("neighbor_species", c_void_p),
        ("edge_vectors", c_void_p),
        ("mask", c_void_p),
        ("charge", c_void_p),
        ("energies", c_void_p),
        ("edge_gradients", c_void_p),
        ("errors", c_void_p),
    )


class _Gradient(ctypes.Structure):
    """`EquipotGradient`."""

    _fields_ = (("name", c_char_p), ("sums", c_void_p), ("count", c_int64))


_TYPES: dict[str, Any] = {
    "species": np.int64,
    "neighbor_species": np.int64,
    "edge_vectors": np.float32,
    "mask": np.bool_,
    "charge": np.float32,
}


class KernelArtifact:
    """A network, opened in a library of the kernel.

    Args:
        library: for one level of vector instructions.
        network: as `app.backends.kernel_network` makes it.

    Raises:
        BackendError: an array is missing, or of another size than the config says.
    """

    def __init__(self, library: ctypes.CDLL, network: Mapping[str, NDArray[Any]]) -> None:
        self._library = library
        taken = ("species", "neighbor_species", "edge_vectors", "mask")
        self.inputs = (*taken, "charge") if network["takes_charge"] else taken
        held = {name: np.ascontiguousarray(values) for name, values in network.items()}
        tensors = (_Tensor * len(held))(*(_tensor(*pair) for pair in held.items()))
        message = _message()
        library.equipot_allegro_open.restype = c_void_p
        handle = library.equipot_allegro_open(
            tensors, c_int64(len(held)), message, c_int64(len(message))
        )
        if not handle:
            raise BackendError(f"the kernel cannot make the network: {message.value.decode()}")
        self._network = c_void_p(handle)
        weakref.finalize(self, library.equipot_allegro_close, self._network)

    @property
    def execution(self) -> Execution:
        """How it runs."""
        return Execution.PLAIN

    def run(self, wanted: Sequence[str], feeds: Feeds) -> list[NDArray[Any]]:
        """See `Artifact`.

        Raises:
            RuntimeError: it fails, such as for want of memory; with its message.
        """
        n, k = feeds["mask"].shape
        energies, errors = np.empty(n), np.empty((len(ERRORS), n))
        gradients = np.empty((n, k, 3), np.float32)
        portion, given = self._portion(feeds, energies)
        if OUTPUTS[1] in wanted:
            portion.edge_gradients = gradients.ctypes.data
        if set(ERRORS) & set(wanted):
            portion.errors = errors.ctypes.data
        self._call(self._library.equipot_allegro_run, portion, given)
        answers = dict(zip((*OUTPUTS, *ERRORS), (energies, gradients, *errors), strict=True))
        return [answers[name] for name in wanted]

    def weight_gradients(self, feeds: Feeds, factors: Floats, sums: Mapping[str, Floats]) -> Floats:
        """Add the gradient of a sum of energies by the network's weights.

        Args:
            feeds: as `run` takes them.
            factors: (n,), the number by which the energy of each atom is multiplied in that sum.
            sums: what it is added to, by the names of the weights; float64 in memory order.

        Returns:
            energies: (n,), eV.

        Raises:
            RuntimeError: a weight's sums are missing or of another size, or memory runs out.
        """
        energies, of_atoms = np.empty(len(feeds["mask"])), np.ascontiguousarray(factors, np.float64)
        portion, given = self._portion(feeds, energies)
        arrays = (_Gradient * len(sums))(
            *(_Gradient(name.encode(), one.ctypes.data, one.size) for name, one in sums.items())
        )
        function = self._library.equipot_allegro_weight_gradients
        self._call(
            function,
            portion,
            (given, of_atoms, sums),
            of_atoms.ctypes.data_as(c_void_p),
            arrays,
            c_int64(len(sums)),
        )
        return energies

    def _portion(self, feeds: Feeds, energies: Floats) -> tuple[_Portion, Any]:
        """What the library is given, and the arrays to which it points."""
        given: dict[str, NDArray[Any]] = {
            name: np.ascontiguousarray(feeds[name], _TYPES[name]) for name in self.inputs
        }
        pointers = {name: array.ctypes.data for name, array in given.items()}
        return _Portion(*feeds["mask"].shape, **pointers, energies=energies.ctypes.data), given

    def _call(self, function: Any, portion: _Portion, held: Any, *arguments: Any) -> None:
        """Run a function of the library on a portion, whose arrays are held until then."""
        message = _message()
        size = c_int64(len(message))
        if function(self._network, ctypes.byref(portion), *arguments, message, size):
            raise RuntimeError(message.value.decode())


def open_kernel(
    card: ModelCard,
    folder: Path,
    threads: int = 0,
    device: str = "cpu",
    deterministic: bool = False,
    slots: int = SLOTS_PER_RUN,
    level: str = "",
) -> ExportedBackend:
    """A model in the native kernel.

    Args:
        card: what the model is.
        folder: where its weights, config and statistics are.
        threads: portions evaluated at the same time, whoever calls; 0 takes all cores the process
            may use.
        device: `cpu`.
        deterministic: no portion has atoms of two structures.
        slots: most edge slots of a portion.
        level: vector instructions, of `equipot_kernel.LEVELS`; the best ones here if empty.

    Raises:
        BackendError: the kernel is not installed, or cannot run the model; says why.
    """
    if Device.of(device).is_cuda:
        raise BackendError(
            f"the kernel is for the CPU, not for '{device}'; choose it, or choose backend 'onnx'"
        )
    library, runtime = load_library(level)
    artifacts = [KernelArtifact(library, network) for network in read_networks(card, folder)]
    return ExportedBackend(
        card,
        artifacts,
        artifacts,
        runtime=runtime,
        threads=worker_threads(threads),
        slots=slots,
        deterministic=deterministic,
    )


def load_library(level: str = "") -> tuple[ctypes.CDLL, str]:
    """The kernel's library, and what it is.

    Args:
        level: vector instructions, of `equipot_kernel.LEVELS`; the best ones here if empty.

    Raises:
        BackendError: the kernel is not installed, cannot be loaded, or is of another interface.
    """
    kernel = require_kernel()
    try:
        name = level or kernel.best_level()
        library = kernel.library(name)
    except OSError as error:
        raise BackendError(f"the kernel cannot be loaded: {error}") from error
    if (interface := library.equipot_interface()) != INTERFACE:
        raise BackendError(
            f"equipot-kernel {kernel.version()} has interface {interface}, and {INTERFACE} is wanted; "
            "install the one that belongs to this version of equipot"
        )
    return library, f"equipot-kernel {kernel.version()} with {name}"


def require_kernel() -> ModuleType:
    """The module `equipot_kernel`.

    Raises:
        BackendError: it is not installed; says whether there is a wheel for this platform.
    """
    try:
        return importlib.import_module("equipot_kernel")
    except ModuleNotFoundError:
        here = platform.system(), platform.machine()
        if here in WHEELS:
            raise BackendError(
                "the native kernel is not installed; run: pip install equipot-kernel, or choose backend 'onnx'"
            ) from None
        raise BackendError(
            f"the native kernel is not installed, and there is no wheel of it for {' '.join(here)}; ONNX "
            "Runtime serves the model, with backend 'auto' or 'onnx'. From the repository it can be tried "
            "with GCC 12 or newer: pip install ./kernel"
        ) from None


def _tensor(name: str, values: NDArray[Any]) -> _Tensor:
    field = "integers" if values.dtype == np.int64 else "reals"
    return _Tensor(name.encode(), count=values.size, **{field: values.ctypes.data})


def _message() -> Any:
    return (c_char * MESSAGE_BYTES)()
