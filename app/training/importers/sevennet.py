"""SevenNet's checkpoints (Park et al., J. Chem. Theory Comput. 20, 4857, 2024; MIT licence).

A SevenNet is a NequIP. Its energies are those of this architecture to rounding; the two linear
layers of its readout are one here, and so are the constants of its activations and the weights
that they multiply.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers, chemical_symbols
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
    "Y. Park, J. Kim, S. Hwang, S. Han, Scalable Parallel Algorithm for Graph Neural Network "
    "Interatomic Potentials in Molecular Dynamics Simulations, J. Chem. Theory Comput. 20, 4857 (2024)"
)
FIXED: Mapping[str, tuple[Any, ...]] = {
    "_model_type": ("E3_equivariant_model",),
    "interaction_type": ("nequip",),
    "act_radial": ("silu",),
    "use_bias_in_linear": (False,),
    "readout_as_fcn": (False,),
    "use_modality": (False,),
    "_normalize_sph": (True,),
    "optimize_by_reduce": (True,),
    "lmax_edge": (-1,),
    "lmax_node": (-1,),
    "train_denominator": (False, True),
}
"""Settings of which some values are none of this architecture's."""
DEFAULTS: Mapping[str, Any] = {
    "self_connection_type": "nequip",
    "act_scalar": {"e": "silu", "o": "tanh"},
    "act_gate": {"e": "silu", "o": "tanh"},
    "irreps_manual": False,
    "is_parity": True,
}
CONSTANTS = ("output_mask", "_w3j_")


def read(path: Path) -> ImportedModel:
    """The model in a checkpoint; see `Importer.read`."""
    content = load_pickled(path)
    if not {"config", "model_state_dict"} <= content.keys():
        raise TrainingError(
            f"{path}: a SevenNet checkpoint has config and model_state_dict; this one has "
            f"{', '.join(map(str, content))}"
        )
    settings = {**DEFAULTS, **content["config"]}
    settings.setdefault("_normalize_sph", _version(settings) >= (0, 10))
    _check(path, settings)
    config = _config(path, settings)
    state = StateReader(content["model_state_dict"], str(path))
    reader = _Reader(config, settings, state)
    tensors = reader.tensors()
    scale, shifts = reader.scale(), reader.shifts()
    state.ignore(*CONSTANTS)
    state.finish()
    statistics = Statistics(
        elements=tuple(chemical_symbols[z] for z in reader.numbers),
        atomic_energies={},
        force_scale=float(scale.abs().mean()),
        average_neighbors=reader.denominator**2,
    )
    source = Imported(
        format="sevennet", source=path.name, digest=digest_of(path), citation=CITATION
    )
    return finished(config, statistics, tensors | {"scale": scale}, shifts, source)


def calculator(path: Path) -> Calculator:
    """SevenNet's own calculator, on the CPU; see `Importer.calculator`."""
    from sevenn.calculator import SevenNetCalculator

    own: Calculator = SevenNetCalculator(str(path), device="cpu")
    return own


def _check(path: Path, settings: Mapping[str, Any]) -> None:
    for key, allowed in FIXED.items():
        if settings.get(key, allowed[0]) not in allowed:
            raise TrainingError(
                f"{path}: its {key} is {settings[key]!r}; what can be imported has "
                f"{' or '.join(map(repr, allowed))}"
            )
    if settings["act_scalar"] != DEFAULTS["act_scalar"] or settings["act_gate"]["e"] != "silu":
        raise TrainingError(f"{path}: its gates have activations other than silu and tanh")
    if settings["radial_basis"]["radial_basis_name"] != "bessel":
        raise TrainingError(f"{path}: its radial basis is no Bessel basis")
    if settings["self_connection_type"] not in ("nequip", "linear"):
        raise TrainingError(
            f"{path}: its self_connection_type is {settings['self_connection_type']!r}; what can "
            "be imported has 'nequip' or 'linear' in all layers"
        )


def _config(path: Path, settings: Mapping[str, Any]) -> NequIPConfig:
    envelope = dict(settings["cutoff_function"])
    count = settings["num_convolution_layer"]
    features = _irreps(path, settings, count)
    return NequIPConfig(
        cutoff=settings["cutoff"],
        l_max=settings["lmax"],
        irreps=str(features),
        parity=settings["is_parity"],
        num_layers=count,
        embedding=_embedding(settings),
        self_connection="linear" if settings["self_connection_type"] == "linear" else "species",
        radial_hidden=tuple(settings["weight_nn_hidden_neurons"]),
        num_bessels=settings["radial_basis"].get("bessel_basis_num", 8),
        trainable_bessels=True,
        **(
            {"envelope": "xplor", "envelope_onset": envelope["cutoff_on"]}
            if envelope["cutoff_function_name"] == "XPLOR"
            else {"envelope_power": envelope.get("poly_cut_p_value", 6)}
        ),
    )


def _embedding(settings: Mapping[str, Any]) -> int:
    manual = settings["irreps_manual"]
    return int(o3.Irreps(manual[0]).dim if manual else settings["channel"])


