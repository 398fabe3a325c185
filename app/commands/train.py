"""`equipot train`: a model from a config."""

import argparse
import os
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="what to train, and on what")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key, e.g. epochs=10",
    )
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help="where to write; runs/<name of the config> by default"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR", help="where the config's relative paths begin (or EQUIPOT_DATA)"
    )


def run(options: argparse.Namespace) -> int:
    """Train, and print the table of errors."""
    from app.training.config_file import load_config

    config = load_config(options.config, options.overrides)
    from app.training.data import Finder
    from app.training.evaluate import Errors, table
    from app.training.progress import Display
    from app.training.run import run as run_training
    from app.training.run_folder import RunFolder

    folder = RunFolder(options.run or Path("runs") / run_name(options.config))
    display = Display(config.epochs)
    try:
        result = run_training(
            config, folder, Finder(options.config.parent, data_root(options)), display, options.resume
        )
    finally:
        display.close()
    sets: dict[str, Errors] = {
        name: Errors(**result[name]) for name in ("train", "validation", "test") if name in result
    }
    print(table(sets))
    print(f"{result['parameters']} parameters, {result['seconds'] / 60:.1f} min; written to {folder.path}")
    return 0


def run_name(config: Path) -> str:
    """The config's name, or its folder's where it is just called `config`."""
    return config.resolve().parent.name if config.stem == "config" else config.stem


def data_root(options: argparse.Namespace) -> Path | None:
    """The folder in which relative data paths begin, if one is given."""
    if options.data_root is not None:
        return Path(options.data_root)
    return Path(os.environ["EQUIPOT_DATA"]) if os.environ.get("EQUIPOT_DATA") else None
