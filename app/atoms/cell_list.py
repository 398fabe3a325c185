"""The cell list of vesin, called through its C interface, `vesin/include/vesin.h`.

vesin's Python module imports torch wherever it is installed, which costs a server seconds and
180 MB that it has no use for. Its library needs none of that: it is found beside the module, which
is not run.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_bool, c_char_p, c_double, c_int, c_int32, c_size_t, c_void_p
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from app.atoms.structure import Floats, Integers

LIBRARIES = ("libvesin.so", "libvesin.dylib")
"""Names of the file, on Linux and on macOS."""
CPU = 1
"""The kind of device where the arrays are."""


class _Device(ctypes.Structure):
    _fields_ = [("kind", c_int), ("index", c_int)]


class _Options(ctypes.Structure):
    _fields_ = [
        ("cutoff", c_double),
        ("full", c_bool),
        ("sorted", c_bool),
        ("algorithm", c_int),
        ("skin", c_double),
        ("n_threads", c_int32),
        ("return_shifts", c_bool),
        ("return_distances", c_bool),
        ("return_vectors", c_bool),
    ]


class _Neighbors(ctypes.Structure):
    _fields_ = [
        ("length", c_size_t),
        ("device", _Device),
        ("pairs", POINTER(c_size_t)),
        ("shifts", POINTER(c_int32)),
        ("distances", POINTER(c_double)),
        ("vectors", POINTER(c_double)),
        ("opaque", c_void_p),
    ]


@contextmanager
def half_list(
    positions: Floats, box: Floats, cutoff: float
) -> Iterator[tuple[Integers, Integers, Floats]]:
    """Each pair of atoms closer than the cutoff, once; the arrays end with the block.

    Args:
        positions: (N, 3), Å.
        box: (3, 3), Å; rows are lattice vectors, periodic in all of them.
        cutoff: Å, > 0.

    Yields:
        (M, 2) atoms i and j of each pair; (M, 3) the translations of j, in rows of the box; and
        (M,) their distances in Å.

    Raises:
        RuntimeError: vesin failed; with its message.
    """
    library, neighbors, message = open_library(), _Neighbors(), c_char_p()
    options = _Options(cutoff=cutoff, n_threads=1, return_shifts=True, return_distances=True)
    points = np.ascontiguousarray(positions, dtype=np.float64)
    vectors = np.ascontiguousarray(box, dtype=np.float64)
    try:
        if library.vesin_neighbors(
            points.ctypes.data_as(POINTER(c_double)),
            len(points),
            vectors.ctypes.data_as(POINTER(c_double)),
            (c_bool * 3)(True, True, True),
            _Device(CPU, 0),
            options,
            byref(neighbors),
            byref(message),
        ):
            raise RuntimeError((message.value or b"no message").decode(errors="replace"))
        n = neighbors.length
        yield (
            _array(neighbors.pairs, (n, 2)).view(np.int64),
            _array(neighbors.shifts, (n, 3)),
            _array(neighbors.distances, (n,)),
        )
    finally:
        library.vesin_free(byref(neighbors))


def _array(pointer: Any, shape: tuple[int, ...]) -> Any:
    """What a pointer leads to, without a copy; where there is nothing, it may be null."""
    return np.ctypeslib.as_array(pointer, shape) if shape[0] else np.empty(shape, pointer._type_)


@cache
def open_library() -> Any:
    """The shared library, with the types of its functions.

    Raises:
        ImportError: vesin is not installed.
    """
    spec = find_spec("vesin")
    folders = (spec and spec.submodule_search_locations) or []
    paths = [Path(folder) / "lib" / name for folder in folders for name in LIBRARIES]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise ImportError("the library of vesin is not installed; run: pip install vesin")
    library: Any = ctypes.CDLL(str(path))
    library.vesin_neighbors.argtypes = (
        POINTER(c_double),
        c_size_t,
        POINTER(c_double),
        POINTER(c_bool),
        _Device,
        _Options,
        POINTER(_Neighbors),
        POINTER(c_char_p),
    )
    library.vesin_free.argtypes = (POINTER(_Neighbors),)
    library.vesin_free.restype = None
    return library
