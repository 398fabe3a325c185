"""`equipot evaluate`: errors of a store model, or of a training run, on labelled data."""

import argparse
import os
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    store = os.environ.get("EQUIPOT_MODEL_STORE", "model_store")
    parser.add_argument("model", metavar="MODEL", help="`name` or `name@version` of the store, or the folder of a run")
    parser.add_argument("data", metavar="DATA", help="file of labelled frames: extXYZ, npz, or what ASE reads")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how the file is read, as in data.train of a config: units.energy=kcal/mol, index=':100', keys.energy=E",
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw predictions against labels")
    parser.add_argument("--json", action="store_true", help="print the errors as JSON")
    parser.add_argument("--batch-size", type=int, default=32, help="structures evaluated together (%(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="numerics threads; 0 takes all cores")
    parser.add_argument("--model-store", type=Path, default=Path(store), help="folder of the models (%(default)s)")


def run(options: argparse.Namespace) -> int:
    """Print the table of errors."""
    from app.training.config_file import override, parse
    from app.training.data import Finder, load_sources
    from app.training.data_config import Source
    from app.training.evaluate import errors, table
    from app.training.predictors import open_predictor

    content = {"path": options.data}
    override(content, options.overrides)
    source = parse(Source, content, options.data)
    predict = open_predictor(options.model, options.model_store, options.device, options.threads, options.batch_size)
    frames = load_sources([source], Finder(Path()))
    predicted = predict(frames)
    found = errors(predicted, frames)
    if options.plot is not None:
        from app.training.plots import parity

        parity(options.plot, f"{options.model} on {Path(options.data).name}", frames, predicted)
    print(found.model_dump_json(indent=2, exclude_none=True) if options.json else table({"data": found}))
    return 0
