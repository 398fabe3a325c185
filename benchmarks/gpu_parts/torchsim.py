"""TorchSim's batched FIRE with our own network, eager, behind its interface: a model of the very
same size.

Written for torch-sim-atomistic 0.3. Neighbour lists are ours, made anew at each step as its own
models make theirs.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch_sim
from torch_sim.models.interface import ModelInterface
from torch_sim.optimizers import fire

from app.atoms.neighbors import build_graphs
from app.atoms.structure import Structure
from app.formats.ase_atoms import to_ase
from app.store.card import ModelCard
from app.store.store import ModelStore
from app.training.export.certificate import model_inputs
from app.training.models import build_model
from app.training.models.derivatives import evaluate
from app.training.runs.base import load_base
from app.training.runs.config import StartConfig


class Network(ModelInterface):
    """A model of the store as TorchSim takes it, that counts the atoms evaluated."""

    def __init__(self, reference: str, store: ModelStore, device: str) -> None:
        super().__init__()
        self._device, self._dtype = torch.device(device), torch.float32
        self._compute_stress, self._compute_forces = True, True
        self.card: ModelCard = store.load(reference).card
        base = load_base(StartConfig(model=reference), store)
        self.model = build_model(base.model, base.statistics)
        self.model.load_state_dict(base.weights[0])
        self.model.to(device).eval().requires_grad_(False)
        self.atoms = 0

    def forward(self, state: Any, **_: Any) -> dict[str, torch.Tensor]:
        """Energies, forces and stress of all systems."""
        graph = build_graphs(_structures(state), self.card.cutoff)
        inputs = model_inputs(graph, self.card, torch.float32)
        energies, forces, virials = evaluate(
            self.model, type(inputs)(*(one.to(self.device) for one in inputs))
        )
        count = len(graph.n_atoms)
        energy = torch.zeros(count, device=self.device).index_add(0, state.system_idx, energies)
        virial = torch.zeros(count, 3, 3, device=self.device).index_add(
            0, state.system_idx, virials
        )
        volume = torch.linalg.det(state.cell).abs().clamp(min=1.0)
        self.atoms += len(graph.numbers)
        return {"energy": energy, "forces": forces, "stress": virial / volume[:, None, None]}


def _structures(state: Any) -> list[Structure]:
    numbers, positions = (
        state.atomic_numbers.cpu().numpy(),
        state.positions.detach().cpu().numpy().astype(np.float64),
    )
    cells = state.cell.detach().cpu().numpy().astype(np.float64).transpose(0, 2, 1)
    pbc = np.broadcast_to(np.asarray(state.pbc), 3)
    ends = np.cumsum(np.bincount(state.system_idx.cpu().numpy()))[:-1]
    parts = zip(np.split(numbers, ends), np.split(positions, ends), cells, strict=True)
    return [Structure(n, p, cell * pbc[:, None], pbc) for n, p, cell in parts]


def atom_steps(
    reference: str, store: ModelStore, structures: Sequence[Structure], steps: int, device: str
) -> float:
    """Atoms times evaluations a second of so many steps of all structures in one batch."""
    model = Network(reference, store, device)
    state = torch_sim.initialize_state([to_ase(s) for s in structures], model.device, model.dtype)
    begin, step = fire(model=model)
    step(begin(state.clone()))
    model.atoms, began = 0, time.perf_counter()
    state = begin(state)
    for _ in range(steps):
        state = step(state)
    if not bool(torch.isfinite(state.energy).all()):  # waits for the device, too
        raise RuntimeError("an energy is not finite")
    return model.atoms / (time.perf_counter() - began)
