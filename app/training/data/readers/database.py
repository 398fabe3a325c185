"""Reader of ASE's databases row by row: SQLite (`.db`), and LMDB (`.aselmdb`) through
`ase-db-backends`.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ase.db
import numpy as np

from app.errors import InvalidConfig, InvalidData
from app.training.data.config import Keys, Source
from app.training.data.frames import Geometry, LabelledFrame, Labels, labelled

SQLITE = b"SQLite format 3\0"
"""How the files of SQLite begin."""
UNREADABLE = (
    sqlite3.Error,
    zlib.error,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
"""What databases raise whose files are damaged."""


def read_database(source: Source, path: Path) -> Iterator[LabelledFrame]:
    """The rows of a database, one after the other, in the order of their ids.

    A row's key-value pairs and its data are the frame's info; labels may be found there, too.

    Raises:
        InvalidConfig: LMDB, and `ase-db-backends` is not installed.
        InvalidData: naming the file, or the frame.
    """
    count = 0
    try:
        with _connect(source, path) as database:
            ids = _ids(database)
            for index in range(len(ids))[source.frames]:
                row = database.get(id=ids[index])
                yield _frame(row, source, index)
                count += 1
    except UNREADABLE as error:
        raise InvalidData(f"{source.path}: cannot be read after {count} frames: {error}") from error


def _connect(source: Source, path: Path) -> Any:
    if source.kind == "db":
        with path.open("rb") as file:
            if file.read(len(SQLITE)) != SQLITE:  # ASE would make a database of an empty file
                raise InvalidData(f"{source.path}: cannot be read: no SQLite database")
        return ase.db.connect(path, type="db")
    _check_lmdb(source, path)
    return ase.db.connect(path, type="aselmdb", readonly=True)


def _check_lmdb(source: Source, path: Path) -> None:
    """Refuse files that are no LMDB, and those that end early: reading beyond their end would end
    the process.
    """
    try:
        import ase_db_backends  # noqa: F401
        import lmdb
    except ImportError as error:
        raise InvalidConfig(
            f"{source.path}: LMDB needs the extra: pip install 'equipot[lmdb]'"
        ) from error
    try:
        with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as environment:
            pages, page = environment.info()["last_pgno"] + 1, environment.stat()["psize"]
    except lmdb.Error as error:
        raise InvalidData(f"{source.path}: cannot be read: {error}") from error
    if path.stat().st_size < pages * page:
        raise InvalidData(
            f"{source.path}: ends early: {path.stat().st_size} bytes of {pages * page}"
        )


def _ids(database: Any) -> Sequence[int]:
    if hasattr(database, "ids"):  # of LMDB, known without a look at the rows
        ids: Sequence[int] = database.ids
        return ids
    return [row.id for row in database.select(columns=["id"], include_data=False)]


def _frame(row: Any, source: Source, index: int) -> LabelledFrame:
    geometry = Geometry(row.numbers, row.positions, np.asarray(row.cell), row.pbc)
    info = {**row.key_value_pairs, **row.data}
    return labelled(geometry, _labels(row, info, source.keys), source, index, info)


def _labels(row: Any, info: dict[str, object], keys: Keys) -> Labels:
    def find(chosen: str | None, usual: str) -> object:
        name = chosen or usual
        return info[name] if name in info else row.get(name)

    return Labels(
        find(keys.energy, "energy"), find(keys.forces, "forces"), find(keys.stress, "stress")
    )
