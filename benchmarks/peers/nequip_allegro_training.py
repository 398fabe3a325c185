"""The peer's training step: `nequip-allegro` by NequIP's own Lightning module, eager or with
`compile_mode: compile`.

What is timed is the module's `training_step`, `backward` and the optimiser that it configures,
without Lightning's loop around them. Runs in the environment of
`benchmarks/peers/nequip_allegro.py`.
"""

import argparse
import warnings
from typing import Any

import ase.io
from nequip.data import AtomicDataDict
from nequip.train import NequIPLightningModule
from nequip.utils.global_state import set_global_state
from torch import Tensor

from benchmarks.peers.nequip_allegro import hyperparameters, prepare
from benchmarks.training_step import run

LOSS = {
    "_target_": "nequip.train.EnergyForceLoss",
    "per_atom_energy": True,
    "coeffs": {"total_energy": 1.0, "forces": 1.0},
}
OPTIMIZER = {"_target_": "torch.optim.Adam", "lr": 0.002, "fused": True}


class PeerStep:
    """Forward, backward and optimiser of the peer."""

    def __init__(self, options: argparse.Namespace) -> None:
        set_global_state(allow_tf32=False)
        # there is no Lightning trainer that would log
        warnings.filterwarnings("ignore", message=".*self.log.*")
        frames = ase.io.read(options.data, index=":")
        size = options.batch_size
        self.ready = [
            prepare(frames[i : i + size], options.cutoff, options.device)
            for i in range(0, len(frames) - size + 1, size)
        ]
        self.batches = len(self.ready)
        self.module = NequIPLightningModule(
            model=model_config(options),
            num_datasets={"train": 1, "val": 0, "test": 0, "predict": 0},
            optimizer=OPTIMIZER,
            loss=LOSS,
        )
        self.module.train().to(options.device)
        self.parameters = list(self.module.model.parameters())
        self.optimizer = self.module.configure_optimizers()

    def __call__(self, batch: int) -> None:
        loss = self.module.training_step(self.ready[batch], batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def force_loss(self, batch: int) -> Tensor:
        data = self.ready[batch]
        forces = self.module(data)[AtomicDataDict.FORCE_KEY]
        return (forces - data[AtomicDataDict.FORCE_KEY]).square().mean()


def model_config(options: argparse.Namespace) -> dict[str, Any]:
    """The model as a config of NequIP's trainer states it."""
    return {
        "_target_": "allegro.model.AllegroModel",
        **hyperparameters(options),
        "compile_mode": options.mode,
    }


if __name__ == "__main__":
    run(PeerStep)
