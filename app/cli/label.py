"""`equipot label`: energies and forces of structures from a reference calculator."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from app.errors import InvalidRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add(
        "structures",
        type=Path,
        nargs="+",
        help="files in any format that ASE reads; the charge and multiplicity that a frame states "
        "are set as parameters of the calculator",
    )
    add(
        "--calculator",
        required=True,
        metavar="MODULE:CLASS",
        help="an ASE calculator: tblite.ase:TBLite",
    )
    add(
        "--options",
        default="{}",
        metavar="JSON",
        help="keyword arguments of the calculator, a JSON object",
    )
    add(
        "--output",
        type=Path,
        required=True,
        help="extXYZ file; a run that was stopped goes on with it",
    )
    add(
        "--properties",
        default="energy,forces",
        help="of energy, forces, stress (default: %(default)s)",
    )
    add(
        "--processes",
        type=int,
        help="worker processes (default: all cores, of the cluster with --ray)",
    )
    add(
        "--timeout",
        type=float,
        default=600.0,
        help="seconds that a frame may take (default: %(default)g)",
    )
    add(
        "--ray",
        metavar="ADDRESS",
        help="workers of a Ray cluster label, which have the calculator installed: local (starts "
        "one), auto, HOST:PORT or ray://HOST:PORT",
    )


def run(options: argparse.Namespace) -> int:
    """Label, showing the count now and then; frames that fail are counted, not an error."""
    from app.labelling.label import Reference, label
    from app.labelling.output import failures_path

    if (options.processes is not None and options.processes < 1) or not options.timeout > 0:
        raise InvalidRequest("--processes and --timeout must be positive")
    properties = tuple(name.strip() for name in options.properties.split(","))
    reference = Reference(options.calculator, json_object(options.options), properties)
    files, output, show = options.structures, options.output, _Progress()
    if options.ray is None:
        processes = options.processes or os.cpu_count() or 1
        summary = label(files, output, reference, processes, options.timeout, show)
    else:
        from app.cluster.connection import cluster
        from app.cluster.labelling import scattered

        with cluster(options.ray):
            processes = options.processes or 0
            summary = label(files, output, reference, processes, options.timeout, show, scattered)
    failures = (
        f", {summary.failed} failed ({failures_path(options.output)})" if summary.failed else ""
    )
    print(f"{options.output}: {summary.labelled} frames labelled{failures}")
    return 0


def json_object(text: str) -> dict[str, Any]:
    """The content of `--options`.

    Raises:
        InvalidRequest: no JSON object.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"--options is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidRequest('--options must be a JSON object, such as {"method": "GFN2-xTB"}')
    return content


class _Progress:
    """Prints the counts to the error stream, at most every ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, summary: Any) -> None:
        if time.monotonic() - self._last >= 10:
            self._last = time.monotonic()
            print(f"{summary.labelled} frames labelled, {summary.failed} failed", file=sys.stderr)
