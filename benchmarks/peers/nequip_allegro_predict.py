"""Energies and forces of frames by checkpoints of the peer's trainer, as an npz.

    PEER/bin/python -m benchmarks.peers.nequip_allegro_predict --data test.xyz --output test.npz
    a.ckpt b.ckpt

Of several checkpoints, the one is taken that has the least error on `--validation`: the sum of the
mean absolute errors of energies per atom (eV) and of force components (eV/Å), which is also what
the training monitors.

The peer's product of features and harmonics holds every term of its sum in memory where it is not
compiled; here it is summed by `einsum`, which takes a fraction of the time.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
import torch
from allegro.nn._strided._contract import Contracter
from ase import Atoms
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import ModelFromCheckpoint
from nequip.utils.global_state import set_global_state

BATCH = 10


class Contraction(Contracter):
    """The peer's, with another order of summing."""

    def _contract_conv(
        self, x1: torch.Tensor, x2: torch.Tensor, idxs: torch.Tensor
    ) -> torch.Tensor:
        """Of (E, U, I), (N, U, J) and the nodes (E,) of the edges: (E, U, K)."""
        if self.w3j_is_ij_diagonal or not self.path_channel_coupling:
            return super()._contract_conv(x1, x2, idxs)
        weights = torch.einsum(self._weight_w3j_einstr, self.weights, self.w3j)
        return torch.einsum("zui,zuj,uijk->zuk", x1, x2[idxs], weights)


def load(path: Path) -> torch.nn.Module:
    """The model with its averaged weights."""
    # there may be trainings of several models
    (model,) = ModelFromCheckpoint(str(path), compile_mode="eager").values()
    for module in model.modules():
        if type(module) is Contracter:
            module.__class__ = Contraction
    return model.eval()


def predict(
    model: torch.nn.Module, frames: list[Atoms], cutoff: float, types: list[str]
) -> tuple[np.ndarray, ...]:
    """Energies (F,) in eV and forces (N, 3) in eV/Å."""
    mapper = ChemicalSpeciesToAtomTypeMapper(
        model_type_names=types,
        chemical_species_to_atom_type_map={symbol: symbol for symbol in types},
    )
    neighbors = NeighborListTransform(r_max=cutoff)
    energies, forces = [], []
    for start in range(0, len(frames), BATCH):
        graphs = [neighbors(mapper(from_ase(atoms))) for atoms in frames[start : start + BATCH]]
        found = model(AtomicDataDict.batched_from_list(graphs))
        energies.append(
            found[AtomicDataDict.TOTAL_ENERGY_KEY].detach().double().numpy().reshape(-1)
        )
        forces.append(found[AtomicDataDict.FORCE_KEY].detach().double().numpy())
    return np.concatenate(energies), np.concatenate(forces)


def error(found: tuple[np.ndarray, ...], frames: list[Atoms]) -> float:
    """What the training monitors."""
    counts = np.array([len(atoms) for atoms in frames])
    energy = (found[0] - [atoms.get_potential_energy() for atoms in frames]) / counts
    return float(
        np.abs(energy).mean()
        + np.abs(found[1] - np.concatenate([a.get_forces() for a in frames])).mean()
    )


def main() -> None:
    """Choose a checkpoint, predict, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--cutoff", type=float, required=True)
    parser.add_argument(
        "--types", nargs="+", required=True, help="the model's elements, in their order"
    )
    options = parser.parse_args()
    set_global_state(allow_tf32=False)
    torch.set_num_threads(1)
    validation = ase.io.read(options.validation, index=":")
    models = [load(path) for path in options.checkpoints]
    errors = [
        error(predict(model, validation, options.cutoff, options.types), validation)
        for model in models
    ]
    chosen = int(np.argmin(errors))
    frames = ase.io.read(options.data, index=":")
    energy, forces = predict(models[chosen], frames, options.cutoff, options.types)
    np.savez(
        options.output, energy=energy, forces=forces, checkpoint=options.checkpoints[chosen].name
    )


if __name__ == "__main__":
    main()
