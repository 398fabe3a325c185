"""A NequIP in e3nn's own layers, edge by edge, and the files that three packages would write of it.

It shares nothing with our network, and keeps the packages' normalisations, orders and names.
"""

import io
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from e3nn import o3
from e3nn.math import normalize2mom
from scipy.special import ndtri

SILU = torch.nn.functional.silu
ELEMENTS = ("C", "H", "O")
NUMBERS = (6, 1, 8)
CUTOFF = 4.0
BASIS, HIDDEN = 5, 7
NEIGHBORS = 9.0


@dataclass(frozen=True)
class Kind:
    """What tells the packages apart.

    Attributes:
        gain: what activations are multiplied with.
        radial_gain: the same in the radial network.
        radial_scale: by layer and fan-in, what its matrices are multiplied with.
        is_sorted: whether the convolution's weights are in the order of its results.
        embedding: scalars of an element; None: one-hot.
        features: irreps of the features, in the package's order.
        parity: whether harmonics have a parity.
        species: whether self-connections depend on the element.
        first: whether the first block has one.
        norm: whether there is a layer norm.
    """

    gain: float
    radial_gain: float
    radial_scale: object
    is_sorted: bool
    embedding: int | None
    features: str
    parity: bool = True
    species: bool = False
    first: bool = True
    norm: bool = False


def quantile_gain() -> float:
    """e3nn-jax's constant of SiLU."""
    x = torch.from_numpy(ndtri(np.linspace(0, 1, 1_000_003)[1:-1]))
    return float(SILU(x).square().mean().rsqrt())


KINDS = {
    "sevennet": Kind(
        normalize2mom(SILU).cst, normalize2mom(SILU).cst, lambda n, a: a**-0.5, True, 6,
        "6x0e+4x1e+3x2e", parity=False,
    ),
    "sevennet, old": Kind(
        normalize2mom(SILU).cst, normalize2mom(SILU).cst, lambda n, a: a**-0.5, False, 6,
        "6x0e+4x1o+3x2e", species=True,
    ),
    "nequix": Kind(
        quantile_gain(), 1.0, lambda n, a: 1.0, True, None, "6x0e+4x1o+3x2e", norm=True,
    ),
    "nequip": Kind(
        normalize2mom(SILU).cst, 1.0, lambda n, a: ((2.0 if n else 1.0) / a) ** 0.5, False, 5,
        "6x0e+6x0o+4x1e+4x1o+3x2e+3x2o", species=True, first=False,
    ),
}  # fmt: skip


class Plain:
    """The network, with random weights in float64."""

    def __init__(self, kind: Kind, layers: int = 3) -> None:
        self.kind = kind
        generator = torch.Generator().manual_seed(5)
        self.random = lambda *size: torch.randn(*size, generator=generator, dtype=torch.float64)
        self.harmonics = o3.Irreps.spherical_harmonics(2, -1 if kind.parity else 1)
        count = len(ELEMENTS)
        width = kind.embedding or count
        one_hot = torch.eye(count, dtype=torch.float64)
        self.embedding = one_hot if kind.embedding is None else self.random(count, width)
        self.attributes = self.embedding if not kind.first else one_hot
        self.blocks = []
        ins = o3.Irreps(f"{width}x0e")
        wanted = o3.Irreps(kind.features)
        for i in range(layers):
            last = o3.Irreps([x for x in wanted if x.ir == o3.Irrep("0e")])
            block = Block(
                self, ins, last if i == layers - 1 else wanted, connected=kind.first or i > 0
            )
            self.blocks.append(block)
            ins = block.outs
        self.readout = self.random(6, 1)
        self.scale, self.shift = self.random(count).abs() + 0.5, self.random(count)

    def __call__(self, species, vectors, centre, neighbour):
        """(N,) energies in eV."""
        r = vectors.norm(dim=-1, keepdim=True)
        frequencies = torch.arange(1, BASIS + 1) * math.pi / CUTOFF
        x = r / CUTOFF
        envelope = (1 - 28 * x**6 + 48 * x**7 - 21 * x**8) * (x < 1)
        basis = 2 / CUTOFF * torch.sin(frequencies * r) / r * envelope
        sh = o3.spherical_harmonics(self.harmonics, vectors, True, "component")
        features = self.embedding[species]
        for block in self.blocks:
            features = block(features, species, basis, sh, centre, neighbour)
        width = len(self.readout)
        energies = (features @ self.readout).squeeze(-1) / math.sqrt(width)
        return energies * self.scale[species] + self.shift[species]


