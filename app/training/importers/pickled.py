"""Pickled checkpoints, read without running what is in them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct, scalar

from app.errors import TrainingError

ALLOWED: tuple[Any, ...] = (
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "bool", "U1")},
    *(
        (function, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for name, function in (("_reconstruct", _reconstruct), ("scalar", scalar))
    ),
)
"""What a checkpoint may hold besides tensors and Python's own containers: numpy's arrays."""


def load_pickled(path: Path) -> dict[str, Any]:
    """The content of a checkpoint that `torch.save` wrote.

    Raises:
        TrainingError: no such file, no mapping, or something in it that is not allowed, named.
    """
    try:
        with torch.serialization.safe_globals(list(ALLOWED)):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}") from error
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if "GLOBAL" in line), "")
        raise TrainingError(
            f"{path}: not a checkpoint that can be read without running code from it: "
            f"{reason or str(error).splitlines()[0]}"
        ) from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path}: it holds {type(content).__name__}, no mapping")
    return content
