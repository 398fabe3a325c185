"""Pickled modules, read without their classes: what is in them, and nothing that they do.

`torch.save` of a whole module names the class of each part and the functions that put it together.
Here each class is an `Inert` that keeps what it is given; of functions, those are called that make
tensors and numpy's arrays of bytes; any other is kept by its name.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from e3nn import o3
from numpy._core.multiarray import _reconstruct, scalar
from torch import Tensor

from app.errors import TrainingError

PREFIXES = ("mace.", "e3nn.", "torch.", "numpy.", "_codecs.")
"""Packages whose names a file may hold."""
CALLED: dict[tuple[str, str], Any] = {
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{
        (f"numpy.{core}.multiarray", name): function
        for core in ("core", "_core")
        for name, function in (("_reconstruct", _reconstruct), ("scalar", scalar))
    },
}


class Inert:
    """An object of a class that is not loaded.

    Attributes:
        path: module and name of the class.
        args: what it was made of.
        state: its attributes.
    """

    path = ""

    def __new__(cls, *args: Any, **options: Any) -> "Inert":
        """Keep the arguments."""
        made = super().__new__(cls)
        made.args, made.state = args, {}
        return made

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args: tuple[Any, ...]
        self.state: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {"state": state}

    def __setitem__(self, key: Any, value: Any) -> None:
        self.state[key] = value

    def append(self, item: Any) -> None:
        """Keep an item of a list."""
        self.args = (*self.args, item)

    @property
    def kind(self) -> str:
        """The name of its class."""
        return self.path.rpartition(".")[2]

    def parts(self) -> dict[str, "Inert"]:
        """The modules that it has, by name."""
        found: dict[str, Inert] = self.state.get("_modules", {})
        return {name: part for name, part in found.items() if part is not None}

    def get(self, name: str, otherwise: Any = None) -> Any:
        """An attribute: a module, a parameter, a buffer, or another one."""
        for store in ("_modules", "_parameters", "_buffers"):
            if name in self.state.get(store, {}):
                return self.state[store][name]
        return self.state.get(name, otherwise)

    def tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers of it and of its parts, by the names of a `state_dict`."""
        for store in ("_parameters", "_buffers"):
            for name, tensor in self.state.get(store, {}).items():
                if isinstance(tensor, Tensor):
                    yield prefix + name, tensor.detach()
        for name, part in self.parts().items():
            yield from part.tensors(f"{prefix}{name}.")


def load_module(path: Path) -> Inert:
    """The module that `torch.save` wrote as a whole.

    Raises:
        TrainingError: no such file, another format, or something in it that is not allowed, named.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}") from error
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise TrainingError(f"{path}: not what torch.save writes")
    reader: Any = ModuleType("reader")
    reader.Unpickler, reader.load = _Unpickler, _refuse
    try:
        module = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=False, pickle_module=reader
        )
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(f"{path}: not a module that can be read: {reason}") from error
    if not isinstance(module, Inert):
        raise TrainingError(f"{path}: it holds {type(module).__name__}, no module")
    return module


def irreps_of(value: Any) -> o3.Irreps:
    """Irreps as they were pickled: tuples of multiplicity, degree and parity, or a text."""
    if isinstance(value, str):
        return o3.Irreps(value)
    pairs = [_items(each) for each in _items(value)]
    return o3.Irreps([(int(mul), tuple(map(int, _items(ir)))) for mul, ir in pairs])


def _items(value: Any) -> Sequence[Any]:
    """Of a tuple whose class is not loaded."""
    items: Sequence[Any] = value.args[0] if isinstance(value, Inert) else value
    return items


class _Unpickler(pickle.Unpickler):
    """Gives `Inert` classes in the place of all but `CALLED`."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the file stands for."""
        if (module, name) in CALLED:
            return CALLED[module, name]
        if f"{module}.".startswith(PREFIXES):
            return type(name, (Inert,), {"path": f"{module}.{name}"})
        raise TrainingError(f"it names {module}.{name}, which no model needs")


def _refuse(*_: Any, **__: Any) -> Any:
    raise TrainingError("it is of a format from before 2020; save it again with a newer torch")
