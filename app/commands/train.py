"""`equipot train`: a model from a config."""

import argparse
import os
import signal
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="what to train, and on what")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="override a key: epochs=10"
    )
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help="where to write (default: runs/<name of the config>)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be trained on what, with which memory, and stop"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep neighbour lists there for later runs (or set EQUIPOT_CACHE)"
    )
    add_data_root(parser)


def run(options: argparse.Namespace) -> int:
    """Train, and print the table of errors."""
    # Read when torch is imported. Threads that spin while they wait make a step many times slower on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from app.training.config_file import load_config

    config = load_config(options.config, options.overrides)
    from app.training.data import Finder

    find = Finder(options.config.parent, data_root(options), cache_folder(options))
    if options.dry_run:
        from app.training.dry_run import describe_run

        print(describe_run(config, find))
        return 0
    from app.training.evaluate import Errors
    from app.training.progress import Display
    from app.training.report import table
    from app.training.run import run as train
    from app.training.run_folder import RunFolder

    folder = RunFolder(options.run or Path("runs") / run_name(options.config))
    display = Display(config.epochs)
    handlers = {number: signal.signal(number, display.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        result = train(config, folder, find, display, options.resume)
    finally:
        display.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    print(table({name: Errors(**result[name]) for name in ("train", "validation", "test") if name in result}))
    print(f"{result['parameters']} parameters, {result['seconds'] / 60:.1f} min; written to {folder.path}")
    return 0


def run_name(config: Path) -> str:
    """The config's name, or its folder's where it is just called `config`."""
    return config.resolve().parent.name if config.stem == "config" else config.stem


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Declare `--data-root`."""
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR", help="where relative paths of data begin (or set EQUIPOT_DATA)"
    )


def data_root(options: argparse.Namespace) -> Path | None:
    """The folder in which relative paths of data begin, if one is given."""
    if options.data_root is not None:
        return Path(options.data_root)
    return Path(os.environ["EQUIPOT_DATA"]) if os.environ.get("EQUIPOT_DATA") else None


def cache_folder(options: argparse.Namespace) -> Path | None:
    """The folder in which neighbour lists are kept, if one is given."""
    if options.cache is not None:
        return Path(options.cache)
    return Path(os.environ["EQUIPOT_CACHE"]).expanduser() if os.environ.get("EQUIPOT_CACHE") else None
