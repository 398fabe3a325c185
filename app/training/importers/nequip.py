"""Checkpoints of the `nequip` package (Batzner et al., Nat. Commun. 13, 2453, 2022; MIT licence).

What can be read is what its training writes, from 0.7 on, for models that its builders
`NequIPGNNModel` and `PresetNequIPGNNModel` make. Where the training kept averaged weights, they are
taken, as the package does.
"""

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers
from e3nn import o3
from torch import Tensor

from app.atoms.irreps import Irrep
from app.errors import TrainingError
from app.store.imported import Imported
from app.training.importers import e3nn_layers as layers
from app.training.importers.block import NequIPBlock
from app.training.importers.imported import ImportedModel, StateReader, finished
from app.training.importers.pickled import load_pickled
from app.training.importers.source import digest_of
from app.training.models import Statistics
from app.training.models.equivariant import SCALAR
from app.training.models.nequip import NequIPConfig

CITATION = (
    "S. Batzner et al., E(3)-equivariant graph neural networks for data-efficient and accurate "
    "interatomic potentials, Nat. Commun. 13, 2453 (2022)"
)
BUILDERS = ("nequip.model.NequIPGNNModel", "nequip.model.PresetNequIPGNNModel")
TRAINERS = ("nequip.train.NequIPLightningModule", "nequip.train.EMALightningModule")
DEFAULTS: Mapping[str, Any] = {
    "num_layers": 4,
    "l_max": 1,
    "parity": True,
    "num_features": 32,
    "type_embed_num_features": None,
    "radial_mlp_depth": 1,
    "radial_mlp_width": 128,
    "readout_mlp_hidden_layers_depth": 0,
    "readout_mlp_hidden_layers_width": None,
    "readout_mlp_nonlinearity": "silu",
    "num_bessels": 8,
    "bessel_trainable": False,
    "polynomial_cutoff_p": 6,
    "per_type_energy_scales_trainable": False,
    "per_type_energy_shifts_trainable": False,
    "learnable_shift": False,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "S": {"num_layers": 2, "l_max": 1, "num_features": [128, 64]},
    "M": {"num_layers": 4, "l_max": 2, "num_features": [128, 64, 32]},
    "L": {"num_layers": 6, "l_max": 3, "num_features": [128, 64, 32, 32]},
    "XL": {"num_layers": 6, "l_max": 4, "num_features": [320, 96, 64, 32, 32]},
}
OF_PRESETS: Mapping[str, Any] = {"parity": False, "type_embed_num_features": 32}
FIXED: Mapping[str, Any] = {
    "per_edge_type_cutoff": None,
    "categorical_graph_field_embed": None,
    "pair_potential": None,
    "convnet_sc": True,
    "convnet_resnet": False,
    "convnet_nonlinearity_type": "gate",
    "convnet_nonlinearity_scalars": {"e": "silu", "o": "tanh"},
    "convnet_nonlinearity_gates": {"e": "silu", "o": "tanh"},
}
"""Arguments of which this architecture has one value only."""
IGNORED = ("_target_", "seed", "model_dtype", "compile_mode", "do_derivatives", "preset")
NEEDED = ("r_max", "type_names", "avg_num_neighbors")
GIVEN = ("per_type_energy_scales", "per_type_energy_shifts")
CONSTANTS = ("output_mask", "_w3j_", "_rmax_recip", "bessel_weights")
PREFIX = re.compile(r"^model\.sole_model\.(model\.)?func\.")


def read(path: Path) -> ImportedModel:
    """The model in a checkpoint; see `Importer.read`."""
    content = load_pickled(path)
    try:
        hyper, raw = content["hyper_parameters"], content["state_dict"]
        arguments, trainer = hyper["model"], hyper["info_dict"]["training_module"]["_target_"]
    except (KeyError, TypeError) as error:
        raise TrainingError(
            f"{path}: no checkpoint of nequip's training: it lacks {error}"
        ) from None
    if trainer not in TRAINERS:
        raise TrainingError(
            f"{path}: it was trained with {trainer}; what can be imported: {', '.join(TRAINERS)}"
        )
    settings = _settings(path, arguments)
    state = StateReader(_weights(path, raw, settings), str(path))
    config = _config(path, settings)
    tensors = _tensors(config, len(settings["type_names"]), state)
    scale, shifts = (_by_type(state, name, settings) for name in ("scales", "shifts"))
    state.ignore(*CONSTANTS)
    state.finish()
    statistics = Statistics(
        elements=tuple(settings["type_names"]),
        atomic_energies={},
        force_scale=float(scale.abs().mean()),
        average_neighbors=_neighbors(path, settings),
    )
    source = Imported(format="nequip", source=path.name, digest=digest_of(path), citation=CITATION)
    return finished(config, statistics, tensors | {"scale": scale}, shifts, source)


