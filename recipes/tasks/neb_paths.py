"""`neb` of ammonia and of a vacancy in argon, beside ASE's NEB with the same models.

    python -m recipes.tasks.neb_paths docs/tasks/neb.png --server http://localhost:8000

Ammonia is turned inside out (`organic-xtb`), and an atom of a crystal of argon hops into a vacancy beside
it (`lennard-jones`). ASE begins with its own IDPP between the same ends.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.mep import NEB
from ase.optimize import FIRE

from equipot import Client, EquipotCalculator

FMAX = 0.02  # eV/Å


def main() -> None:
    """Ask, compare, print and draw."""
    options = _options()
    client = Client(options.server)
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    print(
        "| | model | barrier, eV | by ASE, eV | evaluations | by ASE |\n|---|---|---|---|---|---|"
    )
    for axes, (name, model, start, end) in zip(panels, cases(), strict=True):
        (result,) = client.neb(
            start, ends=end, model=model, path_fmax_eV_per_A=FMAX
        ).raise_for_errors()
        (path,) = result.value["paths"]
        lengths, energies, evaluations = by_ase(start, path, model)
        row = (path["barrier_eV"], max(energies), result.value["evaluations"], evaluations)
        print("| {} | `{}` | {:.4f} | {:.4f} | {} | {} |".format(name, model, *row))
        axes.plot(path["path_lengths_A"], path["relative_energies_eV"], "o-", label="neb")
        axes.plot(lengths, energies, "x--", label="ase.mep.NEB")
        axes.set(title=name, xlabel="length of the path, Å", ylabel="energy, eV")
        axes.legend(frameon=False)
    figure.savefig(options.picture, dpi=110)


def cases() -> list[tuple[str, str, Atoms, Atoms]]:
    """Name, model, and both ends of each path."""
    ammonia = molecule("NH3")
    inverted = ammonia.copy()
    inverted.positions[0, 2] = 2 * ammonia.positions[1, 2] - ammonia.positions[0, 2]
    crystal = bulk("Ar", "fcc", a=5.25, cubic=True) * (3, 3, 3)
    del crystal[0]
    hop = crystal.copy()
    hop.positions[np.argmin(np.linalg.norm(crystal.positions - [0, 2.625, 2.625], axis=1))] = 0.0
    return [
        ("ammonia inverts", "organic-xtb", ammonia, inverted),
        ("a vacancy in argon hops", "lennard-jones", crystal, hop),
    ]


def by_ase(start: Atoms, path: dict[str, Any], model: str) -> tuple[list[float], list[float], int]:
    """Lengths in Å and relative energies in eV of ASE's path between the same ends, and evaluations."""
    images = [start.copy() for _ in path["positions_A"]]
    for image in images:
        image.calc = EquipotCalculator(model)
    images[0].positions, images[-1].positions = path["positions_A"][0], path["positions_A"][-1]
    band = NEB(images, method="improvedtangent", k=0.1)
    band.interpolate("idpp", mic=bool(start.pbc.any()))
    made = 0
    for band.climb, fmax in ((False, 0.5), (True, FMAX)):
        optimizer = FIRE(band, logfile=None)
        optimizer.run(fmax=fmax, steps=500)
        made += (optimizer.nsteps + 1) * (len(images) - 2)
    energies = np.array([image.get_potential_energy() for image in images])
    positions = np.array([image.positions for image in images])
    lengths = np.cumsum([0.0, *np.linalg.norm(np.diff(positions, axis=0), axis=(1, 2))])
    return lengths.tolist(), (energies - energies[0]).tolist(), made


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--server", default="http://localhost:8000")
    return parser.parse_args()


if __name__ == "__main__":
    main()
