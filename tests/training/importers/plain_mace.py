"""A MACE in e3nn's own functions, edge by edge, and the file that its package would write of it.

It shares nothing with our network: its polynomials are all trees of couplings, many of which depend
on others. The file is a pickled module whose classes bear the package's names.
"""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, product
from pathlib import Path
from types import ModuleType

import torch
from ase.data import covalent_radii
from e3nn import o3
from e3nn.math import normalize2mom
from torch import nn

SILU = normalize2mom(torch.nn.functional.silu)
NUMBERS = (6, 1, 8)
CUTOFF, POWER, BASIS, RADIAL, READOUT, CHANNELS, L_MAX = 4.0, 5, 5, 7, 3, 4, 2
AVERAGE, SCALE, SHIFT = 9.0, 0.8, 0.3
DIM = (L_MAX + 1) ** 2
HARMONICS = o3.Irreps.spherical_harmonics(L_MAX)
ONE_HOT = o3.Irreps(f"{len(NUMBERS)}x0e")
SHARED = {"shared_weights": True, "internal_weights": False}


def irreps(l_max: int) -> o3.Irreps:
    return o3.Irreps([(CHANNELS, (l, (-1) ** l)) for l in range(l_max + 1)])


def trees(degrees: tuple[int, ...], out: int) -> Iterator[torch.Tensor]:
    """(2l₁+1, …, 2L+1) of each way to couple the degrees, one after the other."""
    if len(degrees) == 1:
        if degrees[0] == out:
            yield torch.eye(2 * out + 1)
        return
    for middle in range(abs(out - degrees[-1]), out + degrees[-1] + 1):
        for tree in trees(degrees[:-1], middle):
            yield torch.tensordot(tree, o3.wigner_3j(middle, degrees[-1], out), dims=1)


def u_matrix(degree: int, out: int) -> torch.Tensor:
    """(2L+1, d, …, P), without its first axis for scalars."""
    found = []
    for degrees in product(range(L_MAX + 1), repeat=degree):
        if (sum(degrees) + out) % 2 == 0:
            for tree in trees(degrees, out):
                whole = torch.zeros(*[DIM] * degree, 2 * out + 1)
                whole[tuple(slice(l * l, (l + 1) ** 2) for l in degrees)] = tree
                found.append(whole.movedim(-1, 0))
    return torch.stack(found, dim=-1).squeeze(0) if out == 0 else torch.stack(found, dim=-1)


