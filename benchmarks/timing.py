"""Wall-clock medians, measured alike in every environment; needs the standard library only."""

import statistics
import time
from collections.abc import Callable


def median_ms(call: Callable[[], object], repeats: int, warmup: int = 1) -> float:
    """Median wall time of a call, ms, after some that do not count."""
    for _ in range(warmup):
        call()
    return statistics.median(_once(call) for _ in range(repeats))


def _once(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)
