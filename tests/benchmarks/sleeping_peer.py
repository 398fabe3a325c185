"""A peer whose calls wait and do nothing, as a process of its own."""

import time

from benchmarks.timing import CLOCKS, median_ms
from benchmarks.worker import claim_output, serve

SECONDS = 0.05


def measure(system: str, mode: str, repeats: int, clock: str) -> dict[str, float]:
    return {"ms": median_ms(lambda: time.sleep(SECONDS), repeats, clock=CLOCKS[clock])}


if __name__ == "__main__":
    serve(claim_output(), {"atoms": {"one": 2}, "edges": {"one": 2}}, measure)
