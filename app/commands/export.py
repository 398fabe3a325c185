"""`equipot export`: certify a trained model and publish it into the store."""

import argparse
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a training run or of a committee")
    parser.add_argument("--name", required=True, help="name of the model; the version follows the newest one")
    parser.add_argument("--store", type=Path, default=Path("model_store"), help="model store (default: %(default)s)")
    parser.add_argument("--about", type=Path, help="YAML with description, license and limitations")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of the artifact")


def run(options: argparse.Namespace) -> int:
    """Export, certify, publish; print what was published and how far it deviates from its model."""
    from app.store import ModelStore
    from app.training.export import About, export, read_about
    from app.training.trained import TrainedRun

    about = read_about(options.about) if options.about else About()
    published = export(TrainedRun(options.run_folder), ModelStore(options.store), options.name, about, options.dtype)
    card = published.card
    assert card.certificate is not None
    print(f"{card.name}@{card.version} in {published.folder}, digest {published.digest[:12]}")
    print(f"largest deviations from the float64 model over {card.certificate.systems} structures (tolerance):")
    for key, value in card.certificate.largest:
        print(f"  {key:16} {value:.1e} ({getattr(card.certificate.tolerance, key):.0e})")
    return 0
