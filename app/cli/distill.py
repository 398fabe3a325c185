"""`equipot distill`: a small, fast model in the place of a large one, for some structures and their
like.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.label import json_object
from app.cli.options import about_of, add_about, add_model_store
from app.cli.parser import Joined, numbers_of
from app.errors import InvalidRequest

if TYPE_CHECKING:
    from app.labelling.label import Reference


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add(
        "--structures",
        type=Path,
        required=True,
        metavar="FILE",
        help="structures to begin from, in any format that ASE reads",
    )
    add("--teacher", metavar="NAME", help="model of the store that is to be learnt from")
    add("--calculator", metavar="MODULE:CLASS", help="an ASE calculator in its place")
    add("--options", default="{}", metavar="JSON", help="keyword arguments of the calculator")
    add(
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="of frames, labels and runs; a distillation that was stopped goes on with it",
    )
    add(
        "--config",
        type=Path,
        metavar="FILE.yaml",
        help="config of the training, without data (default: a small Allegro)",
    )
    add("--rounds", type=int, default=2, help="of sampling by the new model (%(default)s)")
    add("--frames", type=int, default=200, help="to label in each round (%(default)s)")
    add(
        "--temperature",
        type=numbers_of(float),
        nargs="+",
        action=Joined,
        default=[300.0, 600.0],
        metavar="K",
        help="of the dynamics that sample (300 600)",
    )
    add("--interval", type=int, default=50, help="steps between two samples (%(default)s)")
    add("--timestep", type=float, default=1.0, help="fs (%(default)s)")
    add("--seed", type=int, default=0, help="of all random numbers (%(default)s)")
    add("--processes", type=int, default=1, help="that label (%(default)s)")
    add("--publish", metavar="NAME", help="afterwards certify the model and publish it")
    add_about(parser)
    add_model_store(parser)


def run(options: argparse.Namespace) -> int:
    """Sample, label, train, in rounds; say what the result is worth, and publish it if asked."""
    from app.cli.export import publish
    from app.store.location import open_store
    from app.training.distill.distill import (
        STUDENT,
        Distillation,
        distill,
        held_out,
        read_structures,
        student,
        write_task,
    )
    from app.training.distill.report import compare
    from app.training.distill.sampling import exploring
    from app.training.export.publish import check_name
    from app.training.loop.display import Display
    from app.training.runs.config_file import read_content

    _check(options)
    about = about_of(options)
    if options.publish is not None:
        check_name(options.publish)
    structures = read_structures(options.structures)
    stress = all(atoms.pbc.all() for atoms in structures)
    task = Distillation(
        teacher=_teacher(options, stress),
        structures=structures,
        folder=options.output,
        config=STUDENT if options.config is None else read_content(options.config),
        rounds=options.rounds,
        frames=options.frames,
        temperatures=tuple(options.temperature),
        interval=options.interval,
        timestep=options.timestep,
        seed=options.seed,
        processes=options.processes,
    )
    write_task(task)
    folder = distill(task, lambda config: Display(config.epochs), print)
    model, labels = student(folder), held_out(task)
    with exploring():
        report = compare(
            model, task.teacher, labels, structures, task.temperatures[0], task.timestep
        )
    text = report.model_dump_json(indent=1)
    (options.output / "report.json").write_text(text + "\n", encoding="utf-8")
    print("\n".join(report.lines))
    if options.publish is not None:
        publish(folder, open_store(options.model_store), options.publish, about)
    return 0


def _check(options: argparse.Namespace) -> None:
    if (options.teacher is None) == (options.calculator is None):
        raise InvalidRequest("state either --teacher or --calculator")
    if options.teacher is not None and options.options != "{}":
        raise InvalidRequest("--options is for --calculator; a model of the store takes none")
    for name in ("frames", "interval", "timestep", "processes", "temperature"):
        values = getattr(options, name)
        for value in values if isinstance(values, list) else [values]:
            if not value > 0:
                raise InvalidRequest(f"--{name} {value}: must be positive")
    if options.rounds < 0:
        raise InvalidRequest(f"--rounds {options.rounds}: none, or more")
    if options.about is not None and options.publish is None:
        raise InvalidRequest("--about is for --publish NAME; nothing is published without")


def _teacher(options: argparse.Namespace, stress: bool) -> "Reference":
    """What labels, with stresses where all structures are bulk."""
    from app.labelling.label import Reference
    from app.store.location import absolute, open_store

    properties = ("energy", "forces", "stress") if stress else ("energy", "forces")
    if options.calculator is not None:
        return Reference(options.calculator, json_object(options.options), properties)
    stored = open_store(options.model_store).load(options.teacher)
    keywords: dict[str, Any] = {
        "model": stored.card.reference,
        "store": str(absolute(options.model_store)),
        "threads": 1,
    }
    return Reference("equipot:EquipotCalculator", keywords, properties)