class Block:
    """One interaction block."""

    def __init__(self, plain: Plain, ins: o3.Irreps, wanted: o3.Irreps, connected: bool) -> None:
        kind, self.kind, self.ins = plain.kind, plain.kind, ins
        reached = {ir for _, a in ins for _, b in plain.harmonics for ir in a * b}
        self.outs = o3.Irreps([x for x in wanted if x.ir in reached])
        self.gates = sum(x.mul for x in self.outs if x.ir.l)
        to_gate = (o3.Irreps(f"{self.gates}x0e") + self.outs).sort().irreps.simplify()
        listed = [
            (i, j, x.mul, ir)
            for i, x in enumerate(ins)
            for j, y in enumerate(plain.harmonics)
            for ir in x.ir * y.ir
            if ir in self.outs
        ]
        middle, place, _ = o3.Irreps([(mul, ir) for _, _, mul, ir in listed]).sort()
        paths = [(i, j, place[n], "uvu", True) for n, (i, j, _, _) in enumerate(listed)]
        if kind.is_sorted:
            paths.sort(key=lambda path: path[2])
        options = {"shared_weights": False, "internal_weights": False}
        self.product = o3.TensorProduct(ins, plain.harmonics, middle, paths, **options)
        shared = {"shared_weights": True, "internal_weights": False}
        self.first = o3.Linear(ins, ins, **shared)
        self.second = o3.Linear(middle.simplify(), to_gate, **shared)
        self.attributes = plain.attributes
        width = plain.attributes.shape[1]
        self.connection = (
            o3.FullyConnectedTensorProduct(ins, f"{width}x0e", to_gate, **shared)
            if kind.species
            else o3.Linear(ins, to_gate, **shared)
        )
        self.connected = connected
        self.to_gate = to_gate
        random, sizes = plain.random, [BASIS, HIDDEN, HIDDEN, self.product.weight_numel]
        self.radial = [random(a, b) for a, b in pairwise(sizes)]
        self.w1, self.w2 = random(self.first.weight_numel), random(self.second.weight_numel)
        self.wc = random(self.connection.weight_numel)
        self.norms = [random(x.mul) for x in to_gate]

    def __call__(self, features, species, basis, sh, centre, neighbour):
        """(N, dim) features."""
        weights = basis
        for n, matrix in enumerate(self.radial):
            weights = weights @ matrix * self.kind.radial_scale(n, len(matrix))
            weights = SILU(weights) * self.kind.radial_gain if n < 2 else weights
        messages = self.product(self.first(features, self.w1)[neighbour], sh, weights)
        sums = torch.zeros(len(features), messages.shape[1]).index_add(0, centre, messages)
        x = self.second(sums / math.sqrt(NEIGHBORS), self.w2)
        if self.connected and self.kind.species:
            x = x + self.connection(features, self.attributes[species], self.wc)
        elif self.connected:
            x = x + self.connection(features, self.wc)
        parts = {
            m.ir: p.unflatten(-1, (m.mul, m.ir.dim))
            for m, p in zip(self.to_gate, x.split([m.dim for m in self.to_gate], -1), strict=True)
        }
        return self.gate(self.normed(parts) if self.kind.norm else parts)

    def normed(self, parts):
        squares = sum(p.square().sum((1, 2)) / p.shape[2] ** 2 for p in parts.values())
        inverse = (squares / len(parts)).rsqrt()[:, None, None]
        return {
            ir: p * inverse * w[:, None]
            for (ir, p), w in zip(parts.items(), self.norms, strict=True)
        }

    def gate(self, parts):
        scalars = parts[o3.Irrep("0e")]
        even, gates = scalars[:, : len(scalars[0]) - self.gates], scalars[:, -self.gates or None :]
        gates = iter(gates.split([m.mul for m in self.outs if m.ir.l], 1) if self.gates else ())
        tanh = normalize2mom(torch.tanh).cst
        out = []
        for m in self.outs:
            if m.ir == o3.Irrep("0e"):
                out.append(SILU(even) * self.kind.gain)
            elif m.ir.l == 0:
                out.append(torch.tanh(parts[m.ir]) * tanh)
            else:
                out.append(parts[m.ir] * SILU(next(gates)) * self.kind.gain)
        return torch.cat([p.flatten(1) for p in out], -1)


