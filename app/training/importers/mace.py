"""MACE's models as its training saves them (Batatia et al., NeurIPS 2022; MIT licence).

Such a file is a pickled module, of which the weights and the settings are read. The polynomials of
its contractions are written in terms of ours, which span the same space.
"""

import itertools
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols
from e3nn import o3
from torch import Tensor

from app.atoms.irreps import Irrep, harmonic_irreps
from app.errors import TrainingError
from app.store.imported import Imported
from app.training.importers import e3nn_layers as layers
from app.training.importers.imported import ImportedModel, StateReader, finished
from app.training.importers.inert import Inert, irreps_of, load_module
from app.training.importers.source import digest_of
from app.training.models import Statistics
from app.training.models.contraction import polynomials
from app.training.models.convolution import products_of
from app.training.models.equivariant import SCALAR, Channels
from app.training.models.mace import MACEConfig

CITATION = (
    "I. Batatia, D. P. Kovács, G. N. C. Simm, C. Ortner, G. Csányi, MACE: Higher Order Equivariant "
    "Message Passing Neural Networks for Fast and Accurate Force Fields, NeurIPS 35 (2022)"
)
INTERACTIONS: Mapping[str, tuple[bool, bool]] = {
    "RealAgnosticInteractionBlock": (False, False),
    "RealAgnosticResidualInteractionBlock": (True, False),
    "RealAgnosticDensityInteractionBlock": (False, True),
    "RealAgnosticDensityResidualInteractionBlock": (True, True),
}
"""Whether they are residual, and whether they have a density."""
UNUSED = {"use_so3": False, "use_last_readout_only": False, "use_agnostic_product": False}
"""Settings of which only this value has a place here."""
CONSTANTS = (
    *("atomic_numbers", "r_max", "num_interactions", "bessel_weights", "prefactor", "cutoff_fn."),
    *("distance_transform.", "pair_repulsion_fn.", "output_mask", "_zeroed", "_w3j", "U_matrix_"),
    *("spherical_harmonics.",),
)
INDEPENDENT = 1e-5
"""Of a polynomial's length, what may be left when it is written in terms of ours."""


def read(path: Path) -> ImportedModel:
    """The model in a file; see `Importer.read`."""
    module = load_module(path)
    _check(path, module)
    config = _config(path, module)
    state = StateReader(dict(module.tensors()), str(path))
    numbers = module.get("atomic_numbers").tolist()
    reader = _Reader(config, module, state, len(numbers), str(path))
    tensors, shifts = reader.tensors(), reader.shifts()
    state.ignore(*CONSTANTS)
    state.finish()
    statistics = Statistics(
        elements=tuple(chemical_symbols[z] for z in numbers),
        atomic_energies={},
        force_scale=float(tensors["scale"].abs().mean()),
        average_neighbors=reader.neighbors,
    )
    source = Imported(format="mace", source=path.name, digest=digest_of(path), citation=CITATION)
    return finished(config, statistics, tensors, shifts, source)


def calculator(path: Path) -> Calculator:
    """MACE's own calculator, on the CPU; see `Importer.calculator`.

    Its model is built by the package and given the file's weights: to load the file as the package
    does would run code from it.
    """
    from mace import modules
    from mace.calculators import MACECalculator

    module = load_module(path)
    config = _config(path, module)
    tensors = dict(module.tensors())
    blocks = [block.kind for block in _list(module, "interactions")]
    given: dict[str, Any] = {
        "r_max": config.cutoff,
        "num_bessel": config.num_bessels,
        "num_polynomial_cutoff": config.envelope_power,
        "max_ell": config.l_max,
        "interaction_cls_first": modules.interaction_classes[blocks[0]],
        "interaction_cls": modules.interaction_classes[blocks[-1]],
        "num_interactions": config.num_layers,
        "num_elements": len(tensors["atomic_numbers"]),
        "hidden_irreps": o3.Irreps(str(_channels(config.feature_l, config.channels))),
        "MLP_irreps": o3.Irreps(f"{config.readout_hidden}x0e"),
        "atomic_energies": tensors["atomic_energies_fn.atomic_energies"].numpy(),
        "avg_num_neighbors": float(_list(module, "interactions")[0].get("avg_num_neighbors")),
        "atomic_numbers": tensors["atomic_numbers"].tolist(),
        "correlation": config.correlation,
        "gate": torch.nn.functional.silu,
        "pair_repulsion": config.nuclear_repulsion,
        "distance_transform": "Agnesi" if config.distance_transform == "agnesi" else "None",
        "radial_MLP": list(config.radial_hidden),
        "use_reduced_cg": bool(module.get("use_reduced_cg", False)),
    }
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        if module.kind == "ScaleShiftMACE":
            shift, scale = (tensors[f"scale_shift.{name}"] for name in ("shift", "scale"))
            model = modules.ScaleShiftMACE(
                atomic_inter_scale=scale.item(), atomic_inter_shift=shift.item(), **given
            )
        else:
            model = modules.MACE(**given)
        model.load_state_dict(tensors, strict=False)
        own: Calculator = MACECalculator(models=[model], device="cpu", default_dtype="float64")
    finally:
        torch.set_default_dtype(before)
    return own


