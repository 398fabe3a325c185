"""Whether a model says so when it is asked about what it does not know.

    python -m recipes.measures.domain --molecules MiniDrugBank.sdf --databases FOLDER \\
        --held-out test.xyz --model NAME

A structure is flagged when it is refused or answered with a warning. Molecules go through the reader
of extended XYZ, as a user's do, so that doubts about the file count, too. Flags of structures that the
model should know, held-out frames, are false alarms.
"""

import argparse
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, islice
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.io import iread, write

from app.atoms.structure import Structure
from app.formats.ase_atoms import from_ase, to_ase
from app.formats.files import read_input
from app.protocol.response import Answered, Result
from app.store.card import ModelCard
from recipes.measures.model import add_model_options, opened
from recipes.measures.molecules import read_molecules, structure_of
from recipes.measures.outside import made, transition_states
from recipes.measures.results import publish, table

IN_DOMAIN = "in domain: held-out frames"


def main() -> None:
    """Measure and print."""
    options = _options()
    ranked = sorted(read_molecules(options.molecules), key=lambda molecule: molecule.rank)
    with opened(options) as model:
        known = [m for m in ranked if m.charge in range(-2, 3)]
        sound = model.ask([molecule.structure for molecule in known])
        answered = [m for m, r in zip(known, sound, strict=True) if isinstance(r, Answered)]
        cases = [*made(answered, options.count), *transition_states(options.databases)]
        cases += [("unseen pair", structure) for structure in unseen_pairs(model.potential.card)]
        cases += [(IN_DOMAIN, s) for s in held_out(options.held_out, options.frames)]
        frames = read_input(as_xyz([structure for _, structure in cases]), "xyz")
        results = model.ask_frames(frames)
        records = [
            {"kind": kind, "flags": flags(result)}
            for (kind, _), result in zip(cases, results, strict=True)
        ]
        publish(options, model, [summary(records)], {"cases": records})


def held_out(path: Path, count: int) -> Iterator[Structure]:
    """Frames at equal intervals of a file."""
    total = sum(1 for _ in iread(str(path), index=":"))
    for atoms in islice(iread(str(path), index=f"::{max(1, total // count)}"), count):
        yield from_ase(atoms)


def unseen_pairs(card: ModelCard) -> Iterator[Structure]:
    """Pairs of the model's elements that its training data never held, as far as its card says."""
    if card.trained_on is None:
        return
    for one, other in combinations_with_replacement([atomic_numbers[e] for e in card.elements], 2):
        names = [chemical_symbols[z] for z in (one, other)]
        if not {"-".join(names), "-".join(reversed(names))} & set(card.trained_on.closest):
            length = covalent_radii[[one, other]].sum()
            yield structure_of([one, other], np.array([[0.0, 0, 0], [length, 0, 0]]), 0)


def as_xyz(structures: Sequence[Structure]) -> bytes:
    """Structures as a user's file has them."""
    text = io.StringIO()
    write(text, [to_ase(structure) for structure in structures], format="extxyz")
    return text.getvalue().encode()


def flags(result: Result) -> list[str]:
    """The codes of its warnings, or the error's class; empty where the model has no doubt."""
    if isinstance(result, Answered):
        return sorted({warning.code for warning in result.warnings})
    return [type(result).__name__]


def summary(records: Sequence[dict[str, object]]) -> str:
    """Flagged shares of each kind, and by what."""
    rows = []
    for kind in dict.fromkeys(record["kind"] for record in records):
        of = [record["flags"] for record in records if record["kind"] == kind]
        by = Counter(flag for each in of for flag in each)
        named = ", ".join(f"{flag} {count}" for flag, count in by.most_common())
        rows.append((kind, len(of), f"{100 * sum(map(bool, of)) / len(of):.1f} %", named))
    outside = [r["flags"] for r in records if r["kind"] != IN_DOMAIN]
    share = 100 * sum(map(bool, outside)) / len(outside)
    rows.append(("all that is not in domain", len(outside), f"{share:.1f} %", ""))
    return table(("what", "structures", "flagged", "by"), rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, help="SDF file")
    parser.add_argument("--databases", type=Path, required=True, help="folder of Psi4's databases")
    parser.add_argument("--held-out", type=Path, required=True, help="frames in domain")
    parser.add_argument("--frames", type=int, default=1000, help="of these, at most")
    parser.add_argument("--count", type=int, default=40, help="structures of a kind")
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