def calculator(path: Path) -> Calculator:
    """NequIP's own calculator, on the CPU; see `Importer.calculator`."""
    from nequip.integrations.ase import NequIPCalculator

    default = torch.get_default_dtype()
    own: Calculator = NequIPCalculator._from_saved_model(
        str(path), device="cpu", chemical_species_to_atom_type_map=True
    )
    torch.set_default_dtype(default)
    return own


def _settings(path: Path, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The builder's arguments, complete and checked."""
    if arguments.get("_target_") not in BUILDERS:
        raise TrainingError(
            f"{path}: its model is built by {arguments.get('_target_')}; what can be imported: "
            f"{', '.join(BUILDERS)}"
        )
    preset = str(arguments.get("preset", "")).upper()
    values = {**OF_PRESETS, **PRESETS[preset]} if preset in PRESETS else {}
    settings = {**DEFAULTS, **FIXED, **dict.fromkeys(GIVEN), **values, **arguments}
    for key, allowed in FIXED.items():
        if settings[key] != allowed:
            raise TrainingError(
                f"{path}: its {key} is {settings[key]!r}; what can be imported has {allowed!r}"
            )
    known = {*DEFAULTS, *FIXED, *IGNORED, *NEEDED, *GIVEN}
    problems = [f"lacks {key}" for key in NEEDED if settings.get(key) is None]
    problems += [f"has {key}, which is not known" for key in settings if key not in known]
    problems += [
        f"has the type {name}, which is no chemical symbol"
        for name in settings.get("type_names") or ()
        if name not in atomic_numbers
    ]
    if (
        settings["readout_mlp_hidden_layers_depth"]
        and settings["readout_mlp_nonlinearity"] != "silu"
    ):
        problems.append(f"has a readout with {settings['readout_mlp_nonlinearity']}, not silu")
    if problems:
        raise TrainingError(f"{path}: it {'; it '.join(problems)}")
    return settings


def _weights(
    path: Path, raw: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The network's tensors by their names in it; averaged ones where there are some."""
    tensors = {PREFIX.sub("", name): t for name, t in raw.items() if PREFIX.match(name)}
    averaged = [t for name, t in raw.items() if name.startswith("ema.ema_weight_")]
    if not averaged:
        return tensors
    fixed = ["output_mask", "_w3j_", "_rmax_recip"]
    fixed += [] if settings["bessel_trainable"] else ["bessel_weights"]
    fixed += [] if settings["per_type_energy_scales_trainable"] else [".scales"]
    fixed += [] if settings["per_type_energy_shifts_trainable"] else [".shifts"]
    learnt = [
        name for name, t in tensors.items() if t.numel() and not any(f in name for f in fixed)
    ]
    if [tensors[name].shape for name in learnt] != [t.shape for t in averaged]:
        raise TrainingError(f"{path}: its averaged weights are not those of its network")
    return tensors | dict(zip(learnt, averaged, strict=True))


def _config(path: Path, settings: Mapping[str, Any]) -> NequIPConfig:
    degrees = range(settings["l_max"] + 1)
    features = settings["num_features"]
    widths = [features] * len(degrees) if isinstance(features, int) else features
    parities = (1, -1) if settings["parity"] else (1,)
    channels = {(l, p * (-1) ** l): widths[l] for l in degrees for p in parities}
    depth = settings["readout_mlp_hidden_layers_depth"]
    return NequIPConfig(
        cutoff=settings["r_max"],
        l_max=settings["l_max"],
        irreps=str(layers.irreps_of(channels)),
        num_layers=settings["num_layers"],
        embedding=settings["type_embed_num_features"],
        self_connection="species",
        first_self_connection=settings["learnable_shift"],
        radial_hidden=(settings["radial_mlp_width"],) * settings["radial_mlp_depth"],
        num_bessels=settings["num_bessels"],
        trainable_bessels=True,
        envelope_power=settings["polynomial_cutoff_p"],
        readout_hidden=(settings["readout_mlp_hidden_layers_width"] or widths[0],) * depth,
    )


def _tensors(config: NequIPConfig, count: int, state: StateReader) -> dict[str, Tensor]:
    """All parameters but the scales."""
    plan = config.plan()
    embedding = state.take("type_embed.embed_module.weight", count, plan[0][SCALAR])
    frequencies = state.take("bessel_encode.bessel_weights", 1, config.num_bessels).squeeze(0)
    tensors = {
        "species": embedding.unsqueeze(1),
        "basis.frequencies": frequencies * (math.pi / config.cutoff),
    }
    gains: dict[Irrep, float] = {SCALAR: 1.0}
    harmonics = o3.Irreps.spherical_harmonics(config.l_max)
    for i, (ins, outs) in enumerate(pairwise(plan)):
        block = NequIPBlock(ins, outs, harmonics, gains, _as_listed(ins), _as_listed(outs))
        tensors |= _block(config, i, block, state, embedding)
        gains = layers.gate_gains(outs)
    readout = _mlp(
        state,
        "per_atom_energy_readout.mlp_module.mlp",
        [plan[-1][SCALAR], *config.readout_hidden, 1],
    )
    readout[0] = readout[0] * gains[SCALAR]
    return tensors | {f"readout.{2 * n}.weight": m.T for n, m in enumerate(readout)}


def _block(
    config: NequIPConfig, i: int, block: NequIPBlock, state: StateReader, embedding: Tensor
) -> dict[str, Tensor]:
    at = f"layer{i}_convnet.conv"
    sizes = [config.num_bessels, *config.radial_hidden, block.num_weights]
    radial = _mlp(state, f"{at}.edge_mlp.mlp", sizes)
    radial[0] = radial[0] * math.sqrt(2 / config.cutoff)
    radial[-1] = radial[-1] * block.signs(state, f"{at}.tp_scatter.tp._compiled_main_left_right")
    connection = None
    if i or config.first_self_connection:
        weight = state.take(f"{at}.sc.weight", block.species_size(embedding.shape[1]))
        connection = block.species_connection(weight, embedding)
    return block.parameters(
        f"blocks.{i}",
        rise=state.take(f"{at}.linear_1.weight", block.rise_size),
        fall=state.take(f"{at}.linear_2.weight", block.fall_size),
        connection=connection,
        radial=radial,
        is_sorted=False,
    )


def _mlp(state: StateReader, name: str, sizes: list[int]) -> list[Tensor]:
    """(in, out) of each layer, with the package's normalisation."""
    return [
        state.take(f"{name}.{2 * n}.weight", a, b) * math.sqrt((2.0 if n else 1.0) / a)
        for n, (a, b) in enumerate(pairwise(sizes))
    ]


def _as_listed(channels: dict[Irrep, int]) -> o3.Irreps:
    """Irreps of features in the package's order, by degree, the even ones first."""
    return o3.Irreps([(c, irrep) for irrep, c in channels.items()])


def _by_type(state: StateReader, name: str, settings: Mapping[str, Any]) -> Tensor:
    """(S,): the scales or shifts; those of a model without are 1 and 0."""
    values = state.take(f"per_type_energy_scale_shift.{name}").flatten()
    if not values.numel():
        values = torch.tensor([1.0 if name == "scales" else 0.0], dtype=torch.float64)
    return values.expand(len(settings["type_names"])).clone()


def _neighbors(path: Path, settings: Mapping[str, Any]) -> float:
    given = settings["avg_num_neighbors"]
    values = set(given.values()) if isinstance(given, Mapping) else {given}
    if len(values) > 1:
        raise TrainingError(
            f"{path}: its avg_num_neighbors differs between elements; what can be imported has one"
        )
    return float(values.pop())
