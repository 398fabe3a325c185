"""`md` for as long as wanted, in requests that go on from each other: liquids and ionic conductors.

    python -m recipes.tasks.md_long water.png water.xyz --model water --picoseconds 100 --output runs/md-water
    python -m recipes.tasks.md_long li3po4.png gamma-li3po4 --model sevennet-0 --picoseconds 20 \\
        --temperatures 600 800 --timestep 2 --pair Li O --moves Li --output runs/md-li3po4

What is done is kept in the folder `--output`, a request a file; the same command goes on with it. A
tenth of the time, at first, is left out of what is drawn: the radial distribution of a pair of
elements at each temperature, and the mean square displacement of an element.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.geometry import get_distances
from ase.spacegroup import crystal
from numpy.typing import NDArray

from equipot import Client
from recipes.claim import claim
from recipes.tasks.md_argon import displacement

Array = NDArray[np.float64]
EVERY = 20.0
"""fs from frame to frame."""
PORTION = 1000
"""Steps of a request."""
FRICTION = 1.0
"""ps⁻¹, so that the bath slows diffusion little."""
SITES = {
    "Li1": ("Li", (0.1639, 0.5013, 0.3013)),
    "Li2": ("Li", (0.4233, 0.75, 0.2056)),
    "P1": ("P", (0.4115, 0.25, 0.3086)),
    "O1": ("O", (0.3417, 0.0428, 0.2056)),
    "O2": ("O", (0.0507, 0.25, 0.2938)),
    "O3": ("O", (0.0896, 0.75, 0.1224)),
}
"""Of γ-Li3PO4, Pnma, to be relaxed."""


def lithium_phosphate() -> Atoms:
    """64 atoms of γ-Li3PO4, doubled along its shortest axis."""
    symbols, places = zip(*SITES.values(), strict=True)
    cell = [10.461, 6.111, 4.921, 90, 90, 90]
    unit = crystal(symbols, places, spacegroup=62, cellpar=cell)
    return unit.repeat((1, 1, 2))


def main() -> None:
    """Ask for what is left, print, draw."""
    options = _options()
    lithium = options.structure == "gamma-li3po4"
    atoms = lithium_phosphate() if lithium else ase.io.read(options.structure)
    said = ("structure", "model", "timestep", "temperatures")
    claim(options.output, {name: getattr(options, name) for name in said}, "--output")
    client = Client(options.server, timeout=3600)
    if lithium:
        start = options.output / "relaxed.xyz"
        if not start.exists():
            (found,) = client.relax(atoms, model=options.model, cell="full").raise_for_errors()
            ase.io.write(start, found.atoms, format="extxyz")
        atoms = ase.io.read(start)
        print(f"relaxed: {atoms.cell.cellpar()[:3].round(3)} Å, doubled along the last")
    runs = _sampled(client, atoms, options)
    print("| temperature, K | its mean | its standard deviation | frames | msd at the end, Å² |")
    print("|---|---|---|---|---|")
    for run in runs:
        print(
            f"| {run['asked']:g} | {run['temperatures'].mean():.0f} | {run['temperatures'].std():.0f} | "
            f"{len(run['positions'])} | {_moved(atoms, run, options.moves)[-1]:.2f} |"
        )
    draw(options.picture, atoms, runs, options)


def _sampled(client: Client, atoms: Atoms, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Frames (K, N, 3) Å and their temperatures (K,) at each temperature of the bath.

    Raises:
        SystemExit: a replica ended before its time.
    """
    wanted = round(1000 * options.picoseconds / options.timestep)
    state: dict[str, Any] = {"temperatures_K": options.temperatures}
    parts: list[Any] = []
    for number in range(-(-wanted // PORTION)):
        file = options.output / f"part-{number:04d}.npz"
        if not file.exists():
            _ask(client, atoms, options, state, file)
        part = np.load(file, allow_pickle=False)
        parts.append(part)
        state = {"restart": _states(part)}
    skipped = len(parts) // 10
    return [
        {
            "asked": parts[0]["asked"][k],
            "positions": np.concatenate([p["positions"][k] for p in parts[skipped:]]),
            "temperatures": np.concatenate([p["temperatures"][k] for p in parts[skipped:]]),
        }
        for k in range(len(options.temperatures))
    ]


def _ask(
    client: Client, atoms: Atoms, options: argparse.Namespace, state: dict[str, Any], file: Path
) -> None:
    (result,) = client.md(
        atoms,
        model=options.model,
        steps=PORTION,
        timestep_fs=options.timestep,
        save_every=round(EVERY / options.timestep),
        friction_per_ps=FRICTION,
        trajectory="arrays",
        **state,
    ).raise_for_errors()
    replicas = result.value["replicas"]
    for replica in replicas:
        if replica["steps"] < PORTION:
            raise SystemExit(f"{file.name}, {replica['temperature_K']:g} K: {replica['reason']}")
    kept: dict[str, Any] = {
        "asked": [replica["temperature_K"] for replica in replicas],
        "positions": np.array([r["positions_A"][1:] for r in replicas], dtype=np.float32),
        "temperatures": [replica["temperatures_K"][1:] for replica in replicas],
        "last": np.array([json.dumps(replica["last"]) for replica in replicas]),
    }
    half = file.with_suffix(".half")
    with half.open("wb") as stream:
        np.savez(stream, **kept)
    half.rename(file)
    print(f"{file.name}: {[round(r['mean_temperature_K']) for r in replicas]} K", flush=True)


def _states(part: Any) -> list[Any]:
    return [json.loads(text) for text in part["last"].tolist()]


def distribution(atoms: Atoms, positions: Array, pair: Sequence[str]) -> tuple[Array, Array]:
    """Radial distribution of a pair of elements up to half of the shortest side: Å and g."""
    cell = atoms.cell.lengths()
    edges = np.linspace(0, cell.min() / 2, 120)
    one, other = (np.flatnonzero(np.array(atoms.get_chemical_symbols()) == name) for name in pair)
    counts = np.zeros(len(edges) - 1)
    for frame in positions:
        _, lengths = get_distances(frame[one], frame[other], cell=atoms.cell, pbc=True)
        counts += np.histogram(lengths[lengths > 1e-6], edges)[0]
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    others = len(other) - (pair[0] == pair[1])
    ideal = len(positions) * len(one) * others * shells / atoms.get_volume()
    return (edges[1:] + edges[:-1]) / 2, counts / ideal


def _moved(atoms: Atoms, run: dict[str, Any], element: str) -> Array:
    chosen = np.array(atoms.get_chemical_symbols()) == element
    positions = run["positions"].astype(float)
    drift = np.average(positions, axis=1, weights=atoms.get_masses())
    squares = displacement((positions - drift[:, None])[:, chosen])
    return squares[: len(squares) // 2]


def draw(
    picture: Path, atoms: Atoms, runs: Sequence[dict[str, Any]], options: argparse.Namespace
) -> None:
    """Radial distributions on the left, displacements on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for run in runs:
        frames = run["positions"][:: max(1, len(run["positions"]) // 200)]
        left.plot(*distribution(atoms, frames, options.pair), label=f"{run['asked']:g} K")
        squares = _moved(atoms, run, options.moves)
        right.plot(1e-3 * EVERY * np.arange(len(squares)), squares, label=f"{run['asked']:g} K")
    left.set(xlabel="distance, Å", ylabel=f"g(r), {'–'.join(options.pair)}")
    right.set(xlabel="time, ps", ylabel=f"mean square displacement of {options.moves}, Å²")
    for axes in (left, right):
        axes.legend(frameon=False)
    figure.savefig(picture, dpi=110)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("structure", help="a file, or gamma-li3po4")
    parser.add_argument("--model")
    parser.add_argument("--picoseconds", type=float, default=100.0)
    parser.add_argument("--timestep", type=float, default=0.5, help="fs")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[300.0], help="K")
    parser.add_argument("--pair", nargs=2, default=["O", "O"], help="elements")
    parser.add_argument("--moves", default="O", help="element")
    parser.add_argument("--output", type=Path, required=True, help="folder of the parts")
    parser.add_argument("--server", default="http://localhost:8000")
    return parser.parse_args()


if __name__ == "__main__":
    main()
