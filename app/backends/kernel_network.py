"""What the native kernel makes a network of: a version's weights, and tables that follow from its
config, as named arrays.

The config is read here again, not by the trainer's own class, which serving does not import. Whatever
it says that is not known here is refused by its name.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

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
    path_basis,
    product_paths,
    tensor_irreps,
)
from app.errors import BackendError
from app.store.card import ModelCard, member_files

Arrays: TypeAlias = dict[str, NDArray[Any]]
"""By name; numbers are float64 or int64."""

CONFIG, STATISTICS = "config.yaml", "statistics.json"
WEIGHTS, UNCERTAINTY = "weights.safetensors", "uncertainty.safetensors"
NEGLIGIBLE = 1e-12
"""Entries of a table that are zero but for rounding."""
Widths: TypeAlias = tuple[int, ...]


class AllegroShape(BaseModel):
    """The `model` section of a config, as `app.training.models.allegro.AllegroConfig` writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["allegro"]
    cutoff: float = Field(gt=0)
    takes_charge: bool = False
    repulsion: Literal["zbl", "none"] = "none"
    binding: bool = False
    l_max: int = Field(ge=0, le=8)
    num_layers: int = Field(ge=1)
    num_scalars: int = Field(ge=1)
    num_tensors: int = Field(ge=1)
    parity: Parity
    two_body_mlp: Widths
    latent_mlp: Widths
    readout_mlp: Widths
    num_bessels: int = Field(ge=1)
    envelope_power: int = Field(ge=2)


def read_networks(card: ModelCard, folder: Path) -> list[Arrays]:
    """The networks of a version, one a member.

    Args:
        card: what the version is.
        folder: where its files are, whose digests have been compared.

    Raises:
        BackendError: it is none that the kernel can run; says why.
    """
    import yaml
    from safetensors.numpy import load_file

    if card.dtype != "float32":
        raise BackendError(f"the kernel computes in float32, and {card.reference} in {card.dtype}")
    for file in (CONFIG, STATISTICS, WEIGHTS):
        if not (folder / file).is_file():
            raise BackendError(f"{card.reference} has no {file}, of which the kernel is made")
    shape = _shape(yaml.safe_load((folder / CONFIG).read_text()), card)
    statistics = json.loads((folder / STATISTICS).read_text())
    shared = tables(shape, card.elements, statistics.get("binding_energies", {}))
    if card.uncertainty is not None:
        shared |= _uncertainty(load_file(folder / UNCERTAINTY))
    members = (folder / file for file in member_files(WEIGHTS, card.members))
    return [shared | parameters(load_file(file)) for file in members]


def _shape(config: Mapping[str, Any], card: ModelCard) -> AllegroShape:
    section = config["model"]
    if section.get("architecture") != "allegro":
        raise BackendError(
            f"the kernel runs Allegro, and {card.reference} is of architecture "
            f"'{section.get('architecture')}'"
        )
    try:
        return AllegroShape.model_validate(section)
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
    columns: list[NDArray[Any]] = [np.zeros((3, 0), dtype=np.int64)]
    values: list[Floats] = [np.zeros(0)]
    for l in range(1, l_max):
        left, right, out, value = _entries(harmonic_step(l))
        columns.append(np.array([(l + 1) ** 2 + out, l**2 + left, 1 + right]))
        values.append(value)
    out, left, right = np.concatenate(columns, axis=1)
    return {
        "steps.out": out,
        "steps.left": left,
        "steps.right": right,
        "steps.value": np.concatenate(values),
    }


def _products(shape: AllegroShape) -> Arrays:
    """The product of each layer: the entries of its tensor, and how its components are grouped."""
    harmonics = harmonic_irreps(shape.l_max, shape.parity != "none")
    plan = tensor_irreps(shape.l_max, shape.num_layers, shape.parity)
    arrays: Arrays = {}
    for layer in range(shape.num_layers):
        ins, outs = plan[layer], plan[layer + 1]
        paths = product_paths(ins, harmonics, outs)
        scalars = sum(o == SCALAR for _, _, o in paths)
        path, environment, out, at, value = _entries(path_basis(paths, ins, harmonics, outs))
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


def _entries(tensor: Floats) -> tuple[NDArray[Any], ...]:
    """The indices of the entries that are not zero, and the entries."""
    where = np.nonzero(np.abs(tensor) > NEGLIGIBLE)
    return (*where, tensor[where])


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
