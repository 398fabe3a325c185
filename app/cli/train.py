"""`equipot train`: a model from a config."""

import argparse
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.export import publish
from app.cli.options import (
    DTYPES,
    about_of,
    add_about,
    add_data_cache,
    add_data_root,
    add_model_store,
    data_cache,
    data_root,
)
from app.errors import EquipotError, InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.store.store import ModelStore
    from app.training.export.publish import About
    from app.training.loop.distributed import ProcessGroup
    from app.training.runs.config import TrainConfig


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG.yaml", help="what to train, and on what"
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key: epochs=10",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        help="where to write (default: runs/<name of the config>)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="train a committee of so many members, with seed, seed + 1, …",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be trained on what, with which memory, and stop",
    )
    parser.add_argument(
        "--publish",
        metavar="NAME",
        help="afterwards certify the model and publish it under this name, as export does",
    )
    parser.add_argument(
        "--publish-dtype", choices=DTYPES, help="of the published artifact (float32)"
    )
    add_about(parser)
    add_data_root(parser)
    add_data_cache(parser)
    add_model_store(parser)


def run(options: argparse.Namespace) -> int:
    """Train a model or a committee, print the table of errors, and publish the model if that is
    asked for.
    """
    # Read when torch is imported. Threads that spin while they wait make a step many times slower
    # on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from app.training.loop.distributed import process_group

    with process_group() as group:
        try:
            return _run(options, group)
        except EquipotError:
            if group.is_first:
                raise
            return 0  # torchrun would end the first process before it has said what is wrong


def _run(options: argparse.Namespace, group: "ProcessGroup") -> int:
    from app.store.location import open_store
    from app.training.data.load import Finder
    from app.training.runs.folder import CommitteeFolder, RunFolder

    store = open_store(options.model_store)
    find = Finder(options.config.parent, data_root(options), data_cache(options))
    path = options.run or Path("runs") / run_name(options.config)
    config = group.share(lambda: _config(options, path, store))
    about = _about(options)
    if options.dry_run:
        from app.training.dry_run import describe_run

        if group.is_first:
            print(describe_run(config, find, store))
        return 0
    from app.training.committee import run_committee
    from app.training.loop.display import Display, Quiet
    from app.training.run import train_model

    display = Display(config.epochs) if group.is_first else Quiet()
    handlers = {
        number: signal.signal(number, display.interrupt)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        if options.seeds is None:
            result = train_model(
                config, RunFolder(path), find, display, options.resume, store, group
            )
        else:
            folder = CommitteeFolder(path)
            result = run_committee(
                config, options.seeds, folder, find, display, options.resume, store, group
            )
    finally:
        display.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if result is not None:
        print(_summary(result))
        print(
            f"{result['parameters']} parameters, {result['seconds'] / 60:.1f} min; written to {path}"
        )
        if about is not None:
            publish(path, store, options.publish, about, options.publish_dtype or "float32")
    return 0


def _config(options: argparse.Namespace, path: Path, store: "ModelStore") -> "TrainConfig":
    """The config, with what it leaves out of the model that it starts from."""
    from app.training.runs.config_file import parse_config, read_content
    from app.training.runs.fine_tuning import with_model
    from app.training.runs.folder import CommitteeFolder, RunFolder

    begun = next(
        (
            f.config
            for f in (RunFolder(path), *CommitteeFolder(path).members())
            if f.config.is_file()
        ),
        None,
    )
    content = read_content(options.config, options.overrides)
    return parse_config(
        with_model(content, begun if options.resume else None, store), str(options.config)
    )


def _about(options: argparse.Namespace) -> "About | None":
    """What the card of the published model is to say; nothing where none is published.

    Checked before the training.
    """
    if options.publish is None:
        for option, value in (
            ("--about", options.about),
            ("--publish-dtype", options.publish_dtype),
        ):
            if value is not None:
                raise InvalidConfig(
                    f"{option} {value}: it is for --publish NAME; nothing is published without"
                )
        return None
    from app.training.export.publish import check_name

    check_name(options.publish)
    return about_of(options)


def _summary(result: "Mapping[str, Any]") -> str:
    """The table of errors, of a run or of a committee."""
    from app.training.committee import committee_table
    from app.training.evaluation.errors import Errors
    from app.training.evaluation.report import table

    if "members" in result:
        return committee_table(result)
    return table(
        {name: Errors(**result[name]) for name in ("train", "validation", "test") if name in result}
    )


def run_name(config: Path) -> str:
    """The config's name, or its folder's where it is just called `config`."""
    return config.resolve().parent.name if config.stem == "config" else config.stem
