"""What optimisers of a relaxation take, and where they end, beside the first one that is named.

    OMP_NUM_THREADS=1 python -m recipes.measures.optimizers --molecules MiniDrugBank.sdf
    OMP_NUM_THREADS=1 python -m recipes.measures.optimizers --molecules MiniDrugBank.sdf --etkdg --every 4 \\
        --fmax 0.01 --optimizers lbfgs internal --curvatures 3
    OMP_NUM_THREADS=1 python -m recipes.measures.optimizers --molecules MiniDrugBank.sdf --every 30 \\
        --optimizers lbfgs internal geometric sella

Neutral molecules of the model's elements, from the geometries of the file or of RDKit's ETKDG. All ends
count from the first evaluation at which no force is longer than `--fmax`. Energies are compared where both
runs converged; those within 1 meV are equal. Ours run in batches; geomeTRIC (TRIC coordinates) and Sella
(internal coordinates) run one by one, with their own settings. Times are processor times of one thread.
With `--curvatures N`, of the first N ends, the smallest eigenvalue of the Hessian by central differences
of forces, without the six of whole molecules.
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.backends import Backend, load_backend
from app.bench.relaxation import relax_all
from app.engine.limits import BatchLimits
from app.formats.ase_atoms import to_ase
from app.formats.files import read_structures
from app.relax import Relaxed, RelaxOptions
from app.store.store import ModelStore
from equipot import EquipotCalculator

STEPS = 1000
SAME = 1e-3
"""eV; ends closer than this are equal."""
OTHERS = ("geometric", "sella")
COLUMNS = (
    *("optimiser", "structures", "not converged", "evaluations", "median", "most"),
    *(
        "lower",
        "equal",
        "higher",
        "median ΔE, meV",
        "mean",
        "structures/CPU s",
        "CPU ms/evaluation",
    ),
)


@dataclass(frozen=True)
class End:
    """Where one run ended: evaluations, energy in eV (NaN where it did not converge), geometry."""

    evaluations: int
    energy: float
    structure: Structure


class Reached(Exception):
    """No force is longer than asked for."""


class Until(EquipotCalculator):
    """Counts evaluations, and ends a run by `Reached` where no force is longer than `fmax`."""

    fmax, evaluations, energy = 0.05, 0, float("nan")

    def calculate(self, *asked: Any, **named: Any) -> None:
        """Evaluate, count, and end."""
        super().calculate(*asked, **named)
        self.evaluations += 1
        forces = self.results.get("forces")
        if forces is not None and np.linalg.norm(forces, axis=1).max() < self.fmax:
            self.energy = self.results["energy"]
            raise Reached


def main() -> None:
    """Measure and print."""
    options = _options()
    model = ModelStore(options.model_store).load(options.model)
    backend = load_backend(model, threads=1)
    source = embedded if options.etkdg else of_file
    known = [s for s in source(options.molecules) if np.isin(s.numbers, model.card.numbers).all()]
    structures = known[:: options.every]
    sizes = [len(structure) for structure in structures]
    print(
        f"{len(sizes)} molecules of {min(sizes)} to {max(sizes)} atoms, median {np.median(sizes):.0f}"
    )
    print(f"| {' | '.join(COLUMNS)} |\n|---|{'---:|' * (len(COLUMNS) - 1)}")
    all_ends: dict[str, Sequence[End]] = {}
    for name in options.optimizers:
        run(backend, [min(structures, key=len)], name, options.fmax)  # imports
        began = time.process_time()
        ends = all_ends[name] = run(backend, structures, name, options.fmax)
        seconds = time.process_time() - began
        print(row(name, ends, all_ends[options.optimizers[0]], seconds), flush=True)
    for name, ends in all_ends.items():
        if options.curvatures:
            found = [curvature(backend, end.structure) for end in ends[: options.curvatures]]
            print(f"{name}: eV/Å² {', '.join(f'{value:.3f}' for value in found)}", flush=True)


def of_file(path: Path) -> Iterable[Structure]:
    """The neutral molecules of a file, of an even number of electrons, as they stand there."""
    found = (frame.structure for frame in read_structures(path))
    whole = (s for s in found if isinstance(s, Structure))
    return (s for s in whole if not s.charge and not s.numbers.sum() % 2)


def embedded(path: Path) -> Iterable[Structure]:
    """The same of an SDF, where RDKit's ETKDG places their atoms."""
    from rdkit import Chem
    from rdkit.Chem.rdDistGeom import EmbedMolecule

    for molecule in Chem.SDMolSupplier(str(path), removeHs=False):
        if molecule is None or Chem.GetFormalCharge(molecule):
            continue
        numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
        if numbers.sum() % 2 == 0 and EmbedMolecule(molecule, randomSeed=1) == 0:
            yield Structure(numbers, molecule.GetConformer().GetPositions())


