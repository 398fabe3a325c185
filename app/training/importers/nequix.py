"""Nequix's checkpoints (Koker, Kotak, Smidt, arXiv:2508.16067; code under the MIT licence).

A Nequix is a NequIP with a layer norm. A file is a line of JSON, the configuration, and after it
numpy's arrays one after the other: those of the layers, in the order of the package's classes.
"""

import io
import json
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols
from e3nn import o3
from scipy.special import ndtri
from torch import Tensor

from app.atoms.irreps import Irrep
from app.errors import TrainingError
from app.store.imported import Imported
from app.training.importers.block import NequIPBlock
from app.training.importers.imported import ImportedModel, StateReader, finished
from app.training.importers.source import digest_of
from app.training.models import Statistics
from app.training.models.equivariant import SCALAR
from app.training.models.nequip import NequIPConfig

CITATION = (
    "T. Koker, M. Kotak, T. Smidt, Training a Foundation Model for Materials on a Budget, "
    "arXiv:2508.16067 (2025)"
)
LONGEST_HEADER = 1_000_000
"""Bytes; the configuration has some thousand."""
NEEDED = (
    *("cutoff", "atomic_numbers", "hidden_irreps", "lmax", "n_layers", "radial_basis_size"),
    *("radial_mlp_size", "radial_mlp_layers", "radial_polynomial_p", "index_weights"),
    *("layer_norm", "shift", "scale", "avg_n_neighbors"),
)


def read(path: Path) -> ImportedModel:
    """The model in a checkpoint; see `Importer.read`."""
    try:
        with path.open("rb") as file:
            settings = _header(path, file)
            arrays = list(_arrays(path, file))
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}") from error
    config = _config(path, settings)
    numbers = settings["atomic_numbers"]
    names = list(_names(config))
    if len(arrays) != len(names):
        raise TrainingError(
            f"{path}: it has {len(arrays)} arrays, where its configuration has {len(names)}"
        )
    state = StateReader(dict(zip(names, arrays, strict=True)), str(path))
    statistics = Statistics(
        elements=tuple(chemical_symbols[number] for number in numbers),
        atomic_energies={},
        force_scale=abs(settings["scale"]),
        average_neighbors=settings["avg_n_neighbors"],
    )
    shifts = state.take("atom_energies", len(numbers)) + settings["shift"]
    tensors = _tensors(config, len(numbers), state)
    tensors["scale"] = torch.full((len(numbers),), settings["scale"], dtype=torch.float64)
    state.finish()
    source = Imported(format="nequix", source=path.name, digest=digest_of(path), citation=CITATION)
    return finished(config, statistics, tensors, shifts, source)


def calculator(path: Path) -> Calculator:
    """Nequix's own calculator, with JAX on the CPU; see `Importer.calculator`."""
    from nequix.calculator import NequixCalculator

    own: Calculator = NequixCalculator(model_path=str(path), use_kernel=False)
    return own


def _header(path: Path, file: IO[bytes]) -> dict[str, Any]:
    line = file.readline(LONGEST_HEADER)
    try:
        settings = json.loads(line)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise TrainingError(
            f"{path}: a Nequix checkpoint begins with a line of JSON; this does not"
        )
    missing = [key for key in NEEDED if key not in settings]
    if missing:
        raise TrainingError(f"{path}: its configuration lacks {', '.join(missing)}")
    return settings


def _arrays(path: Path, file: IO[bytes]) -> Iterator[Tensor]:
    """What follows, none of it pickled; there may be an end of line after the last one."""
    rest = io.BytesIO(file.read().removesuffix(b"\n"))
    while rest.tell() < len(rest.getbuffer()):
        try:
            yield torch.from_numpy(np.load(rest, allow_pickle=False))
        except (ValueError, TypeError, EOFError) as error:
            raise TrainingError(
                f"{path}: byte {rest.tell()} after the first line: no array: {error}"
            ) from error


