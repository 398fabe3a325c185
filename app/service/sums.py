"""Sums: metrics of several processes as those of one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

SUMMED = (
    *("equipot_queue_depth", "equipot_connections", "equipot_answer_cache_bytes"),
    *("process_virtual_memory_bytes", "process_resident_memory_bytes", "process_open_fds"),
)
"""Gauges of which each process has its part; others are the same in all."""
COUNTED = ("counter", "histogram")
Join: TypeAlias = Callable[[Iterable[float]], float]
Sample: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


class Sums(Collector):
    """Adds up what processes counted; what those counted that are gone stays, so that nothing falls."""

    def __init__(self) -> None:
        self._gone: list[Metric] = []
        self._families: list[Metric] = []

    def gone(self, page: bytes) -> None:
        """A process has ended.

        Args:
            page: its metrics, as it told them last.
        """
        self._gone = list(_joined([self._gone, [f for f in _families(page) if _is_kept(f)]]))

    def text(self, pages: Sequence[bytes]) -> bytes:
        """The metrics of all processes, from those of each."""
        self._families = list(_joined([*map(_families, pages), self._gone]))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        yield from self._families


def _families(page: bytes) -> list[Metric]:
    return list(text_string_to_metric_families(page.decode()))


def _is_kept(family: Metric) -> bool:
    return family.type in COUNTED or _is_begin(family.name)


def _is_begin(name: str) -> bool:
    """Whether it says since when something is counted, or there."""
    return name.endswith("_created") or name == "process_start_time_seconds"


def _joined(pages: Iterable[Iterable[Metric]]) -> Iterator[Metric]:
    """Families by name, each with the samples of all pages."""
    families: dict[str, tuple[Metric, dict[Sample, list[float]]]] = {}
    for family in (family for page in pages for family in page):
        _, samples = families.setdefault(family.name, (family, {}))
        for each in family.samples:
            key = each.name, tuple(each.labels.items())
            samples.setdefault(key, []).append(each.value)
    for family, samples in families.values():
        join = _join(family)
        joined = Metric(family.name, family.documentation, family.type)
        for (name, labels), values in samples.items():
            joined.add_sample(name, dict(labels), join(values))
        yield joined


def _join(family: Metric) -> Join:
    if _is_begin(family.name):
        return min
    return sum if family.type in COUNTED or family.name in SUMMED else max