def run(backend: Backend, structures: Sequence[Structure], name: str, fmax: float) -> list[End]:
    """Where an optimiser leads."""
    if name in OTHERS:
        return [alone(backend, structure, name, fmax) for structure in structures]
    asked = RelaxOptions(fmax=fmax, steps=STEPS, optimizer=name)  # type: ignore[arg-type]
    budget = BatchLimits(atoms=2048, edges=80 * 2048, structures=2048).budget(None)
    ended = relax_all(backend, structures, asked, 256, budget)
    return [_end(result) for result in ended]


def _end(result: object) -> End:
    if not isinstance(result, Relaxed):
        raise SystemExit(str(result))
    energy = result.prediction.energy if result.converged else float("nan")
    return End(result.steps + 1, energy, result.structure)


def alone(backend: Backend, structure: Structure, name: str, fmax: float) -> End:
    """Where another program leads."""
    atoms = to_ase(structure)
    atoms.calc = calculator = Until(backend)
    calculator.fmax = fmax
    with suppress(Reached), TemporaryDirectory() as folder:
        if name == "sella":
            from sella import Sella

            Sella(atoms, internal=True, order=0, logfile=None).run(fmax=1e-9, steps=STEPS)
        else:
            from geometric.ase_engine import EngineASE
            from geometric.molecule import Molecule
            from geometric.optimize import run_optimizer

            geometry = Molecule()
            geometry.elem, geometry.xyzs = atoms.get_chemical_symbols(), [atoms.positions]
            engine = EngineASE(geometry, calculator)
            run_optimizer(customengine=engine, input="", prefix=f"{folder}/run", maxiter=STEPS)
    return End(calculator.evaluations, calculator.energy, structure)


def row(name: str, ends: Sequence[End], first: Sequence[End], seconds: float) -> str:
    """A line of the table."""
    counts = np.array([end.evaluations for end in ends])
    energies = np.array([end.energy for end in ends])
    apart = energies - np.array([end.energy for end in first])
    apart = apart[np.isfinite(apart)]
    shares = [np.mean(s) for s in (apart < -SAME, np.abs(apart) <= SAME, apart > SAME)]
    cells = (
        *(name, len(ends), np.isnan(energies).sum(), counts.sum(), f"{np.median(counts):.0f}"),
        *(counts.max(), *(f"{share:.0%}" for share in shares)),
        *(f"{1e3 * np.median(apart):.1f}", f"{1e3 * apart.mean():.1f}"),
        *(f"{len(ends) / seconds:.2f}", f"{1e3 * seconds / counts.sum():.1f}"),
    )
    return f"| {' | '.join(map(str, cells))} |"


def curvature(backend: Backend, structure: Structure, h: float = 0.01) -> float:
    """The smallest eigenvalue, eV/Å², of the Hessian by the atoms' positions, without the six of
    whole molecules.
    """
    n = len(structure)
    columns = []
    for k in range(3 * n):
        step = np.zeros((n, 3))
        step.flat[k] = h
        ahead, behind = (
            backend(build_graph(Structure(structure.numbers, x), backend.card.cutoff)).forces
            for x in (structure.positions + step, structure.positions - step)
        )
        assert ahead is not None
        assert behind is not None
        columns.append((behind - ahead).ravel() / (2 * h))
    hessian = np.array(columns)
    centred = structure.positions - structure.positions.mean(axis=0)
    whole = [np.tile(axis, (n, 1)) for axis in np.eye(3)]
    whole += [np.cross(axis, centred) for axis in np.eye(3)]
    basis = np.linalg.svd(np.array(whole).reshape(6, -1), full_matrices=True)[2][6:]
    return float(np.linalg.eigvalsh(basis @ (hessian + hessian.T) @ basis.T / 2)[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, help="SDF, with hydrogens")
    parser.add_argument("--etkdg", action="store_true", help="start where ETKDG places the atoms")
    parser.add_argument("--every", type=int, default=1, help="molecule of the file (%(default)s)")
    parser.add_argument("--fmax", type=float, default=0.05, help="eV/Å (%(default)s)")
    parser.add_argument("--optimizers", nargs="+", default=["lbfgs", "fire", "internal"])
    parser.add_argument("--curvatures", type=int, default=0, help="of so many ends")
    parser.add_argument("--model", default="organic-xtb", help="name[@version] (%(default)s)")
    parser.add_argument("--model-store", type=Path, default=Path("model_store"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