def _config(path: Path, settings: Mapping[str, Any]) -> NequIPConfig:
    if settings["index_weights"]:
        raise TrainingError(f"{path}: it has index_weights, which cannot be imported")
    if settings["radial_polynomial_p"] != int(settings["radial_polynomial_p"]):
        raise TrainingError(
            f"{path}: its radial_polynomial_p is {settings['radial_polynomial_p']}, no whole number"
        )
    return NequIPConfig(
        cutoff=settings["cutoff"],
        l_max=settings["lmax"],
        irreps=settings["hidden_irreps"],
        num_layers=settings["n_layers"],
        embedding=len(settings["atomic_numbers"]),
        self_connection="linear",
        layer_norm=settings["layer_norm"],
        radial_hidden=(settings["radial_mlp_size"],) * settings["radial_mlp_layers"],
        num_bessels=settings["radial_basis_size"],
        envelope_power=int(settings["radial_polynomial_p"]),
    )


def _names(config: NequIPConfig) -> Iterator[str]:
    """What the arrays are, in the order of the file."""
    yield "atom_energies"
    for i, (ins, outs) in enumerate(pairwise(config.plan())):
        yield from (f"{i}.radial.{n}" for n in range(len(config.radial_hidden) + 1))
        yield from (f"{i}.linear_1.{n}" for n in range(len(ins)))
        yield from (f"{i}.linear_2.{n}" for n in range(len(outs)))
        yield from (f"{i}.skip.{n}" for n in range(len(ins.keys() & outs.keys())))
        if config.layer_norm:
            yield from (f"{i}.norm.{n}" for n in range(len(outs)))
    yield "readout"


def _tensors(config: NequIPConfig, count: int, state: StateReader) -> dict[str, Tensor]:
    """All parameters but the scales."""
    tensors = {"species": torch.eye(count, dtype=torch.float64).unsqueeze(1)}
    gain, plan = _silu_gain(), config.plan()
    gains: dict[Irrep, float] = {SCALAR: 1.0}
    harmonics = o3.Irreps.spherical_harmonics(config.l_max)
    for i, (ins, outs) in enumerate(pairwise(plan)):
        block = NequIPBlock(ins, outs, harmonics, gains)
        tensors |= block.parameters(
            f"blocks.{i}",
            rise=_flat(state, f"{i}.linear_1", len(ins), block.rise_size),
            fall=_flat(state, f"{i}.linear_2", len(outs), block.fall_size),
            connection=block.linear_connection(
                _flat(state, f"{i}.skip", len(ins.keys() & outs.keys()), block.linear_size)
            ),
            radial=_radial(config, i, block, state),
            is_sorted=True,
        )
        if config.layer_norm:
            for n, width in enumerate(block.gate_widths):
                tensors[f"blocks.{i}.norm.weights.{n}"] = state.take(f"{i}.norm.{n}", width)
        gains = dict.fromkeys(outs, gain)
    width = plan[-1][SCALAR]
    tensors["readout.0.weight"] = (state.take("readout", width, 1) * gain / math.sqrt(width)).T
    return tensors


def _flat(state: StateReader, name: str, parts: int, size: int) -> Tensor:
    """The matrices of a linear layer as e3nn's flat weight."""
    flat = torch.cat([state.take(f"{name}.{n}").flatten() for n in range(parts)])
    if len(flat) != size:
        raise TrainingError(f"{state.source}: {name} has {len(flat)} weights, not {size}")
    return flat


def _radial(config: NequIPConfig, i: int, block: NequIPBlock, state: StateReader) -> list[Tensor]:
    sizes = [config.num_bessels, *config.radial_hidden, block.num_weights]
    matrices = [state.take(f"{i}.radial.{n}", a, b) for n, (a, b) in enumerate(pairwise(sizes))]
    matrices[0] = matrices[0] * math.sqrt(2 / config.cutoff)
    return matrices


def _silu_gain() -> float:
    """What e3nn-jax multiplies SiLU with: 1 / √(mean square) over evenly spread quantiles."""
    quantiles = torch.from_numpy(ndtri(np.linspace(0, 1, 1_000_003)[1:-1]))
    return float(torch.nn.functional.silu(quantiles).square().mean().rsqrt())
