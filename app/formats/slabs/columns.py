"""Columns: a folder with a `.npy` file for each column, and `head.json`, which says what they are.

Any tool that reads numpy's files reads them: `numpy.load("big.columns/forces.npy", mmap_mode="r")`.
The head is written first with `"complete": false`, and with true once every row is there, so that
what a run that was ended has left is not taken for whole. Rows are read and written at their place
in the file, without a map of it in memory, whose pages would count as the process's.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from app.atoms.structure import Structure
from app.errors import InvalidFormat, InvalidRequest
from app.formats.slabs.source import SLAB, Head, Slab

SUFFIX = ".columns"
FORMAT, VERSION = "equipot-columns", 1
HEAD = "head.json"
SHAPES: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "numbers": ("|u1", ()),
    "positions": ("<f8", (3,)),
    "energies": ("<f8", ()),
    "forces": ("<f8", (3,)),
    "velocities": ("<f8", (3,)),
}
"""Type and shape of a row of each column: atomic numbers, Å, eV, eV/Å and Å/fs."""


class Columns:
    """A folder of columns that is complete; a `Source` of atoms.

    Args:
        folder: of this format.

    Attributes:
        head: of all atoms.
        names: of the columns.
        results: what is said of the structure as a whole, such as its energy.

    Raises:
        InvalidFormat: it is not complete, or a column is missing or of another type or length than
            its head says; names it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        head = _read_head(folder)
        if not head["complete"]:
            raise InvalidFormat(
                f"{folder}: half-written, by a run that did not come to its end; remove the folder, "
                "and let that run be repeated"
            )
        self.results: dict[str, Any] = head["results"]
        self.head = Head(
            head["n_atoms"], np.array(head["cell"], float), np.array(head["pbc"], bool)
        )
        self.names = tuple(head["columns"])
        for name in ("numbers", "positions"):
            if name not in self.names:
                raise InvalidFormat(f"{folder}: column {name} is missing")
        self._offsets = {name: self._checked(name) for name in self.names}

    def slabs(self) -> Iterator[Slab]:
        """See `Source`."""
        for start in range(0, self.head.n_atoms, SLAB):
            rows = (start, min(start + SLAB, self.head.n_atoms))
            atoms = _structure(self.read("numbers", *rows), self.read("positions", *rows), start)
            yield Slab(atoms.numbers, atoms.positions)

    def read(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows of a column, from `start` to before `stop`.

        Raises:
            InvalidFormat: there is no such column.
        """
        if name not in self.names:
            raise InvalidFormat(f"{self._folder}: no column {name}; it has {', '.join(self.names)}")
        dtype, shape = SHAPES[name]
        width = int(np.prod(shape, initial=1))
        with (self._folder / f"{name}.npy").open("rb") as file:
            file.seek(self._offsets[name] + start * width * np.dtype(dtype).itemsize)
            rows = np.fromfile(file, dtype, (stop - start) * width)
        return rows.reshape(-1, *shape)

    def _checked(self, name: str) -> int:
        """Where the rows of a column begin."""
        path = self._folder / f"{name}.npy"
        if name not in SHAPES:
            raise InvalidFormat(f"{path}: no such column; known are {', '.join(SHAPES)}")
        dtype, shape = SHAPES[name]
        expected = (self.head.n_atoms, *shape)
        try:
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
                found, by_column, kind = read(file)
                begin = file.tell()
        except FileNotFoundError:
            raise InvalidFormat(f"{path}: the column is missing") from None
        except ValueError as error:
            raise InvalidFormat(f"{path}: no file of numpy: {error}") from None
        if found != expected or kind != np.dtype(dtype) or by_column:
            order = " by columns" if by_column else ""
            raise InvalidFormat(
                f"{path}: {kind.str} of shape {found}{order}; expected {dtype} of {expected}"
            )
        size = begin + int(np.prod(expected)) * np.dtype(dtype).itemsize
        if path.stat().st_size != size:
            raise InvalidFormat(f"{path}: {path.stat().st_size} bytes; expected {size}; is it cut?")
        return begin


class Writer:
    """Writes a folder of columns, rows at any place; a context, at whose end it is complete, or removed
    where an error ended it.

    Args:
        folder: that is not there yet.
        head: of all atoms.
        names: of the columns, of `SHAPES`.

    Raises:
        InvalidRequest: it is there; says whether it is complete.
    """

    def __init__(self, folder: Path, head: Head, names: tuple[str, ...]) -> None:
        check_new(folder)
        self._folder, self._head = folder, head
        self.results: dict[str, Any] = {}
        folder.mkdir(parents=True)
        self._names = names
        self._write_head(complete=False)
        self._files = {name: self._create(name) for name in names}
        self._begins = {name: file.tell() for name, file in self._files.items()}

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for file in self._files.values():
            file.close()
        if kind is None:
            self._write_head(complete=True)
        else:
            shutil.rmtree(self._folder)

    def write(self, name: str, start: int, rows: NDArray[Any]) -> None:
        """Write (n, ...) rows of a column, the first of them at `start`."""
        dtype, shape = SHAPES[name]
        values = np.ascontiguousarray(rows, dtype)
        file = self._files[name]
        file.seek(
            self._begins[name] + start * int(np.prod(shape, initial=1)) * values.dtype.itemsize
        )
        file.write(values.data)

    def _create(self, name: str) -> BinaryIO:
        dtype, shape = SHAPES[name]
        file = (self._folder / f"{name}.npy").open("wb")
        described = {
            "descr": dtype,
            "fortran_order": False,
            "shape": (self._head.n_atoms, *shape),
        }
        np.lib.format.write_array_header_1_0(file, described)
        begin = file.tell()
        rows = self._head.n_atoms * int(np.prod(shape, initial=1)) * np.dtype(dtype).itemsize
        file.truncate(begin + rows)
        return file

    def _write_head(self, complete: bool) -> None:
        head = {
            "format": FORMAT,
            "version": VERSION,
            "complete": complete,
            "n_atoms": self._head.n_atoms,
            "cell": self._head.cell.tolist(),
            "pbc": self._head.pbc.tolist(),
            "columns": list(self._names),
            "results": self.results,
        }
        whole = self._folder / f"{HEAD}.new"
        whole.write_text(json.dumps(head, indent=2) + "\n")
        whole.replace(self._folder / HEAD)


def check_new(folder: Path) -> None:
    """Make sure that nothing is written over.

    Raises:
        InvalidRequest: the folder is there; says whether it is complete.
    """
    if not folder.exists():
        return
    try:
        complete = bool(_read_head(folder)["complete"])
    except InvalidFormat:
        raise InvalidRequest(f"{folder}: is there already, and no folder of columns") from None
    said = "is there already" if complete else "is there, half-written by a run before"
    raise InvalidRequest(f"{folder}: {said}; remove it, or write elsewhere")


def _read_head(folder: Path) -> dict[str, Any]:
    path = folder / HEAD
    try:
        head = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidFormat(f"{folder}: no folder of columns, since it has no {HEAD}") from None
    except ValueError as error:
        raise InvalidFormat(f"{path}: no JSON: {error}") from None
    wanted = {"complete": bool, "n_atoms": int, "cell": list, "pbc": list, "columns": list}
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InvalidFormat(f"{path}: no head of {FORMAT}")
    if head.get("version") != VERSION:
        raise InvalidFormat(f"{path}: version {head.get('version')}; expected {VERSION}")
    for field, kind in {**wanted, "results": dict}.items():
        if not isinstance(head.get(field), kind):
            raise InvalidFormat(f"{path}: {field} is missing, or no {kind.__name__}")
    return head


def _structure(numbers: NDArray[Any], positions: NDArray[Any], start: int) -> Structure:
    """Some rows as a structure, which checks their values.

    Raises:
        InvalidFormat: a value that cannot be; names atom and value.
    """
    from app.errors import InvalidStructure

    try:
        return Structure(numbers, positions)
    except InvalidStructure as error:
        raise InvalidFormat(f"of the atoms from {start}: {error}") from error
