"""`md` of liquid argon beside ASE's integrators with the same model: diffusion and temperatures.

    python -m recipes.tasks.md_argon docs/tasks/md.png --server http://localhost:8000

108 atoms at 1.374 g/cm³ and 94.4 K, as A. Rahman had them (Phys. Rev. 136, A405 (1964)): melted at 300 K,
cooled, kept in a heat bath, and left alone. ASE begins where the service began.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray
from scipy.stats import gamma

from equipot import Client, EquipotCalculator

Array = NDArray[np.float64]
ARGON = bulk("Ar", "fcc", a=5.780, cubic=True) * (3, 3, 3)
TEMPERATURE, TIMESTEP, EVERY = 94.4, 5.0, 10  # K, fs, steps
MODEL = "lennard-jones"
ASKED: dict[str, Any] = {"timestep_fs": TIMESTEP, "save_every": EVERY, "model": MODEL}


def main() -> None:
    """Ask, compare, print and draw."""
    options = _options()
    client = Client(options.server, timeout=3600)
    hot = ask(client, steps=1000, temperatures_K=300, replicas=options.replicas)
    cool = ask(client, steps=2000, temperatures_K=TEMPERATURE, **on(hot, friction_per_ps=10.0))
    bath = ask(client, steps=options.steps, friction_per_ps=1.0, **on(cool))
    free = ask(client, steps=options.steps, ensemble="nve", **on(bath))
    of_ase = [left_alone(replica["last"], options.steps) for replica in bath]
    rows = [
        (
            "md",
            [displacement(np.array(r["positions_A"])) for r in free],
            [r["mean_temperature_K"] for r in free],
        ),
        (
            "ase.md.verlet",
            [displacement(positions) for positions, _ in of_ase],
            [t.mean() for _, t in of_ase],
        ),
    ]
    times = 1e-3 * TIMESTEP * EVERY * np.arange(len(rows[0][1][0]))
    print("| | D, 10⁻⁹ m²/s | standard error | mean temperature, K |\n|---|---|---|---|")
    for name, displacements, temperatures in rows:
        found = [diffusion(times, each) for each in displacements]
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        print(f"| `{name}` | {np.mean(found):.2f} | {error:.2f} | {np.mean(temperatures):.1f} |")
    drifts = [r["energy_drift_eV_per_atom_per_ps"] for r in free]
    print(f"\nlargest drift: {max(map(abs, drifts)):.2g} eV/atom/ps")
    in_bath = np.concatenate([r["temperatures_K"] for r in bath])
    bath_of_ase = np.concatenate([in_bath_of_ase(r["last"], options.steps) for r in cool])
    freedom = 3 * len(ARGON)
    print("\n| | mean temperature, K | standard deviation, K |\n|---|---|---|")
    for name, values in (("md", in_bath), ("ase.md.langevin", bath_of_ase)):
        print(f"| `{name}` | {values.mean():.2f} | {values.std():.2f} |")
    print(f"| canonical | {TEMPERATURE:.2f} | {TEMPERATURE * np.sqrt(2 / freedom):.2f} |")
    draw(options.picture, times, rows, in_bath, bath_of_ase, freedom)


def ask(client: Client, **options: Any) -> list[dict[str, Any]]:
    """The replicas of what the service did."""
    options = {**ASKED, "trajectory": "arrays", **options}
    (result,) = client.md(ARGON, **options).raise_for_errors()
    replicas: list[dict[str, Any]] = result.value["replicas"]
    return replicas


def on(replicas: Sequence[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """Options to go on from there."""
    return {"restart": [replica["last"] for replica in replicas], **options}


def left_alone(state: dict[str, Any], steps: int) -> tuple[Array, Array]:
    """(K, N, 3) Å and (K,) K: where ASE leads without a heat bath."""
    atoms = at(state)
    momenta = atoms.get_momenta()
    atoms.set_momenta(
        momenta - atoms.get_masses()[:, None] * momenta.sum(axis=0) / atoms.get_masses().sum()
    )
    frames = list(moved(VelocityVerlet(atoms, TIMESTEP * units.fs), steps))
    positions, kinetic = zip(*frames, strict=True)
    return np.array(positions), 2 * np.array(kinetic) / (units.kB * (3 * len(atoms) - 3))


def in_bath_of_ase(state: dict[str, Any], steps: int) -> Array:
    """(K,) K: temperatures in ASE's heat bath."""
    atoms = at(state)
    rng = np.random.default_rng(state["replica"])
    bath = {"temperature_K": TEMPERATURE, "friction": 1e-3 / units.fs, "fixcm": False, "rng": rng}
    dynamics = Langevin(atoms, TIMESTEP * units.fs, **bath)
    kinetic = np.array([kinetic for _, kinetic in moved(dynamics, steps)])
    return 2 * kinetic / (units.kB * 3 * len(atoms))


def at(state: dict[str, Any]) -> Atoms:
    """The atoms of a state, with the same model."""
    atoms: Atoms = ARGON.copy()
    atoms.positions = state["positions_A"]
    atoms.set_velocities(np.array(state["velocities_A_per_fs"]) / units.fs)
    atoms.calc = EquipotCalculator(MODEL)
    return atoms


def moved(dynamics: MolecularDynamics, steps: int) -> Iterator[tuple[Array, float]]:
    """Positions and kinetic energies of frames, the first one included."""
    for number, _ in enumerate(dynamics.irun(steps)):
        if number % EVERY == 0:
            yield dynamics.atoms.positions.copy(), dynamics.atoms.get_kinetic_energy()


def displacement(positions: Array) -> Array:
    """(K,) Å²: mean square displacement over all atoms and beginnings, of (K, N, 3) Å."""
    count = len(positions)
    lags = [
        ((positions[lag:] - positions[: count - lag]) ** 2).sum(axis=2).mean()
        for lag in range(count)
    ]
    return np.array(lags)


def diffusion(times: Array, squares: Array) -> float:
    """10⁻⁹ m²/s: a sixth of the slope between 1 ps and a third of the time."""
    chosen = (times >= 1.0) & (times <= times[-1] / 3)
    return float(10 * np.polyfit(times[chosen], squares[chosen], 1)[0] / 6)  # Å²/ps is 10⁻⁸ m²/s


def draw(
    picture: Path,
    times: Array,
    rows: Sequence[tuple[str, list[Array], Any]],
    in_bath: Array,
    bath_of_ase: Array,
    freedom: int,
) -> None:
    """Displacements on the left, temperatures on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    shown = times <= times[-1] / 3
    for (name, displacements, _), line in zip(rows, ("-", "--"), strict=True):
        left.plot(times[shown], np.mean(displacements, axis=0)[shown], line, label=name)
    left.set(xlabel="time, ps", ylabel="mean square displacement, Å²")
    edges = np.linspace(TEMPERATURE - 25, TEMPERATURE + 25, 26)
    for values, name in ((in_bath, "md, nvt"), (bath_of_ase, "ase.md.langevin")):
        right.hist(values, edges, density=True, histtype="step", label=name)
    fine = np.linspace(edges[0], edges[-1], 200)
    right.plot(
        fine, gamma(freedom / 2, scale=2 * TEMPERATURE / freedom).pdf(fine), "k:", label="canonical"
    )
    right.set(xlabel="temperature, K", ylabel="density, 1/K")
    for axes in (left, right):
        axes.legend(frameon=False)
    figure.savefig(picture, dpi=110)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--server", default="http://localhost:8000")
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4000, help="in the heat bath, and without it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