def write_sevennet(plain: Plain, path: Path, **changes) -> None:
    """A checkpoint of SevenNet."""
    kind, count = plain.kind, len(ELEMENTS)
    width = plain.embedding.shape[1]
    hidden = plain.random(6, 3)
    second = torch.linalg.lstsq(hidden, plain.readout).solution
    plain.readout = hidden @ second
    root = math.sqrt
    state = {
        "edge_embedding.basis_function.coeffs": torch.arange(1, BASIS + 1) * math.pi / CUTOFF,
        "onehot_to_feature_x.linear.weight": (plain.embedding * root(count)).flatten(),
        "onehot_to_feature_x.linear.output_mask": torch.ones(width),
        "reduce_input_to_hidden.linear.weight": hidden.flatten(),
        "reduce_hidden_to_energy.linear.weight": (second * root(3)).flatten(),
        "rescale_atomic_energy.shift": plain.shift,
        "rescale_atomic_energy.scale": plain.scale,
    }
    for i, block in enumerate(plain.blocks):
        connection = "fc_tensor_product" if kind.species else "linear"
        state |= {
            f"{i}_self_interaction_1.linear.weight": block.w1,
            f"{i}_self_interaction_2.linear.weight": block.w2,
            f"{i}_self_connection_intro.{connection}.weight": block.wc,
            f"{i}_convolution.denominator": torch.tensor([root(NEIGHBORS)]),
        }
        for n, matrix in enumerate(block.radial):
            state[f"{i}_convolution.weight_nn.layer{n}.weight"] = matrix
    features = str(o3.Irreps(kind.features))
    config = {
        "version": "0.11.2" if kind.is_sorted else "0.10.0",
        "_type_map": {z: i for i, z in enumerate(NUMBERS)},
        "irreps_manual": [f"{width}x0e", *[features] * (len(plain.blocks) - 1), "6x0e"],
        "channel": 6,
        "lmax": 2,
        "is_parity": kind.parity,
        "radial_basis": {"radial_basis_name": "bessel", "bessel_basis_num": BASIS},
        "cutoff_function": {"cutoff_function_name": "poly_cut", "poly_cut_p_value": 6},
        "cutoff": CUTOFF,
        "num_convolution_layer": len(plain.blocks),
        "weight_nn_hidden_neurons": [HIDDEN, HIDDEN],
        "self_connection_type": "nequip" if kind.species else "linear",
        "_normalize_sph": True,
        "shift": np.ones(3, dtype=np.float32),
        **changes,
    }
    torch.save({"config": config, "model_state_dict": state}, path)


def write_nequix(plain: Plain, path: Path, **changes) -> None:
    """A checkpoint of Nequix."""
    arrays = [plain.shift]
    for block in plain.blocks:
        arrays += block.radial
        arrays += _parts(block.first, block.w1) + _parts(block.second, block.w2)
        arrays += _parts(block.connection, block.wc) + block.norms
    config = {
        "cutoff": CUTOFF,
        "atomic_numbers": NUMBERS,
        "hidden_irreps": plain.kind.features,
        "lmax": 2,
        "n_layers": 3,
        "radial_basis_size": BASIS,
        "radial_mlp_size": HIDDEN,
        "radial_mlp_layers": 2,
        "radial_polynomial_p": 6.0,
        "index_weights": False,
        "layer_norm": True,
        "shift": 0.0,
        "scale": 0.7,
        "avg_n_neighbors": NEIGHBORS,
        **changes,
    }
    plain.scale = torch.full((3,), 0.7, dtype=torch.float64)
    file = io.BytesIO()
    file.write(json.dumps(config).encode() + b"\n")
    for array in [*arrays, plain.readout]:
        np.save(file, array.numpy())
    path.write_bytes(file.getvalue())


def _parts(layer: o3.Linear, weight: torch.Tensor) -> list[torch.Tensor]:
    return list(layer.weight_views(weight))


def write_nequip(plain: Plain, path: Path, averaged: bool = False, **changes) -> None:
    """A checkpoint of the nequip package."""
    state = {
        "type_embed.embed_module.weight": plain.embedding,
        "edge_norm._rmax_recip": torch.tensor(1 / CUTOFF),
        "bessel_encode.bessel_weights": torch.arange(1, BASIS + 1).double()[None],
    }
    for i, block in enumerate(plain.blocks):
        at = f"layer{i}_convnet.conv"
        state[f"{at}.linear_1.weight"] = block.w1
        state |= {f"{at}.edge_mlp.mlp.{2 * n}.weight": m for n, m in enumerate(block.radial)}
        state[f"{at}.linear_2.weight"] = block.w2
        if block.connected:
            state[f"{at}.sc.weight"] = block.wc
    state["per_atom_energy_readout.mlp_module.mlp.0.weight"] = plain.readout
    learnt = [name for name in state if "_rmax" not in name and "bessel" not in name]
    state["per_type_energy_scale_shift.scales"] = plain.scale[:, None]
    state["per_type_energy_scale_shift.shifts"] = plain.shift[:, None]
    content = {f"model.sole_model.model.func.{name}": t for name, t in state.items()}
    if averaged:
        content |= {f"ema.ema_weight_{n}": state[name] for n, name in enumerate(learnt)}
        content |= {
            f"model.sole_model.model.func.{name}": torch.zeros_like(state[name]) for name in learnt
        }
    model = {
        "_target_": "nequip.model.NequIPGNNModel",
        "seed": 1,
        "model_dtype": "float32",
        "r_max": CUTOFF,
        "type_names": list(ELEMENTS),
        "num_layers": 3,
        "l_max": 2,
        "num_features": [6, 4, 3],
        "type_embed_num_features": 5,
        "radial_mlp_depth": 2,
        "radial_mlp_width": HIDDEN,
        "num_bessels": BASIS,
        "avg_num_neighbors": NEIGHBORS,
        "per_type_energy_scales": 1.0,
        "per_type_energy_shifts": 0.0,
        **changes,
    }
    trainer = "EMALightningModule" if averaged else "NequIPLightningModule"
    info = {"training_module": {"_target_": f"nequip.train.{trainer}"}}
    hyper = {"model": model, "info_dict": info}
    torch.save({"state_dict": content, "hyper_parameters": hyper}, path)