def _check(path: Path, module: Inert) -> None:
    """Whether our architecture has all that the model is.

    Raises:
        TrainingError: naming what it has not.
    """

    def refuse(what: str) -> TrainingError:
        return TrainingError(f"{path}: {what}; our architecture mace does not have that")

    if module.kind not in ("MACE", "ScaleShiftMACE"):
        raise refuse(f"it is a {module.path}")
    heads = module.get("heads") or ["Default"]
    if len(heads) > 1:
        raise refuse(f"it has the heads {', '.join(map(str, heads))}")
    for name, only in UNUSED.items():
        if module.get(name, only) != only:
            raise refuse(f"its {name} is {module.get(name)}")
    for name in ("joint_embedding", "embedding_readout"):
        if module.get(name) is not None:
            raise refuse(f"it has a {name}")
    radial = module.get("radial_embedding")
    if radial.get("bessel_fn").kind != "BesselBasis" or not radial.get("apply_cutoff", True):
        raise refuse("its radial basis is not one of Bessel functions times the cutoff")
    transform = radial.get("distance_transform")
    if transform is not None and transform.kind != "AgnesiTransform":
        raise refuse(f"its distance transform is {transform.kind}")
    for i, block in enumerate(_list(module, "interactions")):
        if block.kind not in INTERACTIONS:
            raise refuse(f"its interaction {i} is a {block.kind}")
        own, edges = (irreps_of(block.get(k, "")) for k in ("node_feats_irreps", "edge_irreps"))
        if edges and edges != own:
            raise refuse(f"its interaction {i} has edge_irreps {edges}")
    *before, last = _list(module, "readouts")
    if last.kind != "NonLinearReadoutBlock" or any(r.kind != "LinearReadoutBlock" for r in before):
        raise refuse("its readouts are not linear ones and a last one with a hidden layer")
    if not _is_silu(last.get("non_linearity")):
        raise refuse("its readout has another activation than silu")


def _config(path: Path, module: Inert) -> MACEConfig:
    blocks, products = _list(module, "interactions"), _list(module, "products")
    harmonics = irreps_of(blocks[0].get("edge_attrs_irreps"))
    hidden = irreps_of(blocks[-1].get("node_feats_irreps"))
    channels = hidden.count(o3.Irrep(0, 1))
    radial = module.get("radial_embedding")
    degrees = {_correlation(product) for product in products}
    density = {INTERACTIONS[block.kind][1] for block in blocks}
    wanted = {
        "harmonics": (harmonics, o3.Irreps.spherical_harmonics(harmonics.lmax)),
        "features": (hidden, _channels(hidden.lmax, channels)),
        "correlations": (len(degrees), 1),
        "densities": (len(density), 1),
        "interactions, of which the first two or more": (len(blocks) > 1, True),
    }
    for what, (found, expected) in wanted.items():
        if found != expected:
            raise TrainingError(f"{path}: its {what} are {found}, where {expected} is expected")
    if harmonics.lmax > 3:
        raise TrainingError(f"{path}: its harmonics go to l = {harmonics.lmax}; at most 3 is read")
    repulsion = module.get("pair_repulsion_fn")
    power = int(radial.get("cutoff_fn").get("p"))
    if repulsion is not None and int(repulsion.get("p")) != power:
        raise TrainingError(f"{path}: its pair repulsion has another envelope than its edges")
    layers_of = [
        part.get("weight").shape[1] for part in blocks[0].get("conv_tp_weights").parts().values()
    ]
    return MACEConfig(
        cutoff=float(module.get("r_max")),
        l_max=harmonics.lmax,
        channels=channels,
        feature_l=hidden.lmax,
        correlation=degrees.pop(),
        num_layers=len(blocks),
        first_residual=INTERACTIONS[blocks[0].kind][0],
        density=density.pop(),
        radial_hidden=tuple(layers_of[:-1]),
        num_bessels=len(radial.get("bessel_fn").get("bessel_weights")),
        distance_transform="none" if radial.get("distance_transform") is None else "agnesi",
        envelope_power=power,
        readout_hidden=_list(module, "readouts")[-1].get("linear_2").get("weight").numel(),
        nuclear_repulsion=repulsion is not None,
    )


