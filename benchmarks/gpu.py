"""All that is to be known of a GPU, in one call: what is there, whether the numbers are right, how
fast it is.

    python -m benchmarks.gpu --json gpu.json python -m benchmarks.gpu --only certificate latency
    --peer-python PEER/bin/python --json gpu.json python -m benchmarks.gpu --device cpu --quick

Prints Markdown, section by section, as each ends; the JSON is written after each, too, so that a
machine that is taken away leaves what it measured. A section that cannot be measured, or a part of
one, says what is missing and why. Ends with status 1 where the device is not used or the numbers
are wrong. Needs no network. Making the artifacts takes torch, onnx and onnxscript; `--prepare
--artifacts FOLDER` makes them beforehand elsewhere. The last line but `--quick` tries the script
without a GPU. How to make the peer's environment is written in
`benchmarks/peers/nequip_allegro.py`.
"""

import argparse
import json
import sys
import tempfile
import time
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

from benchmarks.gpu_parts import models
from benchmarks.gpu_parts.report import Report, Setup
from benchmarks.sizes import add_sizes

SECTIONS = ("environment", "certificate", "latency", "batches", "relaxation", "service", "training")


def measured(name: str, setup: Setup) -> Report:
    """What a section found; that it could not begin is a finding, too."""
    try:
        report: Report = import_module(f"benchmarks.gpu_parts.{name}").measure(setup)
    except Exception as error:
        report = Report(())
        report.lacks("the whole section", error)
    return report


def run(setup: Setup) -> bool:
    """Measure and print; whether something is wrong."""
    found: dict[str, object] = {}
    failed = False
    for name in setup.options.only or SECTIONS:
        began = time.perf_counter()
        report = measured(name, setup)
        seconds = time.perf_counter() - began
        failed |= report.failed
        mark = ": FAILED" if report.failed else ""
        print(f"## {name}{mark}\n\n{report.markdown()}\n\n({seconds:.0f} s)\n", flush=True)
        found[name] = report.document() | {"seconds": seconds}
        if setup.options.json:
            document = {"device": setup.device, "quick": setup.quick, "sections": found}
            setup.options.json.write_text(json.dumps(document, indent=2) + "\n")
    return failed


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (%(default)s)")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, help="these sections; all where not given"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="see that everything runs; the numbers are worth nothing",
    )
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument(
        "--artifacts",
        type=Path,
        help="folder where made artifacts stay; a temporary one if not given",
    )
    parser.add_argument("--prepare", action="store_true", help="make the artifacts and end")
    parser.add_argument("--peer-python", type=Path, help="interpreter of the peer's environment")
    parser.add_argument("--model", default="organic-xtb", help="of the store (%(default)s)")
    parser.add_argument("--store", type=Path, default=Path("model_store"), help="(%(default)s)")
    parser.add_argument(
        "--threads", type=int, default=0, help="numerics threads on the CPU; 0 takes all cores"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of the latencies (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="time for each median (%(default)s)"
    )
    parser.add_argument(
        "--largest", type=int, default=1_000_000, help="atoms of the largest batch (%(default)s)"
    )
    add_sizes(parser)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Measure; 1 where something is wrong."""
    options = arguments(words)
    with (
        nullcontext(options.artifacts)
        if options.artifacts
        else tempfile.TemporaryDirectory() as folder
    ):
        setup = Setup(options, Path(folder))
        if options.prepare:
            print(models.ensure(options, setup.artifacts))
            return 0
        return int(run(setup))


if __name__ == "__main__":
    sys.exit(main())