def _irreps(path: Path, settings: Mapping[str, Any], count: int) -> o3.Irreps:
    """Of the features between layers, the same in all of them."""
    if not settings["irreps_manual"]:
        parities = (1, -1) if settings["is_parity"] else (1,)
        degrees = range(settings["lmax"] + 1) if count > 1 else (0,)
        channels = {(l, p): settings["channel"] for l in degrees for p in parities}
        return layers.irreps_of(channels)
    first, *rest = (o3.Irreps(text) for text in settings["irreps_manual"])
    between, last = rest[:-1], rest[-1]
    scalars = o3.Irreps([(mul, ir) for mul, ir in (between or rest)[0] if ir == o3.Irrep("0e")])
    if any(irreps != between[0] for irreps in between) or last != scalars or first.lmax:
        raise TrainingError(
            f"{path}: its irreps_manual is {settings['irreps_manual']}; what can be imported has "
            "scalars first, the same irreps in all layers, and their even scalars in the last"
        )
    return between[0] if between else last


class _Reader:
    """The parameters of our network from the layers of theirs."""

    def __init__(
        self, config: NequIPConfig, settings: Mapping[str, Any], state: StateReader
    ) -> None:
        self.config, self.settings, self.state = config, settings, state
        self.numbers = _in_order(settings["_type_map"])
        self.denominator = float(state.take("0_convolution.denominator"))
        parity = -1 if config.parity else 1
        self.harmonics = o3.Irreps.spherical_harmonics(config.l_max, parity)
        self.is_sorted = _version(settings) >= (0, 11)

    def tensors(self) -> dict[str, Tensor]:
        """All parameters but the scales."""
        count, plan = len(self.numbers), self.config.plan()
        width = plan[0][SCALAR]
        embedding = layers.linear(
            o3.Irreps(f"{count}x0e"),
            o3.Irreps(f"{width}x0e"),
            self.state.take("onehot_to_feature_x.linear.weight", count * width),
        )[SCALAR]
        tensors = {
            "species": embedding.unsqueeze(1),
            "basis.frequencies": self.state.take(
                "edge_embedding.basis_function.coeffs", self.config.num_bessels
            ),
        }
        gains: dict[Irrep, float] = {SCALAR: 1.0}
        for i in range(self.config.num_layers):
            tensors |= self._block(i, plan[i], plan[i + 1], gains)
            gains = layers.gate_gains(plan[i + 1])
        tensors["readout.0.weight"] = self._readout(plan[-1][SCALAR]) * gains[SCALAR]
        return tensors

    def _block(
        self,
        i: int,
        ins: dict[Irrep, int],
        outs: dict[Irrep, int],
        gains: dict[Irrep, float],
    ) -> dict[str, Tensor]:
        block = NequIPBlock(ins, outs, self.harmonics, gains)
        take = self.state.take
        rise = take(f"{i}_self_interaction_1.linear.weight", block.rise_size)
        fall = take(f"{i}_self_interaction_2.linear.weight", block.fall_size)
        if self.config.self_connection == "linear":
            weight = take(f"{i}_self_connection_intro.linear.weight", block.linear_size)
            connection = block.linear_connection(weight)
        else:
            count = len(self.numbers)
            weight = take(
                f"{i}_self_connection_intro.fc_tensor_product.weight", block.species_size(count)
            )
            connection = block.species_connection(weight, torch.eye(count, dtype=torch.float64))
        denominator = self.denominator if i == 0 else float(take(f"{i}_convolution.denominator"))
        return block.parameters(
            f"blocks.{i}",
            rise=rise,
            fall=fall * (self.denominator / denominator),
            connection=connection,
            radial=self._radial(i, block),
            is_sorted=self.is_sorted,
        )

    def _radial(self, i: int, block: NequIPBlock) -> list[Tensor]:
        """(in, out) of each layer, with the constants of e3nn's activations."""
        sizes = [self.config.num_bessels, *self.config.radial_hidden, block.num_weights]
        matrices = []
        for n, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            weight = self.state.take(f"{i}_convolution.weight_nn.layer{n}.weight", fan_in, fan_out)
            gain = layers.SILU if n else math.sqrt(2 / self.config.cutoff)
            matrices.append(weight * (gain / math.sqrt(fan_in)))
        if not self.is_sorted:
            name = f"{i}_convolution.convolution._compiled_main_left_right"
            matrices[-1] = matrices[-1] * block.signs(self.state, name)
        return matrices

    def _readout(self, width: int) -> Tensor:
        """(1, width): the product of two linear layers."""
        hidden = width // 2
        first = layers.linear(
            o3.Irreps(f"{width}x0e"),
            o3.Irreps(f"{hidden}x0e"),
            self.state.take("reduce_input_to_hidden.linear.weight", width * hidden),
        )[SCALAR]
        second = layers.linear(
            o3.Irreps(f"{hidden}x0e"),
            o3.Irreps("1x0e"),
            self.state.take("reduce_hidden_to_energy.linear.weight", hidden),
        )[SCALAR]
        return (first @ second).T

    def scale(self) -> Tensor:
        """(S,), of the energy."""
        return self.state.take("rescale_atomic_energy.scale").expand(len(self.numbers)).clone()

    def shifts(self) -> Tensor:
        """(S,), eV."""
        return self.state.take("rescale_atomic_energy.shift").expand(len(self.numbers)).clone()


def _in_order(type_map: Mapping[int, int]) -> list[int]:
    """Atomic numbers, in the order of the species."""
    numbers = sorted(type_map, key=lambda number: type_map[number])
    return [atomic_numbers[chemical_symbols[number]] for number in numbers]


def _version(settings: Mapping[str, Any]) -> tuple[int, ...]:
    numbers = str(settings.get("version", "0")).split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdecimal())
