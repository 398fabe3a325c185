"""What the native kernel makes a network of: a version's weights, and tables that follow from its
config, as named arrays.

The config is read here again, not by the trainer's own class, which serving does not import. Whatever
it says that is not known here is refused by its name.
"""

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.atoms.irreps import harmonic_irreps
from app.atoms.pair_terms import ENVELOPE_POWER, REACH, SATURATION, UNIVERSAL
from app.atoms.structure import Floats
from app.backends.allegro_tables import (
    SCALAR,
    Parity,
    harmonic_step,
    path_entries,
    product_paths,
    tensor_irreps,
)
from app.errors import BackendError
from app.store.card import ModelCard, member_files
from app.store.files import opened

Arrays: TypeAlias = dict[str, NDArray[Any]]
"""By name; numbers are float64 or int64."""

CONFIG, STATISTICS = "config.yaml", "statistics.json"
WEIGHTS, UNCERTAINTY = "weights.safetensors", "uncertainty.safetensors"
MOST_LAYERS, WIDEST = 64, 1 << 14
"""Far beyond what anybody trains: what a config says is not believed before the weights agree."""

Width: TypeAlias = Annotated[int, Field(ge=1, le=WIDEST)]
Widths: TypeAlias = Annotated[tuple[Width, ...], Field(max_length=MOST_LAYERS)]


class AllegroShape(BaseModel):
    """The `model` section of a config, as `app.training.models.allegro.AllegroConfig` writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["allegro"]
    cutoff: float = Field(gt=0)
    takes_charge: bool = False
    repulsion: Literal["zbl", "none"] = "none"
    binding: bool = False
    l_max: int = Field(ge=0, le=8)
    num_layers: int = Field(ge=1, le=MOST_LAYERS)
    num_scalars: Width
    num_tensors: Width
    parity: Parity
    two_body_mlp: Widths
    latent_mlp: Widths
    readout_mlp: Widths
    num_bessels: Width
    envelope_power: int = Field(ge=2, le=WIDEST)


def read_networks(card: ModelCard, folder: Path) -> list[Arrays]:
    """The networks of a version, one a member.

    Args:
        card: what the version is.
        folder: where its files are.

    Raises:
        BackendError: it is none that the kernel can run, or a file cannot be read; says why.
    """
    weights = member_files(WEIGHTS, card.members)
    heads = [UNCERTAINTY] if card.uncertainty is not None else []
    _check_files(card, [CONFIG, STATISTICS, *weights, *heads])
    if card.dtype != "float32":
        raise BackendError(f"the kernel computes in float32, and {card.reference} in {card.dtype}")
    yaml, tensors = map(importlib.import_module, ("yaml", "safetensors.numpy"))
    shape = _shape(_content(folder, CONFIG, yaml.safe_load, card), card)
    statistics = _content(folder, STATISTICS, json.loads, card)
    shared = tables(shape, card.elements, statistics.get("binding_energies", {}))
    for head in heads:
        shared |= _uncertainty(_content(folder, head, tensors.load, card))
    return [shared | parameters(_content(folder, file, tensors.load, card)) for file in weights]


def _content(
    folder: Path, file: str, parse: Callable[[bytes], Any], card: ModelCard
) -> dict[str, Any]:
    """The mapping in a file of a version."""
    try:
        with opened(folder, file) as content:
            found = parse(content.read())
    except Exception as error:  # each library has its own errors for what is not in its format
        raise BackendError(f"the kernel cannot read {file} of {card.reference}: {error}") from error
    if not isinstance(found, dict):
        raise BackendError(f"the kernel cannot read {file} of {card.reference}: it is no mapping")
    return found


def _check_files(card: ModelCard, files: Sequence[str]) -> None:
    """Whether a published version has the files, which then have the digests on its card."""
    for file in files:
        if card.files and file not in card.files:
            raise BackendError(f"{card.reference} has no {file}, of which the kernel is made")


def _shape(config: Mapping[str, Any], card: ModelCard) -> AllegroShape:
    try:
        return AllegroShape.model_validate(config.get("model"))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, ("model", *fault["loc"])))
        raise BackendError(
            f"the kernel cannot run {card.reference}: {where} of its config: {fault['msg']}"
        ) from None


def parameters(weights: Mapping[str, NDArray[Any]]) -> Arrays:
    """The network's weights, without the name of the network among terms that are added to it."""
    return {
        name.removeprefix("model."): np.asarray(values, dtype=np.float64)
        for name, values in weights.items()
    }


