"""What it costs that a model estimates its errors: the same artifact with these outputs and without.

    python -m recipes.measures.uncertainty_cost --molecules MiniDrugBank.sdf --model NAME

The artifact is cut, so that without them nothing is computed that only they need. Both evaluate the same
batches in turn, on one thread; times are processor times, the median of the rounds' ratios.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx.utils import Extractor

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graphs
from app.backends import load_backend
from app.backends.artifact import ERRORS
from app.store.location import default_store
from app.store.store import ModelStore, StoredModel
from recipes.measures.model import add_model_options, opened
from recipes.measures.molecules import read_molecules
from recipes.measures.results import publish, table


def main() -> None:
    """Measure and print."""
    options = _options()
    stored = ModelStore(options.model_store or default_store()).load(options.model)
    if stored.card.uncertainty is None:
        raise SystemExit(
            f"{stored.card.reference} estimates no errors: its card has no uncertainty"
        )
    ranked = sorted(read_molecules(options.molecules), key=lambda molecule: molecule.rank)
    structures = [molecule.structure for molecule in ranked[: options.count]]
    graphs = [build_graphs([s], stored.card.cutoff) for s in structures[:: options.every]]
    whole = [build_graphs(structures, stored.card.cutoff)]
    with tempfile.TemporaryDirectory() as folder, opened(options) as model:
        with_them, without = (
            load_backend(each, threads=1) for each in (stored, cut(stored, Path(folder)))
        )
        values = {
            f"{what}, {kind}": ratios(*both, parts, options.rounds)
            for what, parts in (("one batch", whole), ("one by one", graphs))
            for kind, both in (
                ("forces", (with_them, without)),
                ("energies alone", (with_them.energies, without.energies)),
            )
        }
        publish(options, model, [summary(values, len(structures))], values)


def cut(stored: StoredModel, folder: Path) -> StoredModel:
    """The same version in a folder of its own, without estimates of errors."""
    store = ModelStore(folder)
    card = stored.card.model_copy(update={"uncertainty": None, "files": {}, "aoti": None})
    with store.publish(card) as publication:
        for name in card.artifacts:
            extractor = Extractor(onnx.load(stored.folder / name))
            inputs = [each.name for each in extractor.graph.input]
            outputs = [o.name for o in extractor.graph.output if o.name not in ERRORS]
            onnx.save(extractor.extract_model(inputs, outputs), publication.folder / name)
    return store.load(card.reference)


def ratios(
    one: Callable[[Graph], object],
    other: Callable[[Graph], object],
    graphs: Sequence[Graph],
    rounds: int,
) -> list[float]:
    """How many times the processor time of the other the one takes, of each round."""
    times = np.array([[_seconds(run, graphs) for run in (one, other)] for _ in range(rounds + 1)])
    return [float(each) for each in times[1:, 0] / times[1:, 1]]  # the first one warms up


def _seconds(run: Callable[[Graph], object], graphs: Sequence[Graph]) -> float:
    start = time.process_time()
    for graph in graphs:
        run(graph)
    return time.process_time() - start


def summary(values: dict[str, list[float]], count: int) -> str:
    """The cost as a share of the time without estimates."""
    rows = [
        (name, *(f"{100 * (np.quantile(found, share) - 1):+.1f} %" for share in (0.5, 0.1, 0.9)))
        for name, found in values.items()
    ]
    return table((f"estimates of errors, {count} molecules", "cost, median", "10 %", "90 %"), rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, help="SDF file")
    parser.add_argument("--count", type=int, default=64, help="molecules")
    parser.add_argument("--every", type=int, default=4, help="of them, evaluated one by one")
    parser.add_argument("--rounds", type=int, default=20)
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
