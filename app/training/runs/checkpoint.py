"""Checkpoints: a file that is there whole or not at all, and holds tensors and plain values only."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from app.errors import TrainingError

FORMAT = 1
UNREADABLE = (pickle.UnpicklingError, RuntimeError, OSError, EOFError, LookupError, ValueError)
"""What torch raises on files that are no checkpoints, or only part of one."""


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Put a file in place at once: a reader, or a kill at any moment, finds the old one or the new
    one.

    Args:
        path: the file.
        write: writes the content into an open binary file.

    Raises:
        TrainingError: the disk is full, say; the old file is still there.
    """
    content = io.BytesIO()
    write(content)
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TrainingError(f"{path}: cannot be written: {error.strerror}") from error


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint.

    Args:
        path: the file; replaced if there.
        state: tensors and plain values, however nested.
    """
    write_atomically(path, lambda file: torch.save({"format": FORMAT, **state}, file))


def load(path: Path, architecture: str | None = None) -> dict[str, Any]:
    """Read a checkpoint, of this architecture if one is given.

    Raises:
        TrainingError: there is none, it is no checkpoint, or it is of another format or
            architecture.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no checkpoint to resume from") from None
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise TrainingError(f"{path}: not a checkpoint: {reason}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        version = state.get("format") if isinstance(state, dict) else None
        raise TrainingError(
            f"{path}: checkpoint of format {version}; this version reads format {FORMAT}"
        )
    if architecture not in (None, state["architecture"]):
        raise TrainingError(
            f"{path}: checkpoint of architecture {state['architecture']}, not {architecture}"
        )
    return state