class _Reader:
    """The parameters of our network from the layers of theirs."""

    def __init__(
        self, config: MACEConfig, module: Inert, state: StateReader, count: int, path: str
    ) -> None:
        self.config, self.module, self.state = config, module, state
        self.count, self.path = count, path
        blocks = _list(module, "interactions")
        self.neighbors = float(blocks[0].get("avg_num_neighbors"))
        self.averages = [float(block.get("avg_num_neighbors")) for block in blocks]
        self.harmonics = o3.Irreps.spherical_harmonics(config.l_max)

    def tensors(self) -> dict[str, Tensor]:
        """All parameters."""
        plan, take = self.config.plan(), self.state.take
        width = self.config.channels
        embedding = take("node_embedding.linear.weight", self.count * width)
        species = o3.Irreps(f"{self.count}x0e"), o3.Irreps(f"{width}x0e")
        tensors = {"species": layers.linear(*species, embedding)[SCALAR].unsqueeze(1)}
        for i in range(self.config.num_layers):
            tensors |= self._interaction(i, plan[i], plan[i + 1])
            tensors |= self._product(i, plan[i + 1])
        return tensors | self._readouts() | {"scale": self._scale()}

    def shifts(self) -> Tensor:
        """(S,), eV."""
        energies = self.state.take("atomic_energies_fn.atomic_energies").reshape(self.count)
        if "scale_shift.shift" in self.state.left:
            energies = energies + self.state.take("scale_shift.shift").reshape(())
        return energies

    def _scale(self) -> Tensor:
        """(S,), of the energy."""
        if "scale_shift.scale" not in self.state.left:
            return torch.ones(self.count, dtype=torch.float64)
        return self.state.take("scale_shift.scale").reshape(()).expand(self.count).clone()

    def _interaction(self, i: int, ins: Channels, outs: Channels) -> dict[str, Tensor]:
        name, ours = f"interactions.{i}.", f"blocks.{i}."
        take, messages = self.state.take, self.config.messages
        irreps_in, irreps_out = _irreps(ins), _irreps(messages)
        listed, ordered = layers.uvu_products(irreps_in, self.harmonics, irreps_out)
        partners = harmonic_irreps(self.config.l_max, True)
        products = products_of(ins, partners, list(messages))
        sizes = dict.fromkeys(listed, self.config.channels)
        rise = layers.linear(irreps_in, irreps_in, take(f"{name}linear_up.weight"))
        *hidden, last = self._radial(name, len(listed) * self.config.channels)
        # Theirs sees an edge from the other end.
        signs = [(-1.0) ** product.partner[0] for product in products]
        last = layers.in_order(last, ordered, products, sizes, -1)
        last = last * torch.tensor(signs).double().repeat_interleave(self.config.channels)
        middle = o3.Irreps([(self.config.channels, p.out) for p in ordered]).simplify()
        sums = layers.linear(middle, irreps_out, take(f"{name}linear.weight"))
        average = 1.0 if self.config.density else self.averages[i]
        fall = {
            out: math.sqrt(self.neighbors)
            / average
            * layers.in_order(
                sums[out],
                [p for p in ordered if p.out == out],
                [p for p in products if p.out == out],
                sizes,
                -2,
            )
            for out in messages
        }
        own = (messages, messages) if not self._is_residual(i) else (ins, outs)
        weight = take(f"{name}skip_tp.weight")
        one_hot = torch.eye(self.count, dtype=torch.float64)
        mixing = layers.by_species(_irreps(own[0]), one_hot, _irreps(own[1]), weight)
        found = {
            **_listed(f"{ours}rise.weights", rise, ins),
            **_listed(f"{ours}fall.weights", fall, messages),
            **_listed(f"{ours}mixing.weights", mixing, [o for o in own[1] if o in own[0]]),
            f"{ours}convolution.last.weight": last.T,
        }
        for n, matrix in enumerate(hidden):
            found[f"{ours}convolution.radial.{2 * n}.weight"] = matrix.T
        if self.config.density:
            weight = take(f"{name}density_fn.layer0.weight", self.config.num_bessels, 1)
            found[f"{ours}density.weight"] = weight.T / math.sqrt(self.config.num_bessels)
        return {key: value.contiguous() for key, value in found.items()}

    def _is_residual(self, i: int) -> bool:
        return bool(i) or self.config.first_residual

    def _radial(self, name: str, weights: int) -> list[Tensor]:
        """(in, out) of each layer, with the constants of e3nn's activations."""
        sizes = [self.config.num_bessels, *self.config.radial_hidden, weights]
        return [
            self.state.take(f"{name}conv_tp_weights.layer{n}.weight", fan_in, fan_out)
            * ((layers.SILU if n else 1.0) / math.sqrt(fan_in))
            for n, (fan_in, fan_out) in enumerate(pairwise(sizes))
        ]

    def _product(self, i: int, outs: Channels) -> dict[str, Tensor]:
        name, ours = f"products.{i}.", f"blocks.{i}."
        irreps = _irreps(outs)
        last = layers.linear(irreps, irreps, self.state.take(f"{name}linear.weight"))
        found = _listed(f"{ours}last.weights", last, outs)
        for n, (l, _) in enumerate(outs):
            part = f"{name}symmetric_contractions.contractions.{n}."
            found[f"{ours}contraction.degrees.{n}.paths"] = self._paths(part, l)
        return found

    def _paths(self, name: str, out: int) -> Tensor:
        """(S, P, C), of our polynomials to a degree."""
        most, parts = self.config.correlation, []
        for degree in range(1, most + 1):
            place = "weights_max" if degree == most else f"weights.{most - degree - 1}"
            weight = self.state.take(name + place)
            theirs = self.state.left[f"{name}U_matrix_{degree}"].double()
            theirs = theirs if out else theirs.unsqueeze(0)
            theirs = theirs.movedim(0, -1).movedim(-2, 0)
            basis = polynomials(self.config.l_max, degree, out)
            parts.append(torch.einsum("ot,stc->soc", self._in_ours(theirs, basis), weight))
        return torch.cat(parts, dim=1)

    def _in_ours(self, theirs: Tensor, basis: Tensor) -> Tensor:
        """(P, T): T polynomials (T, d, …, 2L+1) as sums of our P (P, d, …, 2L+1).

        Raises:
            TrainingError: they are none.
        """
        wanted, rows = (_symmetric(each).flatten(1) for each in (theirs, basis))
        if not len(rows):
            return wanted.new_zeros(0, len(wanted))
        matrix: Tensor = torch.linalg.solve(rows @ rows.T, rows @ wanted.T)
        rest = (wanted - matrix.T @ rows).abs().max()
        if rest > INDEPENDENT * wanted.abs().max():
            raise TrainingError(f"{self.path}: its contractions have polynomials that are not ours")
        return matrix

    def _readouts(self) -> dict[str, Tensor]:
        take, (hidden, *_) = self.state.take, [self.config.plan()[1]]
        last = self.config.num_layers - 1
        one, scalars = o3.Irreps("1x0e"), o3.Irreps(f"{self.config.channels}x0e")
        weights = [
            layers.linear(_irreps(hidden), one, take(f"readouts.{i}.linear.weight"))[SCALAR]
            for i in range(last)
        ]
        inner = o3.Irreps(f"{self.config.readout_hidden}x0e")
        first = layers.linear(scalars, inner, take(f"readouts.{last}.linear_1.weight"))[SCALAR]
        second = layers.linear(inner, one, take(f"readouts.{last}.linear_2.weight"))[SCALAR]
        return {
            "hidden.weight": first.T.contiguous(),
            "readout.weight": torch.cat([*weights, second * layers.SILU]).T.contiguous(),
        }


