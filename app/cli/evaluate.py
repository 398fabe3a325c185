"""`equipot evaluate`: errors of a store model, a training run or a service, on labelled data."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from app.backends.device import BackendChoice
from app.cli.options import add_model_store
from app.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.training.data.frames import LabelledFrame
    from app.training.evaluation.errors import Values
    from app.training.evaluation.report import Report


HERE_ONLY = {"device": "cpu", "backend": "auto", "threads": 0}
"""How a model is run in this process, by default; a server decides for itself."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="`name` or `name@version` of the store, or the folder of a run",
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="file of frames with energies, forces or both: extXYZ, npz, or what ASE reads",
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how the file is read, as in data.train of a config: units.energy=kcal/mol, index=':100', keys.energy=E",
    )
    parser.add_argument(
        "--by",
        metavar="KEY",
        help="group frames by this value of their comment lines, or by `charge` or `size` (default: by "
        "chemical formula)",
    )
    parser.add_argument(
        "--worst", type=int, default=10, metavar="N", help="groups to list; 0: none (%(default)s)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the errors of all groups")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw predictions against labels")
    parser.add_argument(
        "--plot-uncertainty",
        type=Path,
        metavar="PNG",
        help="draw force errors against uncertainties (of a committee)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--batch-size", type=int, default=32, help="structures evaluated together (%(default)s)"
    )
    parser.add_argument(
        "--server", metavar="URL", help="ask this running service for the model of its store"
    )
    parser.add_argument(
        "--device", default=HERE_ONLY["device"], help="cpu, cuda or cuda:N (%(default)s)"
    )
    parser.add_argument(
        "--backend",
        choices=get_args(BackendChoice),
        default=HERE_ONLY["backend"],
        help="what runs a stored model (%(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=HERE_ONLY["threads"],
        help="numerics threads; 0 takes all cores",
    )
    add_model_store(parser)


def run(options: argparse.Namespace) -> int:
    """Print the errors, and write what is asked for."""
    from app.training.data.config import PartlyLabelled
    from app.training.data.load import Finder, load_sources
    from app.training.evaluation.predictors import open_predictor
    from app.training.evaluation.report import page, report
    from app.training.runs.config_file import override, parse

    _check(options)
    content = {"path": options.data}
    override(content, options.overrides)
    source = parse(PartlyLabelled, content, options.data)
    predict = open_predictor(
        options.model,
        options.model_store,
        device=options.device,
        threads=options.threads,
        batch_size=options.batch_size,
        backend=options.backend,
        server=options.server,
    )
    frames = load_sources([source], Finder(Path()))
    predicted = predict(frames)
    if options.plot_uncertainty is not None and predicted.forces_std is None:
        raise InvalidConfig(
            f"--plot-uncertainty: {options.model} states no uncertainty; committees do, and models of "
            "the store that were published with one"
        )
    if options.plot_uncertainty is not None and not any(frame.has_forces for frame in frames):
        raise InvalidConfig("--plot-uncertainty: no frame has forces, whose errors it draws")
    measured = report(predicted, frames, options.by)
    _write(options, measured, frames, predicted)
    print(
        measured.model_dump_json(indent=2, exclude_none=True)
        if options.json
        else page(measured, options.worst)
    )
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.worst < 0:
        raise InvalidConfig(f"--worst {options.worst}: at least 0")
    if options.server is not None:
        for name, default in HERE_ONLY.items():
            if getattr(options, name) != default:
                raise InvalidConfig(
                    f"--{name} {getattr(options, name)}: with --server the service decides; "
                    "leave it out"
                )


def _write(
    options: argparse.Namespace,
    measured: "Report",
    frames: "Sequence[LabelledFrame]",
    predicted: "Values",
) -> None:
    title = f"{options.model} on {Path(options.data).name}"
    if options.csv is not None:
        from app.training.evaluation.report import groups_csv
        from app.training.runs.checkpoint import write_atomically

        write_atomically(options.csv, lambda file: file.write(groups_csv(measured.groups).encode()))
    if options.plot is not None:
        from app.training.evaluation.plots import parity

        parity(options.plot, title, frames, predicted)
    if options.plot_uncertainty is not None:
        from app.training.evaluation.plots import error_against_std
        from app.training.evaluation.uncertainty import force_errors

        error_against_std(options.plot_uncertainty, title, *force_errors(predicted, frames))
