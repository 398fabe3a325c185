"""Compute what models are compared with: everything of GFN2-xTB that does not depend on a model.

    python -m recipes.measures.references --molecules MiniDrugBank.sdf --databases FOLDER --cache FOLDER

A run that was stopped goes on where it was: each record is a line of the cache. One process may
write at a time; measurements may read meanwhile, and say what is not there yet. Threads are those of
`OMP_NUM_THREADS`.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from ase.calculators.calculator import CalculationFailed

from recipes.measures import conformers, minima, protonation, torsions
from recipes.measures.cache import Cache, Record, writing
from recipes.measures.molecules import Molecule, read_molecules

KINDS = ("protonation", "minima", "torsions", "conformers")


@dataclass(frozen=True)
class Job:
    """One record that is to be in the cache.

    Attributes:
        kind: of the record.
        key: of the record.
        compute: makes it.
    """

    kind: str
    key: str
    compute: Callable[[], Record]


def main() -> None:
    """Compute what is not there yet."""
    options = _options()
    with writing(options.cache):
        caches = {kind: Cache(options.cache, kind) for kind in KINDS}
        molecules = read_molecules(options.molecules)
        for kind in options.kinds:
            started, new = time.perf_counter(), 0
            for job in islice(jobs(kind, molecules, caches), options.count):
                if job.key not in caches[kind]:
                    caches[kind].add(job.key, attempted(job))
                    new += 1
            seconds = time.perf_counter() - started
            records = caches[kind].records.values()
            failed = sum("failed" in record for record in records)
            print(f"{kind}: {len(records)} records, {failed} failed; {new} new in {seconds:.0f} s")


def jobs(kind: str, molecules: list[Molecule], caches: dict[str, Cache]) -> Iterator[Job]:
    """What is to be computed of a kind, in an order that is the same in each run."""
    ranked = sorted(molecules, key=lambda molecule: molecule.rank)
    if kind == "minima":
        for molecule in ranked:
            yield Job(kind, minima.key(molecule), partial(minima.reference, molecule))
    elif kind == "protonation":
        for pair in protonation.PAIRS:
            yield Job(kind, pair.key, partial(protonation.reference, pair))
    elif kind == "torsions":
        for torsion in torsions.choose(ranked):
            start = caches["minima"].get(minima.key(torsion.molecule))
            if start is not None:
                yield Job(kind, torsion.key, partial(torsions.reference, torsion, start))
    else:
        known = 0
        for molecule in conformers.choose(ranked):
            if known < conformers.MOLECULES:
                key = conformers.key(molecule)
                yield Job(kind, key, partial(conformers.reference, molecule))
                known += caches[kind].get(key) is not None


def attempted(job: Job) -> Record:
    """The record, or one that says why there is none: not all molecules converge."""
    try:
        return job.compute()
    except CalculationFailed as error:
        print(f"{job.kind}, {job.key}: {error}")
        return {"failed": str(error)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--molecules", type=Path, required=True, help="SDF file of drug-like molecules"
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder of the references")
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=KINDS, help="which (default: all)"
    )
    parser.add_argument(
        "--count",
        type=int,
        help="most of each kind: the first ones, in an order that is no other's",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
