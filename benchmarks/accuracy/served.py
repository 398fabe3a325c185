"""Errors of a model on labelled data as a client of the service sees them.

    python -m benchmarks.accuracy.served organic-xtb test.xyz

starts `equipot serve` on the store (or asks the service at `--url`), posts all frames to `POST
/predict`, so many to a request and so many requests at once, and prints what `equipot evaluate`
prints, with the same code, and how many structures a second came back. The frames are read as
`equipot evaluate` reads them (`--set units.energy=kcal/mol`).
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson

from app.atoms.structure import Structure
from app.bench.service import served, structure_fields
from app.machine import machine
from app.settings import Settings
from app.training.data.config import Source
from app.training.data.frames import LabelledFrame
from app.training.data.load import Finder, load_sources
from app.training.evaluation.errors import Values
from app.training.evaluation.report import page, report
from app.training.runs.config_file import override, parse

TIMEOUT = 600.0


@dataclass(frozen=True)
class Answers:
    """What the service said about some frames, in their order, and how long it took in seconds."""

    values: Values
    seconds: float


def ask(url: str, model: str, frames: Sequence[LabelledFrame], size: int, clients: int) -> Answers:
    """Ask a service about frames.

    Args:
        url: of the service.
        model: `name` or `name@version`.
        frames: whose structures are sent.
        size: structures a request.
        clients: requests at once, each on a connection that is kept.

    Raises:
        SystemExit: an answer without all results; quotes it.
    """
    parts = [frames[start : start + size] for start in range(0, len(frames), size)]
    bodies = [body(model, [frame.structure for frame in part]) for part in parts]
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    with (
        httpx.Client(base_url=url, timeout=TIMEOUT, limits=limits) as client,
        ThreadPoolExecutor(clients) as pool,
    ):
        began = time.perf_counter()
        found = list(pool.map(lambda content: post(client, content), bodies))
        seconds = time.perf_counter() - began
    return Answers(values([result for results in found for result in results]), seconds)


def body(model: str, structures: Sequence[Structure]) -> bytes:
    """A request in JSON."""
    return orjson.dumps(
        {"model": model, "structures": [structure_fields(structure) for structure in structures]}
    )


def post(client: httpx.Client, content: bytes) -> list[dict[str, Any]]:
    """The results of one request."""
    answer = client.post("/predict", content=content, headers={"Content-Type": "application/json"})
    results: list[dict[str, Any]] = orjson.loads(answer.content).get("results", [])
    bad = [result for result in results if result["status"] != "ok"]
    if answer.status_code != 200 or bad:
        raise SystemExit(f"{answer.status_code}: {bad[0]['error'] if bad else answer.text[:500]}")
    return results


def values(results: Sequence[Mapping[str, Any]]) -> Values:
    """Results as the errors are made of them."""
    missing = np.full((3, 3), np.nan).tolist()
    spread = "energy_std" in results[0]
    return Values(
        np.array([result["energy"] for result in results]),
        np.concatenate([np.array(result["forces"]).reshape(-1, 3) for result in results]),
        np.array([result.get("stress") or missing for result in results]),
        np.array([result["energy_std"] for result in results]) if spread else None,
        np.concatenate([result["forces_std"] for result in results]) if spread else None,
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="`name` or `name@version`")
    parser.add_argument("data", help="file of labelled frames")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how to read",
    )
    parser.add_argument(
        "--url", help="of a service that runs; one is started where it is not given"
    )
    parser.add_argument(
        "--model-store", type=Path, default=Path("model_store"), help="to serve (%(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="of the service that is started; 0 takes all cores"
    )
    parser.add_argument(
        "--batch-size", type=int, default=32, help="structures a request (%(default)s)"
    )
    parser.add_argument("--clients", type=int, default=8, help="requests at once (%(default)s)")
    parser.add_argument("--worst", type=int, default=10, help="groups to list (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Ask, and print the errors."""
    options = arguments()
    content = {"path": options.data}
    override(content, options.overrides)
    frames = load_sources([parse(Source, content, options.data)], Finder(Path()))
    if options.url:
        found = ask(options.url, options.model, frames, options.batch_size, options.clients)
    else:
        settings = Settings(model_store=options.model_store, threads=options.threads)
        with served(settings, options.model) as server:
            url = f"http://127.0.0.1:{server.port}"
            found = ask(url, options.model, frames, options.batch_size, options.clients)
    print(page(report(found.values, frames), options.worst))
    speed = f"{len(frames) / found.seconds:.0f} structures/s"
    print(
        f"\n{speed}: {options.clients} requests of {options.batch_size} structures at once; {machine()}"
    )


if __name__ == "__main__":
    main()
