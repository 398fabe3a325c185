"""An interaction block of the packages that descend from NequIP's, as the parameters of ours.

They agree in the layers, which are e3nn's, and differ in names and in what stands around them.
"""

from collections.abc import Sequence

import torch
from e3nn import o3
from torch import Tensor

from app.atoms.irreps import Irrep
from app.training.importers import e3nn_layers as layers
from app.training.importers.imported import StateReader
from app.training.models.convolution import products_of
from app.training.models.equivariant import SCALAR


class NequIPBlock:
    """Sizes and conversions of one block.

    Args:
        ins: channels of its input, in our order.
        outs: channels of its output.
        harmonics: e3nn's irreps of the harmonics.
        gains: by what the package's activations multiply each irrep of the input, which ours do
            not.
        order_in: irreps of the input in the package's order, where it is not e3nn's.
        order_out: the same of the output.

    Attributes:
        listed: the convolution's products, as the package lists them.
        num_weights: of the convolution.
        gate_widths: channels of what the gate takes, in our order.
    """

    def __init__(
        self,
        ins: dict[Irrep, int],
        outs: dict[Irrep, int],
        harmonics: o3.Irreps,
        gains: dict[Irrep, float],
        order_in: o3.Irreps | None = None,
        order_out: o3.Irreps | None = None,
    ) -> None:
        self.ins, self.outs, self.gains = ins, outs, gains
        self.irreps_in = layers.irreps_of(ins) if order_in is None else order_in
        self.irreps_out = layers.irreps_of(outs) if order_out is None else order_out
        self.to_gate = layers.gate_irreps(outs)
        self.listed, self.sorted = layers.uvu_products(self.irreps_in, harmonics, self.irreps_out)
        partners = [(ir.l, ir.p) for _, ir in harmonics]
        self.products = products_of(ins, partners, list(outs))
        self.num_weights = sum(ins[product.source] for product in self.listed)
        middle = o3.Irreps([(ins[p.source], p.out) for p in self.sorted]).simplify()
        self.middle = middle
        gates = sum(c for (l, _), c in outs.items() if l)
        self.gate_widths = [c + gates if irrep == SCALAR else c for irrep, c in outs.items()]
        self.rise_size = layers.linear_size(self.irreps_in, self.irreps_in)
        self.fall_size = layers.linear_size(middle, self.to_gate)
        self.linear_size = layers.linear_size(self.irreps_in, self.to_gate)

    def species_size(self, width: int) -> int:
        """Numbers in a self-connection with so many attributes of the elements."""
        return layers.product_size(self.irreps_in, width, self.to_gate)

    def linear_connection(self, weight: Tensor) -> layers.Matrices:
        """(in, out) of each irrep."""
        return layers.linear(self.irreps_in, self.to_gate, weight)

    def species_connection(self, weight: Tensor, attributes: Tensor) -> layers.Matrices:
        """(S, in, out) of each irrep, from (S, A) attributes of the elements."""
        return layers.by_species(self.irreps_in, attributes, self.to_gate, weight)

    def signs(self, state: StateReader, name: str) -> Tensor:
        """(weights,) −1 where the couplings that a file was trained with had another sign than
        e3nn's now, as listed.

        Args:
            state: may hold the couplings as `NAME._w3j_L1_L2_L3`.
            name: of the product's code.
        """
        signs = []
        for product in self.listed:
            theirs = state.left.get("{}._w3j_{}_{}_{}".format(name, *product.degrees))
            ours = o3.wigner_3j(*product.degrees, dtype=torch.float64)
            sign = 1.0 if theirs is None else float(torch.sign((theirs.double() * ours).sum()))
            signs += [sign] * self.ins[product.source]
        return torch.tensor(signs, dtype=torch.float64)

    def parameters(
        self,
        name: str,
        *,
        rise: Tensor,
        fall: Tensor,
        connection: layers.Matrices | None,
        radial: Sequence[Tensor],
        is_sorted: bool,
    ) -> dict[str, Tensor]:
        """Our parameters of the block.

        Args:
            name: of the block.
            rise: flat weight of the linear layer before the convolution.
            fall: flat weight of the one after it.
            connection: matrices of the self-connection.
            radial: (in, out) of each layer of the radial network.
            is_sorted: whether the weights of the convolution are in the order of its results,
                rather than in that of the list.
        """
        order = self.sorted if is_sorted else self.listed
        sizes = {product: self.ins[product.source] for product in self.listed}
        *hidden, last = radial
        matrices = {f"{name}.convolution.radial.{2 * n}.weight": m.T for n, m in enumerate(hidden)}
        last = layers.in_order(last, order, self.products, sizes, -1)
        matrices[f"{name}.convolution.last.weight"] = last.T
        first = layers.linear(self.irreps_in, self.irreps_in, rise)
        for i, irrep in enumerate(self.ins):
            matrices[f"{name}.rise.weights.{i}"] = first[irrep] * self.gains[irrep]
        for i, matrix in enumerate(self._fall(fall).values()):
            matrices[f"{name}.fall.weights.{i}"] = matrix
        if connection is not None:
            mixed = self._gates(connection)
            shared = [irrep for irrep in self.ins if irrep in self.outs]
            for i, irrep in enumerate(shared):
                matrices[f"{name}.connection.weights.{i}"] = mixed[irrep] * self.gains[irrep]
        return {key: value.contiguous() for key, value in matrices.items()}

    def _fall(self, weight: Tensor) -> layers.Matrices:
        """The linear layer after the convolution, rows in the order of our products."""
        mixed = self._gates(layers.linear(self.middle, self.to_gate, weight))
        sizes = {product: self.ins[product.source] for product in self.listed}
        return {
            out: layers.in_order(
                mixed[out],
                [p for p in self.sorted if p.out == out],
                [p for p in self.products if p.out == out],
                sizes,
                -2,
            )
            for out in self.outs
        }

    def _gates(self, matrices: layers.Matrices) -> layers.Matrices:
        have = [(ir.l, ir.p) for _, ir in self.irreps_out]
        return layers.gates_in_order(matrices, have, self.outs)