def _symmetric(tensors: Tensor) -> Tensor:
    """(P, d, …, 2L+1), their means over all orders of the factors."""
    orders = list(itertools.permutations(range(1, tensors.dim() - 1)))
    return sum(tensors.permute(0, *order, -1) for order in orders) / len(orders)  # type: ignore[return-value]


def _listed(
    name: str, matrices: Mapping[Irrep, Tensor], irreps: Channels | list[Irrep]
) -> dict[str, Tensor]:
    return {f"{name}.{n}": matrices[irrep] for n, irrep in enumerate(irreps)}


def _list(module: Inert, name: str) -> list[Inert]:
    """The parts of a `ModuleList`."""
    return list(module.get(name).parts().values())


def _correlation(product: Inert) -> int:
    (first, *_) = _list(product.get("symmetric_contractions"), "contractions")
    return int(first.get("correlation"))


def _is_silu(activation: Inert) -> bool:
    acts = _list(activation, "acts")
    functions = [act.get("f") for act in acts]
    return all(getattr(f, "path", "").rpartition(".")[2] == "silu" for f in functions)


def _channels(l_max: int, channels: int) -> o3.Irreps:
    return o3.Irreps([(channels, irrep) for irrep in harmonic_irreps(l_max, True)])


def _irreps(channels: Channels) -> o3.Irreps:
    """In the order of their degrees, which is e3nn's where each has one parity."""
    return o3.Irreps([(c, irrep) for irrep, c in channels.items()])