class PlainMACE:
    """The network, with random weights in float64.

    Args:
        elaborate: with a density, Agnesi's transform and the repulsion of nuclei, else plain.
    """

    def __init__(self, elaborate: bool) -> None:
        generator = torch.Generator().manual_seed(5)
        self.random = lambda *size: torch.randn(*size, generator=generator)
        self.elaborate = elaborate
        self.embedding = self.random(len(NUMBERS) * CHANNELS)
        self.energies = self.random(len(NUMBERS))
        self.blocks = [
            Block(self, 0, 1, i == 0) if i == 0 else Block(self, 1, 0, False) for i in (0, 1)
        ]
        self.first_readout = self.random(CHANNELS)
        self.hidden, self.last = self.random(CHANNELS * READOUT), self.random(READOUT)

    def __call__(self, species, vectors, centre, neighbour):
        """(N,) energies in eV."""
        r = vectors.norm(dim=-1, keepdim=True)
        numbers = torch.tensor(NUMBERS)[species]
        radii = torch.tensor(covalent_radii)[numbers]
        sums = (radii[centre] + radii[neighbour])[:, None]
        x = self.transformed(r, sums / 2) if self.elaborate else r
        frequencies = torch.arange(1, BASIS + 1) * math.pi / CUTOFF
        envelope = polynomial(r / CUTOFF, POWER)
        basis = math.sqrt(2 / CUTOFF) * torch.sin(frequencies * x) / x * envelope
        sh = o3.spherical_harmonics(HARMONICS, -vectors, True, "component")
        one_hot = torch.eye(len(NUMBERS))[species]
        features = linear(ONE_HOT, irreps(0), self.embedding, one_hot)
        energy = torch.zeros(len(species))
        for block in self.blocks:
            features = block(features, one_hot, basis, sh, centre, neighbour)
            if block is self.blocks[0]:
                energy = (
                    energy + linear(irreps(1), o3.Irreps("0e"), self.first_readout, features)[:, 0]
                )
        inner = SILU(linear(irreps(0), o3.Irreps(f"{READOUT}x0e"), self.hidden, features))
        energy = (
            energy + linear(o3.Irreps(f"{READOUT}x0e"), o3.Irreps("0e"), self.last, inner)[:, 0]
        )
        if self.elaborate:
            pairs = self.repulsion(r, numbers[centre, None], numbers[neighbour, None], sums)
            energy = energy.index_add(0, centre, pairs[:, 0])
        return energy * SCALE + SHIFT + self.energies[species]

    @staticmethod
    def transformed(r, r0):
        q, p, a = 0.9183, 4.5791, 1.0805
        return 1 / (1 + a * (r / r0) ** q / (1 + (r / r0) ** (q - p)))

    @staticmethod
    def repulsion(r, zi, zj, reach):
        a = 0.4543 * 0.529 / (zi**0.3 + zj**0.3)
        terms = ((0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4028), (0.02817, 0.2016))
        phi = sum(c * torch.exp(-d * r / a) for c, d in terms)
        return 0.5 * 14.3996 * zi * zj / r * phi * polynomial(r / reach, POWER)


def polynomial(x, p):
    value = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1)
    return (value - p * (p + 1) / 2 * x ** (p + 2)) * (x < 1)


def linear(ins, outs, weight, x):
    return o3.Linear(ins, outs, **SHARED)(x, weight)


class Block:
    """One interaction and its product."""

    def __init__(self, plain: PlainMACE, ins: int, outs: int, first: bool) -> None:
        self.plain, self.first = plain, first
        self.ins, self.outs, self.messages = irreps(ins), irreps(outs), irreps(L_MAX)
        listed = [
            (i, j, x.mul, ir)
            for i, x in enumerate(self.ins)
            for j, y in enumerate(HARMONICS)
            for ir in x.ir * y.ir
            if ir in self.messages
        ]
        self.middle, place, _ = o3.Irreps([(mul, ir) for _, _, mul, ir in listed]).sort()
        paths = [(i, j, place[n], "uvu", True) for n, (i, j, _, _) in enumerate(listed)]
        paths.sort(key=lambda path: path[2])
        options = {"shared_weights": False, "internal_weights": False}
        self.product = o3.TensorProduct(self.ins, HARMONICS, self.middle, paths, **options)
        own = (self.messages, self.messages) if first else (self.ins, self.outs)
        self.connection = o3.FullyConnectedTensorProduct(own[0], ONE_HOT, own[1], **SHARED)
        random = plain.random
        sizes = [BASIS, RADIAL, RADIAL, self.product.weight_numel]
        self.radial = [random(a, b) for a, b in pairwise(sizes)]
        self.up = random(o3.Linear(self.ins, self.ins, **SHARED).weight_numel)
        self.down = random(o3.Linear(self.middle.simplify(), self.messages, **SHARED).weight_numel)
        self.skip = random(self.connection.weight_numel)
        self.last = random(o3.Linear(self.outs, self.outs, **SHARED).weight_numel)
        self.density = random(BASIS, 1)
        self.u = [[u_matrix(degree, l) for degree in (1, 2, 3)] for l in range(outs + 1)]
        self.paths = [
            [random(len(NUMBERS), u.shape[-1], CHANNELS) / u.shape[-1] for u in of] for of in self.u
        ]

    def __call__(self, features, one_hot, basis, sh, centre, neighbour):
        """(N, dim) features."""
        weights = basis
        for n, matrix in enumerate(self.radial):
            weights = weights @ matrix / math.sqrt(len(matrix))
            weights = SILU(weights) if n < 2 else weights
        up = linear(self.ins, self.ins, self.up, features)
        edges = self.product(up[neighbour], sh, weights)
        sums = torch.zeros(len(features), edges.shape[1]).index_add(0, centre, edges)
        messages = linear(self.middle.simplify(), self.messages, self.down, sums)
        if self.plain.elaborate:
            dense = torch.tanh((basis @ self.density / math.sqrt(BASIS)) ** 2)
            messages = messages / (torch.zeros(len(features), 1).index_add(0, centre, dense) + 1)
        else:
            messages = messages / AVERAGE
        if self.first:
            messages = self.connection(messages, one_hot, self.skip)
        parts = messages.split([m.dim for m in self.messages], -1)
        x = torch.cat([p.unflatten(-1, (CHANNELS, -1)) for p in parts], -1)
        new = linear(self.outs, self.outs, self.last, self.contracted(x, one_hot))
        return new if self.first else new + self.connection(features, one_hot, self.skip)

    def contracted(self, x, one_hot):
        found = []
        for l, (tensors, weights) in enumerate(zip(self.u, self.paths, strict=True)):
            total = 0
            for degree, (u, weight) in enumerate(zip(tensors, weights, strict=True), 1):
                u = u if l else u.unsqueeze(0)
                letters = "ijk"[:degree]
                factors = ",".join("nc" + letter for letter in letters)
                total = total + torch.einsum(
                    f"m{letters}p,npc,{factors}->ncm",
                    u,
                    torch.einsum("ns,spc->npc", one_hot, weight),
                    *[x] * degree,
                )
            found.append(total.flatten(1))
        return torch.cat(found, -1)


