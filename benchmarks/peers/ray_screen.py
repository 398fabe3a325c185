"""A screen as people write it: `nequip-allegro`, compiled with AOTInductor, in actors of Ray Data.

Runs in the environment of `benchmarks.peers.nequip_allegro`, with one package more:

    PEER/bin/pip install torch==2.13.0 'ray[data]'
    PEER/bin/python -m benchmarks.peers.ray_screen --structures 20000 --workers 1 2

The same distorted aspirins as of `benchmarks.screen --write`. In the peer's favour, positions lie in
Parquet before the clock starts, the model is compiled, and all structures have the same atoms; what is
timed is reading, neighbour lists, energies and forces of batches, and Parquet as the output, by a
cluster of this machine that runs already. `equipot predict --ray` reads text and starts its cluster
within its time.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import torch
from allegro.model import AllegroModel
from ase import Atoms
from nequip.nn.compile import DictInputOutputWrapper
from nequip.utils.global_state import set_global_state
from pyarrow import parquet

from benchmarks.peers.nequip_allegro import compile_model, fields, hyperparameters, prepare
from benchmarks.sizes import add_sizes
from benchmarks.structures import aspirin, rattled_aspirins

FILES = 64
"""Of the input: Ray Data reads them side by side."""


def write_input(folder: Path, structures: int) -> None:
    """Aspirins displaced by 0.05 Å, each in its own way; positions of one in a row, Å."""
    for number, seeds in enumerate(np.array_split(np.arange(structures), FILES)):
        rows = [
            aspirin().positions + np.random.default_rng(seed).normal(0, 0.05, (21, 3))
            for seed in seeds
        ]
        table = pa.table({"id": seeds, "positions": [row.ravel().tolist() for row in rows]})
        parquet.write_table(table, folder / f"{number:03}.parquet")


class Screener:
    """An actor: batches of structures in, their energies (eV) and forces (eV/Å) out."""

    def __init__(self, path: str, cutoff: float, threads: int) -> None:
        torch.set_num_threads(threads)
        set_global_state(allow_tf32=False)
        frames = rattled_aspirins(2)
        self.cutoff, self.symbols = cutoff, frames[0].get_chemical_symbols()
        self.inputs, outputs = fields(frames)
        self.model = DictInputOutputWrapper(
            torch._inductor.aoti_load_package(path), self.inputs, outputs
        )

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        frames = [Atoms(self.symbols, np.reshape(row, (-1, 3))) for row in batch["positions"]]
        data = prepare(frames, self.cutoff)
        answer = self.model({name: data[name] for name in self.inputs})
        forces = answer["forces"].detach().numpy().reshape(len(frames), -1)
        energies = answer["total_energy"].detach().numpy().ravel()
        return {"id": batch["id"], "energy": energies, "forces": list(forces)}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_sizes(parser)
    parser.set_defaults(scalars=128, tensors=32)  # as `organic-xtb` has them
    parser.add_argument("--structures", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=64, help="structures of one (%(default)s)")
    options = parser.parse_args()
    set_global_state(allow_tf32=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        write_input(folder / "in", options.structures)
        path = str(folder / "model.nequip.pt2")
        model = AllegroModel(**hyperparameters(options)).eval()
        count = sum(p.numel() for p in model.parameters())
        compile_model(rattled_aspirins(2), model, options.cutoff, path, "cpu")
        # Tasks that read and write need cores besides those of the actors.
        ray.init(
            num_cpus=max(options.workers) + 2,
            object_store_memory=500_000_000,
            include_dashboard=False,
            log_to_driver=False,
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
        print(f"nequip-allegro, {count:,} parameters, batches of {options.batch}\n")
        print("| workers | structures | seconds | structures a second |\n|---:|---:|---:|---:|")
        for workers in options.workers:
            began = time.perf_counter()
            answered = ray.data.read_parquet(str(folder / "in")).map_batches(
                Screener,
                batch_size=options.batch,
                compute=ray.data.ActorPoolStrategy(size=workers),
                fn_constructor_args=(path, options.cutoff, options.threads),
            )
            answered.write_parquet(str(folder / f"out-{workers}"))
            seconds = time.perf_counter() - began
            done = parquet.ParquetDataset(folder / f"out-{workers}").read().num_rows
            assert done == options.structures, done
            print(f"| {workers} | {done:,} | {seconds:.1f} | {done / seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
