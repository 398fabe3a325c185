"""Where a model is evaluated, and by what."""

import re
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from app.errors import BackendError

DEVICE = r"cpu|cuda(:\d+)?"
"""Names of devices."""
BackendChoice: TypeAlias = Literal["auto", "onnx", "aoti", "kernel"]
"""What runs exported models; `auto` measures."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a session runs.

    Attributes:
        kind: `cpu` or `cuda`.
        index: which of the CUDA devices that the process sees.
    """

    kind: str
    index: int = 0

    @classmethod
    def of(cls, name: str) -> Self:
        """The device of a name: `cpu`, `cuda` (the first one) or `cuda:1`.

        Raises:
            BackendError: no such device.
        """
        if not re.fullmatch(DEVICE, name):
            raise BackendError(f"device '{name}' is unknown; choose one of: cpu, cuda, cuda:N")
        kind, _, index = name.partition(":")
        return cls(kind, int(index or 0))

    @property
    def is_cuda(self) -> bool:
        """Whether it is a GPU."""
        return self.kind == "cuda"

    @property
    def name(self) -> str:
        """As in the settings."""
        return f"cuda:{self.index}" if self.is_cuda else self.kind


HOST = Device("cpu")