@contextmanager
def package() -> Iterator:
    """Makes modules of classes that bear the names of the package's."""
    made: dict[str, ModuleType] = {}
    before: dict[str, ModuleType | None] = {}

    def module(path: str, tensors=(), parts=(), **state) -> nn.Module:
        place, _, name = path.rpartition(".")
        for each in (place.partition(".")[0], place):
            if each not in made:
                made[each], before[each] = ModuleType(each), sys.modules.get(each)
                sys.modules[each] = made[each]
        kind = getattr(made[place], name, None) or type(name, (nn.Module,), {"__module__": place})
        setattr(made[place], name, kind)
        new = kind()
        for key, tensor in dict(tensors).items():
            new.register_buffer(key, tensor)
        for key, part in dict(parts).items():
            new.add_module(key, part)
        new.__dict__.update(state)
        return new

    try:
        yield module
    finally:
        for place, module_before in before.items():
            del sys.modules[place]
            if module_before is not None:
                sys.modules[place] = module_before


def listed(parts) -> nn.ModuleList:
    return nn.ModuleList(parts)


def write_mace(plain: PlainMACE, path: Path, **changes) -> None:
    """A model as the package's training saves it.

    Args:
        plain: the network.
        path: of the file.
        changes: attributes of the whole that are others.
    """
    elaborate = plain.elaborate
    with package() as module:
        radius = torch.tensor(CUTOFF)
        cutoff = {"p": torch.tensor(POWER, dtype=torch.int32), "r_max": radius}
        radial = {
            "bessel_fn": module(
                "mace.modules.radial.BesselBasis",
                {"bessel_weights": torch.arange(1, BASIS + 1) * math.pi / CUTOFF, "r_max": radius},
            ),
            "cutoff_fn": module("mace.modules.radial.PolynomialCutoff", cutoff),
        }
        parts = {
            "node_embedding": module(
                "mace.modules.blocks.LinearNodeEmbeddingBlock",
                parts={"linear": _linear(module, plain.embedding)},
            ),
            "atomic_energies_fn": module(
                "mace.modules.blocks.AtomicEnergiesBlock", {"atomic_energies": plain.energies[None]}
            ),
            "scale_shift": module(
                "mace.modules.blocks.ScaleShiftBlock",
                {"scale": torch.tensor(SCALE), "shift": torch.tensor(SHIFT)},
            ),
        }
        if elaborate:
            radial["distance_transform"] = module("mace.modules.radial.AgnesiTransform")
            parts["pair_repulsion_fn"] = module("mace.modules.radial.ZBLBasis", {"p": cutoff["p"]})
        parts["radial_embedding"] = module("mace.modules.blocks.RadialEmbeddingBlock", parts=radial)
        parts["interactions"] = listed([_interaction(module, b, elaborate) for b in plain.blocks])
        parts["products"] = listed([_product(module, block) for block in plain.blocks])
        parts["readouts"] = listed(_readouts(module, plain))
        state = {"heads": ["Default"], **changes}
        numbers = {"atomic_numbers": torch.tensor(NUMBERS), "r_max": radius}
        whole = module("mace.modules.models.ScaleShiftMACE", numbers, parts, **state)
        torch.save(whole, path)


