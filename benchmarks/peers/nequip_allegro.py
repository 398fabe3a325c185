"""The peer: `nequip-allegro` with the hyperparameters of `benchmarks.inference`, compiled with
AOTInductor.

Runs in an environment of its own:

    python3 -m venv PEER
    PEER/bin/pip install torch==2.13.0
    PEER/bin/pip install torch==2.13.0 nequip==0.19.1 nequip-allegro==0.8.3

`benchmarks.inference --peer-python PEER/bin/python` starts it in the repository's root, and decides
who is measured when.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

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

from benchmarks.sizes import add_sizes, add_systems
from benchmarks.structures import ELEMENTS, systems
from benchmarks.timing import CLOCKS, median_ms
from benchmarks.training_step import waited
from benchmarks.worker import claim_output, serve

PERIODIC = {"cell", "edge_cell_shift", "stress"}
"""Fields that a molecule has not."""

Data = dict[str, torch.Tensor]


class System(NamedTuple):
    """The same structures as a model takes them, and what is timed, by mode."""

    data: Data
    calls: dict[str, Callable[[], None]]


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
    """The model compiled ahead of time, for any number of atoms, edges, and structures if several."""
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
    """Prepare one system, and compile the model for it."""
    settings = hyperparameters(options)
    device = options.device
    data = prepare(frames, options.cutoff, device)
    eager = AllegroModel(**settings).eval().to(device)
    path = os.path.join(folder, f"{len(frames)}-{len(frames[0])}.nequip.pt2")
    compiled = compile_model(
        frames, AllegroModel(**settings).eval().to(device), options.cutoff, path, device
    )
    inputs = fields(frames)[0]
    chosen = {field: data[field] for field in inputs}

    def whole() -> None:
        made = prepare(frames, options.cutoff, device)
        done(compiled, {field: made[field] for field in inputs}, device)

    calls: dict[str, Callable[[], None]] = {
        "compiled end to end": whole,
        "graph": lambda: prepare(frames, options.cutoff, device),
        "eager": partial(done, eager, data, device),
        "compiled": partial(done, compiled, chosen, device),
    }
    return System(data, calls)


def done(model: Callable[[Data], Data], data: Data, device: str) -> None:
    """Evaluate, and return once the device has done it."""
    model(dict(data))
    waited(device)


def describe(built: dict[str, System], options: argparse.Namespace) -> dict[str, Any]:
    """What was built, for the caller to check and to print."""
    return {
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in AllegroModel(**hyperparameters(options)).parameters()),
        "atoms": {name: system.data["pos"].shape[0] for name, system in built.items()},
        "edges": {name: system.data["edge_index"].shape[1] for name, system in built.items()},
    }


def measure(
    built: dict[str, System], system: str, mode: str, repeats: int, clock: str
) -> dict[str, float]:
    """Median of some calls, ms by a clock of `CLOCKS`."""
    return {"ms": median_ms(built[system].calls[mode], repeats, clock=CLOCKS[clock])}


def main() -> None:
    """Build, then answer requests until the input ends."""
    parser = argparse.ArgumentParser()
    add_sizes(parser)
    add_systems(parser)
    options = parser.parse_args()
    answers = claim_output()
    torch.set_num_threads(options.threads)
    set_global_state(allow_tf32=False)
    chosen = systems(options.aspirins, options.silicon)
    with tempfile.TemporaryDirectory() as folder:
        built = {name: build(frames, options, folder) for name, frames in chosen.items()}
        serve(answers, describe(built, options), partial(measure, built))


if __name__ == "__main__":
    main()
