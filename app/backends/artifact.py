"""What an opened artifact is, whatever runs it: arrays in, energies and their gradient out."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from app.backends.device import Device

OUTPUTS = ("energies", "edge_gradients")
"""(N,) eV of each atom, and (N, K, 3) eV/Å by the vector in each slot."""
ERRORS = ("energy_errors", "force_errors", "novelty")
"""Of a model that estimates its errors, (N,) eV, eV/Å and dimensionless: those of
`app.training.models.uncertainty`."""

SHORTAGE = (
    "failed to allocate memory",  # the arena of a device, bfc_arena.cc
    "out of memory",  # CUDA failure 2
    "bad allocation",
    "bad_alloc",
    "can't allocate memory",  # torch's DefaultCPUAllocator
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED and CUDNN_STATUS_ALLOC_FAILED
)
"""What runtimes and libraries say when memory does not suffice; no class of errors says so."""

Feeds: TypeAlias = Mapping[str, NDArray[Any]]
"""Arrays of a portion by the name of the input, as `app.backends.layout` makes them."""


class Execution(IntEnum):
    """How an artifact runs; each way has what the one before it has."""

    PLAIN = 0
    """The runtime copies inputs and outputs."""
    BUCKETS = 1
    """They lie in buffers on the device, of few shapes, and those of small portions are kept."""
    GRAPHS = 2
    """Small portions are replayed as CUDA graphs."""

    @classmethod
    def of(cls, device: Device) -> "Execution":
        """The way for a device, where none is asked for."""
        return cls.GRAPHS if device.is_cuda else cls.PLAIN


class Artifact(Protocol):
    """An opened artifact."""

    @property
    def execution(self) -> Execution:
        """How it runs."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it takes."""
        ...

    def run(self, wanted: Sequence[str], feeds: Feeds) -> list[NDArray[Any]]:
        """Those of `OUTPUTS` and `ERRORS` that are wanted, for a portion of n atoms with K slots.

        Args:
            wanted: names, some of these.
            feeds: as `app.backends.layout` makes them.

        Returns:
            In the order of the names: (n, K, 3) gradients, eV/Å, and else (n,) values.
        """
        ...


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of a runtime says that memory did not suffice."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in SHORTAGE)