def _linear(module, weight: torch.Tensor) -> nn.Module:
    return module("mace.layers.Linear", {"weight": weight, "output_mask": torch.ones(1)})


def _interaction(module, block: Block, elaborate: bool) -> nn.Module:
    kind = ("Density" if elaborate else "") + ("" if block.first else "Residual")
    network = {
        f"layer{n}": module("mace.layers._Layer", {"weight": m}) for n, m in enumerate(block.radial)
    }
    parts = {
        "linear_up": _linear(module, block.up),
        "linear": _linear(module, block.down),
        "skip_tp": _linear(module, block.skip),
        "conv_tp_weights": module("mace.layers.FullyConnectedNet", parts=network),
    }
    if elaborate:
        layer = {"layer0": module("mace.layers._Layer", {"weight": block.density})}
        parts["density_fn"] = module("mace.layers.FullyConnectedNet", parts=layer)
    return module(
        f"mace.modules.blocks.RealAgnostic{kind}InteractionBlock",
        parts=parts,
        node_feats_irreps=block.ins,
        edge_attrs_irreps=HARMONICS,
        edge_irreps=block.ins,
        avg_num_neighbors=AVERAGE,
    )


def _product(module, block: Block) -> nn.Module:
    contractions = []
    for tensors, weights in zip(block.u, block.paths, strict=True):
        buffers = {f"U_matrix_{n}": u for n, u in enumerate(tensors, 1)}
        lower = {str(n): w for n, w in enumerate(reversed(weights[:-1]))}
        contractions.append(
            module(
                "mace.modules.symmetric_contraction.Contraction",
                {**buffers, "weights_max": weights[-1]},
                {"weights": module("mace.layers.ParameterList", lower)},
                correlation=3,
            )
        )
    contraction = module(
        "mace.modules.symmetric_contraction.SymmetricContraction",
        parts={"contractions": listed(contractions)},
    )
    parts = {"symmetric_contractions": contraction, "linear": _linear(module, block.last)}
    return module("mace.modules.blocks.EquivariantProductBasisBlock", parts=parts)


def _readouts(module, plain: PlainMACE) -> list[nn.Module]:
    act = module("mace.layers.normalize2mom", f=torch.nn.functional.silu)
    activation = module("mace.layers.Activation", parts={"acts": listed([act])})
    last = {
        "linear_1": _linear(module, plain.hidden),
        "non_linearity": activation,
        "linear_2": _linear(module, plain.last),
    }
    first = {"linear": _linear(module, plain.first_readout)}
    return [
        module("mace.modules.blocks.LinearReadoutBlock", parts=first),
        module("mace.modules.blocks.NonLinearReadoutBlock", parts=last),
    ]
