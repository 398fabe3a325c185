"""A picture of what each task finds, but for those of `md` and `neb`, which have scripts of their own.

    python -m recipes.tasks.pictures docs/tasks --server http://localhost:8000

Molecules by the bundled `organic-xtb`, crystals by the bundled pair model `lennard-jones`.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk, molecule
from ase.eos import birchmurnaghan
from matplotlib.axes import Axes

from equipot import Client

CRYSTAL = {"model": "lennard-jones"}
GPA = 160.21766
"""Of an eV/Å³."""
BLUE, RED = "tab:blue", "tab:red"


def main() -> None:
    """Ask, and draw each picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for NAME.png")
    parser.add_argument("--server", default="http://127.0.0.1:8000")
    options = parser.parse_args()
    client = Client(options.server)
    for name, draw in DRAWN.items():
        figure, axes = plt.subplots(figsize=(4.6, 2.8), layout="constrained")
        draw(client, axes)
        figure.savefig(options.folder / f"{name}.png", dpi=110, pil_kwargs={"optimize": True})
        plt.close(figure)


def thermo(client: Client, axes: Axes) -> None:
    """Entropy of ethanol by its parts, over the temperature."""
    temperatures = np.linspace(100, 1000, 10)
    values = [
        found(client, "thermo", molecule("CH3CH2OH"), temperature_K=float(t)) for t in temperatures
    ]
    parts = [name for name in values[0]["entropy_parts_eV_per_K"] if name != "electrons"]
    heights = [[1e3 * v["entropy_parts_eV_per_K"][part] for v in values] for part in parts]
    axes.stackplot(temperatures, heights, labels=parts, alpha=0.8)
    axes.set(xlabel="temperature, K", ylabel="entropy of ethanol, meV/K")
    axes.legend(loc="upper left", fontsize=8)


def conformers(client: Client, axes: Axes) -> None:
    """Conformers of 1-butanol above the lowest one, with their weights."""
    value = found(client, "conformers", "CCCCO")
    above = [1e3 * each["relative_energy_eV"] for each in value["conformers"]]
    weights = [100 * each["weight"] for each in value["conformers"]]
    axes.bar(np.arange(len(above)), weights, color=BLUE, alpha=0.7)
    axes.set(xlabel="conformer of 1-butanol", ylabel="weight at 298 K, %")
    right = axes.twinx()
    right.plot(above, "o", color=RED, markersize=4)
    right.set_ylabel("energy, meV", color=RED)


def scan(client: Client, axes: Axes) -> None:
    """The energy of butane, turned about its middle bond."""
    value = found(client, "scan", molecule("trans-butane"), atoms=[0, 1, 2, 3], points=36)
    axes.plot(
        value["values_deg"], 1e3 * np.array(value["relative_energies_eV"]), "o-", markersize=3
    )
    axes.set(xlabel="dihedral angle C–C–C–C of butane, degrees", ylabel="energy, meV")
    axes.set_xticks(range(-180, 181, 60))


def energies_of(client: Client, axes: Axes) -> None:
    """Tautomers of acetylacetone."""
    value = found(client, "energies-of", "CC(=O)CC(C)=O", difference="tautomers")
    known = [each for each in value["differences"] if each.get("energy_eV") is not None]
    axes.barh([each["name"] for each in known], [each["energy_eV"] for each in known])
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set(xlabel="above acetylacetone, eV")


def eos(client: Client, axes: Axes) -> None:
    """Energies of argon at several volumes, and the curve through them."""
    value = found(client, "eos", bulk("Ar", a=5.3), **CRYSTAL)
    volumes = np.array(value["volumes_A3"])
    fine = np.linspace(volumes[0], volumes[-1], 100)
    modulus = value["bulk_modulus_GPa"] / GPA
    fit = (value["energy_eV"], modulus, value["bulk_modulus_derivative"], value["volume_A3"])
    axes.plot(fine, 1e3 * birchmurnaghan(fine, *fit), color=RED, label="Birch–Murnaghan")
    axes.plot(volumes, 1e3 * np.array(value["energies_eV"]), "o", markersize=4, label="relaxed")
    axes.set(xlabel="volume of argon, Å³ an atom", ylabel="energy, meV an atom")
    axes.legend(fontsize=8)


def elastic(client: Client, axes: Axes) -> None:
    """Young's modulus of argon by the direction, in a plane of its cube."""
    value = found(client, "elastic", bulk("Ar", a=5.3, cubic=True), **CRYSTAL)
    compliance = np.array(value["compliance_tensor_per_GPa"])
    angles = np.linspace(0, 2 * np.pi, 361)
    along = np.array([np.cos(angles), np.sin(angles), np.zeros_like(angles)])
    x, y, z = along
    voigt = np.array([x * x, y * y, z * z, y * z, x * z, x * y])
    young = 1 / np.einsum("ik,ij,jk->k", voigt, compliance, voigt)
    axes.plot(young * x, young * y)
    hill = value["youngs_modulus_GPa"]
    axes.plot(hill * x, hill * y, "--", color=RED, label="Hill's average")
    axes.set(xlabel="Young's modulus of argon along [100], GPa", ylabel="along [010], GPa")
    axes.set_aspect("equal")
    axes.legend(fontsize=8, loc="center")


def phonons(client: Client, axes: Axes) -> None:
    """Bands and density of states of argon."""
    value = found(client, "phonons", bulk("Ar", a=5.3), **CRYSTAL)
    distances = np.array(value["band_distances_per_A"])
    axes.plot(distances, value["band_frequencies_THz"], color=BLUE, linewidth=1)
    density = np.array(value["dos_states_per_THz"])
    wide = 0.25 * distances[-1] / density.max()
    axes.plot(
        distances[-1] * 1.03 + wide * density, value["dos_frequencies_THz"], color=RED, linewidth=1
    )
    places = value["band_label_distances_per_A"]
    axes.set_xticks(places, [label.replace("G", "Γ") for label in value["band_labels"]])
    for place in places:
        axes.axvline(place, color="0.8", linewidth=0.5)
    axes.set(ylabel="frequency of argon, THz", ylim=(0, None))


DRAWN = {
    "thermo": thermo,
    "conformers": conformers,
    "scan": scan,
    "energies-of": energies_of,
    "eos": eos,
    "elastic": elastic,
    "phonons": phonons,
}


def found(client: Client, task: str, structure: Any, **options: Any) -> Any:
    """What a task finds for one structure."""
    (result,) = client.task(task, structure, **options).raise_for_errors()
    return result.value


if __name__ == "__main__":
    main()
