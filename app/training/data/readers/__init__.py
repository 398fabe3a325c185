"""Readers of labelled files, one module a format; all give one frame at a time."""

from collections.abc import Iterator
from pathlib import Path

from app.training.data.config import Source
from app.training.data.frames import LabelledFrame
from app.training.data.readers.ase import read_ase
from app.training.data.readers.database import read_database
from app.training.data.readers.deepmd import read_deepmd
from app.training.data.readers.npz import read_npz
from app.training.data.readers.qm9 import read_qm9


def read(source: Source, path: Path, leave_out: Path | None = None) -> Iterator[LabelledFrame]:
    """The frames of one file or folder, one after the other, checked, in eV and Å.

    Args:
        source: how it is read.
        path: where it is.
        leave_out: the file that `source.leave_out` names.

    Raises:
        InvalidData: naming file and frame.
    """
    if source.kind == "qm9":
        return read_qm9(source, path, leave_out)
    readers = {"npz": read_npz, "deepmd": read_deepmd, "db": read_database, "lmdb": read_database}
    return readers.get(source.kind, read_ase)(source, path)
