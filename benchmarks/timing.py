"""Medians of the times of calls that take turns, and tables of them; standard library only."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Case = TypeVar("Case", bound=str | tuple[object, ...])
Measure = Callable[[int], float]
"""Median ms of so many calls."""
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}
"""Seconds, by name; processor time is that of all threads of the process."""


def median_ms(
    call: Callable[[], object],
    repeats: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Median time of a call by a clock, ms, after some that do not count."""
    for _ in range(warmup):
        call()
    return statistics.median(_once(call, clock) for _ in range(repeats))


def _once(call: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return 1e3 * (clock() - start)


def measured(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Measure:
    """The measure of a call; the first three do not count, which may record and tune."""
    return lambda repeats: median_ms(call, repeats, warmup=3, clock=clock)


def in_turns(
    measures: Mapping[Case, Measure], rounds: int, seconds: float
) -> tuple[dict[Case, list[float]], dict[Case, Exception]]:
    """Medians of rounds, in each of which all are measured, one right after the other.

    So all see the machine in the same state. The order turns around every round.

    Args:
        measures: by case.
        rounds: how many.
        seconds: time for each median.

    Returns:
        ms of each round; and of the cases that cannot be measured, why.
    """
    repeats, missing = {}, {}
    for case, measure in measures.items():
        try:
            repeats[case] = int(min(max(1e3 * seconds / measure(2), 3), 2000))
        except Exception as error:  # a device, a runtime or the memory that is not there
            missing[case] = error
    times: dict[Case, list[float]] = {case: [] for case in repeats}
    for number in range(rounds):
        for case in repeats if number % 2 == 0 else reversed(repeats):
            times[case].append(measures[case](repeats[case]))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return times, missing


def ratio(times: Sequence[float], base: Sequence[float] | None) -> str:
    """Median of the ratios within each round, to three digits; a dash without a base."""
    if base is None:
        return "–"
    return digits(statistics.median(t / b for t, b in zip(times, base, strict=True)))


def digits(value: float) -> str:
    """A positive number to three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def print_header(columns: Sequence[str], texts: int = 1) -> None:
    """The first two lines of a Markdown table, whose first columns are texts, not numbers."""
    print(f"| {' | '.join(columns)} |")
    print(f"|{'---|' * texts}{'---:|' * (len(columns) - texts)}")


def print_row(cells: Sequence[object]) -> None:
    """A line of a Markdown table, at once."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def print_missing(missing: Mapping[Case, Exception]) -> None:
    """What could not be measured, below its table."""
    for case, error in missing.items():
        name = case if isinstance(case, str) else ", ".join(map(str, case))
        print(
            f"- not measured: {name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        )
