"""`equipot export`: certify a trained model and publish it into the store."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.cli.options import DTYPES, about_of, add_about, add_model_store

if TYPE_CHECKING:
    from app.store.certificate import Certificate
    from app.store.store import ModelStore, StoredModel
    from app.training.export.publish import About
    from app.training.export.steps import Steps


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run_folder", type=Path, metavar="RUN", help="folder of a training run or of a committee"
    )
    parser.add_argument(
        "--name", required=True, help="name of the model; the version follows the newest one"
    )
    add_model_store(parser)
    add_about(parser)
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the artifact")
    parser.add_argument(
        "--aoti",
        action="store_true",
        help="compile packages of AOTInductor, too, for processors like this one",
    )


def run(options: argparse.Namespace) -> int:
    """Export, certify, publish; print what was published and how far it deviates from its model."""
    from app.store.location import open_store

    store, about = open_store(options.model_store), about_of(options)
    publish(options.run_folder, store, options.name, about, options.dtype, options.aoti)
    return 0


def publish(
    run_folder: Path,
    store: "ModelStore",
    name: str,
    about: "About",
    dtype: Literal["float32", "float64"] = "float32",
    aoti: bool = False,
) -> None:
    """Export, certify and publish what a run left; print what was published and how far it deviates
    from its model.
    """
    from app.cli.steps import ShownSteps
    from app.training.export.publish import export
    from app.training.runs.trained import TrainedRun

    steps = ShownSteps()
    report(export(TrainedRun(run_folder), store, name, about, dtype, aoti, steps), steps)


def report(published: "StoredModel", steps: "Steps") -> None:
    """Print what was published, how far it deviates from its model, and how long each step took."""
    from app.cli.steps import table

    card = published.card
    print(f"{card.reference} in {published.folder}, digest {published.digest[:12]}")
    if card.imported is not None and card.imported.comparison is not None:
        comparison = card.imported.comparison
        print(
            f"model: largest deviations from {comparison.package} over {comparison.structures} "
            "crystals (tolerance):"
        )
        for (key, value), (_, allowed) in zip(
            comparison.largest, comparison.tolerance, strict=True
        ):
            print(f"  {key:16} {value:.1e} ({allowed:.0e})")
    _report("artifact", card.certificate)
    if card.kernel is not None:
        _report(card.kernel.runtime, card.kernel.certificate)
    if card.aoti is not None:
        _report(
            f"packages for {card.aoti.machine} with {card.aoti.capability}", card.aoti.certificate
        )
    print(table(steps.taken))


def _report(what: str, certificate: "Certificate | None") -> None:
    assert certificate is not None
    print(
        f"{what}: largest deviations from the float64 model over {certificate.systems} structures (tolerance):"
    )
    for key, value in certificate.largest:
        frames = (
            ""
            if certificate.held_out is None
            else f"  held-out frames {getattr(certificate.held_out, key):.1e}"
        )
        print(f"  {key:16} {value:.1e} ({getattr(certificate.tolerance, key):.0e}){frames}")