def tables(
    shape: AllegroShape, elements: Sequence[str], binding_energies: Mapping[str, float]
) -> Arrays:
    """Everything but the weights.

    Args:
        shape: of the network.
        elements: chemical symbols, in the order of the species index.
        binding_energies: eV, of the elements; zero for those that are not among them.
    """
    sizes = shape.model_dump(exclude={"architecture", "cutoff", "repulsion", "binding", "parity"})
    out: Arrays = {name: np.array(value, dtype=np.int64) for name, value in sizes.items()}
    out |= {"elements": np.array(len(elements)), "cutoff": np.array(shape.cutoff)}
    out |= _steps(shape.l_max) | _products(shape)
    if shape.repulsion == "zbl":
        out |= _repulsion(elements, shape.cutoff)
    if shape.binding:
        out |= _binding(elements, shape.cutoff, binding_energies)
    return out


def _steps(l_max: int) -> Arrays:
    """Each degree of the harmonics from the one before it, from degree 2 on."""
    places, values = [np.zeros((3, 0), dtype=np.int64)], [np.zeros(0)]
    for l in range(1, l_max):
        (left, right, out), value = harmonic_step(l)
        places.append(np.stack([l**2 + left, 1 + right, (l + 1) ** 2 + out]))
        values.append(value)
    names = ("steps.left", "steps.right", "steps.out")
    arrays: Arrays = dict(zip(names, np.concatenate(places, axis=1), strict=True))
    return arrays | {"steps.value": np.concatenate(values)}


def _products(shape: AllegroShape) -> Arrays:
    """The product of each layer: the entries of its tensor, and how its components are grouped."""
    harmonics = harmonic_irreps(shape.l_max, shape.parity != "none")
    plan = tensor_irreps(shape.l_max, shape.num_layers, shape.parity)
    arrays: Arrays = {}
    for layer in range(shape.num_layers):
        ins, outs = plan[layer], plan[layer + 1]
        paths = product_paths(ins, harmonics, outs)
        scalars = sum(o == SCALAR for _, _, o in paths)
        (path, environment, out, at), value = path_entries(paths, ins, harmonics, outs)
        found = {
            "ins": [2 * l + 1 for l, _ in ins],
            "outs": [1] * scalars + [2 * l + 1 for l, _ in outs[1:]],
            "scalars": scalars,
            "paths": len(paths),
            "path": path,
            "environment": environment,
            "out": out,
            "in": at,
        }
        name = f"layers.{layer}.product"
        arrays |= {f"{name}.{key}": np.array(v, dtype=np.int64) for key, v in found.items()}
        arrays[f"{name}.value"] = value
    return arrays


def _repulsion(elements: Sequence[str], cutoff: float) -> Arrays:
    z = np.array([float(atomic_numbers[symbol]) for symbol in elements])
    return {
        "repulsion.charge": z * np.sqrt(0.5 * UNIVERSAL.coulomb),
        "repulsion.width": z**UNIVERSAL.exponent / UNIVERSAL.length,
        "repulsion.radius": _radii(elements, 0.5 * cutoff),
        "repulsion.shares": np.array(UNIVERSAL.shares),
        "repulsion.decays": np.array(UNIVERSAL.decays),
        "repulsion.power": np.array(UNIVERSAL.power),
    }


def _binding(elements: Sequence[str], cutoff: float, energies: Mapping[str, float]) -> Arrays:
    return {
        "binding.energy": np.array([float(energies.get(symbol, 0.0)) for symbol in elements]),
        "binding.radius": REACH * _radii(elements, 0.5 * cutoff / REACH),
        "binding.saturation": np.array(SATURATION),
        "binding.power": np.array(ENVELOPE_POWER),
    }


def _radii(elements: Sequence[str], largest: float) -> Floats:
    """(S,), Å; covalent radii, as `app.training.models.pairs` has them."""
    numbers = [atomic_numbers[symbol] for symbol in elements]
    radii: Floats = np.minimum(covalent_radii[numbers], largest)
    return radii


def _uncertainty(head: Mapping[str, NDArray[Any]]) -> Arrays:
    arrays = {f"uncertainty.{name}": np.asarray(v, dtype=np.float64) for name, v in head.items()}
    return arrays | {"uncertainty.width": np.array(len(head["hidden.bias"]))}
