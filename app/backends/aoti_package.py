"""A package of AOTInductor, run through its C interface.

torch's own loader holds Python's lock during a run, so that neither portions nor the service would
go on meanwhile; `ctypes` gives it up. The functions are those of
`torch/csrc/inductor/aoti_runtime/interface.h`; tensors go in and out as handles, of which a run
takes the first and gives the second away.
"""

import ctypes
import tempfile
import weakref
import zipfile
from ctypes import POINTER, byref, c_char_p, c_size_t, c_void_p, py_object, pythonapi
from pathlib import Path
from types import ModuleType
from typing import Any

_pointer = ctypes.PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", pythonapi))
_capsule = ctypes.PYFUNCTYPE(py_object, c_void_p, c_char_p, c_void_p)(("PyCapsule_New", pythonapi))

FALLBACKS = ".wrapper.json"
"""The end of the name of a file that lists operators which only torch's own loader can call."""


class Package:
    """The compiled model of a package.

    Args:
        torch: the module, of the version that wrote the package.
        path: of the package.
        runs: at the same time; more wait for each other.

    Raises:
        OSError: there is no shared library in it, or it cannot be loaded.
        RuntimeError: it does not start.
    """

    def __init__(self, torch: ModuleType, path: Path, runs: int) -> None:
        self._tensors = torch._C._aoti
        self._what: Any = ctypes.CDLL(
            str(Path(torch.__file__ or "").parent / "lib" / "libtorch_cpu.so")
        )["torch_exception_get_what_without_backtrace"]
        self._what.restype = c_char_p
        library = _library(path)
        self._run = library.AOTInductorModelContainerRun
        self._run.argtypes = (
            c_void_p,
            POINTER(c_void_p),
            c_size_t,
            POINTER(c_void_p),
            c_size_t,
            c_void_p,
            c_void_p,
        )
        self._container = c_void_p()
        self._check(
            library.AOTInductorModelContainerCreateWithDevice(
                byref(self._container), c_size_t(runs), b"cpu", None
            )
        )
        weakref.finalize(self, library.AOTInductorModelContainerDelete, self._container)
        outputs = c_size_t()
        self._check(library.AOTInductorModelContainerGetNumOutputs(self._container, byref(outputs)))
        self._outputs = outputs.value

    def __call__(self, tensors: list[Any]) -> list[Any]:
        """What it computes, as tensors, from tensors that are contiguous.

        Raises:
            RuntimeError: it fails; with torch's message.
        """
        capsules = self._tensors.unsafe_alloc_void_ptrs_from_tensors(tensors)
        taken = (c_void_p * len(capsules))(*(_pointer(capsule, None) for capsule in capsules))
        given = (c_void_p * self._outputs)()
        self._check(self._run(self._container, taken, len(taken), given, len(given), None, None))
        outputs: list[Any] = self._tensors.alloc_tensors_by_stealing_from_void_ptrs(
            [_capsule(handle, None, None) for handle in given]
        )
        return outputs

    def _check(self, code: int) -> None:
        if code:
            raise RuntimeError((self._what() or b"no message").decode(errors="replace"))


def _library(path: Path) -> ctypes.CDLL:
    """The shared library of a package; once it is loaded, its file is not needed."""
    with zipfile.ZipFile(path) as package, tempfile.TemporaryDirectory() as folder:
        libraries = [name for name in package.namelist() if name.endswith(".so")]
        if len(libraries) != 1:
            raise OSError(f"{len(libraries)} shared libraries in it, not one")
        if any(name.endswith(FALLBACKS) for name in package.namelist()):
            raise OSError(
                "it calls operators of torch that cannot be reached through the C interface"
            )
        return ctypes.CDLL(package.extract(libraries[0], folder))
