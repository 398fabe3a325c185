"""The peer: `nequip-allegro` with the hyperparameters of `benchmarks.inference`, compiled with
AOTInductor.

Runs in an environment of its own:

    python3 -m venv PEER
    PEER/bin/pip install torch==2.13.0
    PEER/bin/pip install torch==2.13.0 nequip==0.19.1 nequip-allegro==0.8.3

`benchmarks.inference --peer-python PEER/bin/python` starts it in the repository's root. It prints
what it has built as one JSON line; then it reads requests from its standard input, one JSON object
a line, and answers each with the median as one JSON line, so that the caller decides who is
measured when.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from allegro.model import AllegroModel
from ase import Atoms
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.nn.compile import DictInputOutputWrapper
from nequip.scripts._compile_utils import ASE_TARGET, BATCH_TARGET
from nequip.utils.aot import aot_export_model
from nequip.utils.global_state import set_global_state
from torch.export import Dim

from benchmarks.sizes import add_sizes
from benchmarks.structures import ELEMENTS, systems
from benchmarks.timing import median_ms
from benchmarks.worker import claim_output, serve

PERIODIC = {"cell", "edge_cell_shift", "stress"}
"""Fields that a molecule has not."""

Data = dict[str, torch.Tensor]


@dataclass(frozen=True)
class System:
    """What is timed: the same structures as a model takes them, and the models."""

    frames: list[Atoms]
    data: Data
    calls: dict[str, Callable[[], Any]]
    compile_seconds: float
    deviation: float


def hyperparameters(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `AllegroModel` that make it the size of our own."""
    return {
        "seed": 1,
        "model_dtype": "float32",
        "r_max": options.cutoff,
        "type_names": list(ELEMENTS),
        "l_max": options.l_max,
        "parity": True,
        "num_layers": options.layers,
        "num_scalar_features": options.scalars,
        "num_tensor_features": options.tensors,
        "radial_chemical_embed": {
            "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
            "num_bessels": 8,
            "bessel_trainable": False,
            "polynomial_cutoff_p": 6,
        },
        "scalar_embed_mlp_hidden_layers_depth": 1,
        "scalar_embed_mlp_hidden_layers_width": options.scalars,
        "allegro_mlp_hidden_layers_depth": 1,
        "allegro_mlp_hidden_layers_width": options.scalars,
        "readout_mlp_hidden_layers_depth": 1,
        "readout_mlp_hidden_layers_width": 32,
        "tp_path_channel_coupling": True,
        "avg_num_neighbors": options.average_neighbors,
    }


def prepare(frames: list[Atoms], cutoff: float, device: str = "cpu") -> Data:
    """Structures as the model takes them, with their neighbour lists, on its device."""
    mapper = ChemicalSpeciesToAtomTypeMapper(
        model_type_names=list(ELEMENTS),
        chemical_species_to_atom_type_map={symbol: symbol for symbol in ELEMENTS},
    )
    neighbors = NeighborListTransform(r_max=cutoff)
    graphs = [neighbors(mapper(from_ase(atoms))) for atoms in frames]
    data = AtomicDataDict.batched_from_list(graphs) if len(graphs) > 1 else graphs[0]
    return {name: value.to(device) for name, value in data.items()}


def fields(frames: list[Atoms]) -> tuple[list[str], list[str]]:
    """Input and output fields: those of the ASE or batch target, less what a molecule has not."""
    target = BATCH_TARGET if len(frames) > 1 else ASE_TARGET
    absent = set() if frames[0].pbc.all() else PERIODIC
    return [f for f in target["input"] if f not in absent], [
        f for f in target["output"] if f not in absent
    ]


def compile_model(
    frames: list[Atoms], model: torch.nn.Module, cutoff: float, path: str, device: str
) -> Callable[[Data], Data]:
    """The model compiled ahead of time, for any number of atoms and edges (and of structures, if
    several).
    """
    inputs, outputs = fields(frames)
    sizes = {
        "graph": Dim("num_frames", min=2, max=torch.inf) if len(frames) > 1 else Dim.STATIC,
        "node": Dim("num_nodes", min=2, max=torch.inf),
        "edge": Dim("num_edges", min=2, max=torch.inf),
    }
    example = prepare(frames[:2], cutoff, device)
    aot_export_model(
        model=model,
        device=device,
        input_fields=inputs,
        output_fields=outputs,
        data={field: example[field] for field in inputs},
        batch_map=sizes,
        output_path=path,
    )
    return DictInputOutputWrapper(torch._inductor.aoti_load_package(path), inputs, outputs)


def build(frames: list[Atoms], options: argparse.Namespace, folder: str) -> System:
    """Prepare, compile and check one system."""
    settings = hyperparameters(options)
    device = options.device
    data = prepare(frames, options.cutoff, device)
    eager = AllegroModel(**settings).eval().to(device)
    start = time.perf_counter()
    path = os.path.join(folder, f"{len(frames)}-{len(frames[0])}.nequip.pt2")
    compiled = compile_model(
        frames, AllegroModel(**settings).eval().to(device), options.cutoff, path, device
    )
    seconds = time.perf_counter() - start
    chosen = {field: data[field] for field in fields(frames)[0]}
    deviation = float((compiled(dict(chosen))["forces"] - eager(dict(data))["forces"]).abs().max())
    calls = {
        "graph": lambda: prepare(frames, options.cutoff, device),
        "eager": lambda: waited(eager(dict(data)), device),
        "compiled": lambda: waited(compiled(dict(chosen)), device),
    }
    return System(frames, data, calls, seconds, deviation)


def waited(found: Data, device: str) -> Data:
    """What was computed, once the device has done it."""
    if device != "cpu":
        torch.cuda.synchronize(device)
    return found


def describe(built: dict[str, System], options: argparse.Namespace) -> dict[str, Any]:
    """What was built, for the caller to check and to print."""
    return {
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in AllegroModel(**hyperparameters(options)).parameters()),
        "systems": {
            name: {
                "atoms": system.data["pos"].shape[0],
                "edges": system.data["edge_index"].shape[1],
                "compile_seconds": round(system.compile_seconds, 1),
                "deviation": system.deviation,
            }
            for name, system in built.items()
        },
    }


def measure(built: dict[str, System], system: str, mode: str, repeats: int) -> dict[str, float]:
    """Median of some calls, ms."""
    return {"ms": median_ms(built[system].calls[mode], repeats)}


def arguments() -> argparse.Namespace:
    """The command line that `benchmarks.inference` gives."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    add_sizes(parser)
    return parser.parse_args()


def main() -> None:
    """Build, then answer requests until the input ends."""
    options = arguments()
    answers = claim_output()
    torch.set_num_threads(options.threads)
    set_global_state(allow_tf32=False)
    with tempfile.TemporaryDirectory() as folder:
        built = {name: build(frames, options, folder) for name, frames in systems().items()}
        serve(answers, describe(built, options), partial(measure, built))


if __name__ == "__main__":
    main()
