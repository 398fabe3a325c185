"""Metrics of jobs, in the registry of their service."""

from typing import NamedTuple, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from app.jobs.schemas import State
from app.protocol.faults import fault
from app.protocol.response import Answered, Result


class Census(NamedTuple):
    """What there is in a database of jobs.

    Attributes:
        jobs: how many there are in each state.
        structures: of those that have not ended: `done`, `failed` and `left`.
        oldest: seconds since the oldest of these was submitted; 0 where there is none.
    """

    jobs: dict[str, int]
    structures: dict[str, int]
    oldest: float


class JobMetrics:
    """What is counted of jobs: gauges are of the database, counters of the process.

    Args:
        registry: of the service.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Gauge("equipot_jobs", "jobs in the database", ["state"], registry=registry)
        self._structures = Gauge(
            "equipot_job_structures",
            "structures of jobs that have not ended",
            ["state"],
            registry=registry,
        )
        self._oldest = Gauge(
            "equipot_job_oldest_seconds",
            "age of the oldest job that has not ended",
            registry=registry,
        )
        self._results = Counter(
            "equipot_job_results",
            "structures of jobs that got a result here, by `ok` or the code of their error",
            ["outcome"],
            registry=registry,
        )
        self._takeovers = Counter(
            "equipot_job_lease_takeovers",
            "chunks taken over from a process that did not say any more that it lives",
            registry=registry,
        )
        self._webhooks = Counter(
            "equipot_job_webhooks", "webhooks that were told", ["outcome"], registry=registry
        )
        for outcome in ("ok", "failed"):
            self._webhooks.labels(outcome)

    def counted(self, census: Census) -> None:
        """So much there is now."""
        for state in get_args(State):
            self._jobs.labels(state).set(census.jobs.get(state, 0))
        for state, structures in census.structures.items():
            self._structures.labels(state).set(structures)
        self._oldest.set(census.oldest)

    def answered(self, result: Result) -> None:
        """A structure got its result."""
        outcome = "ok" if isinstance(result, Answered) else fault(result).code
        self._results.labels(outcome).inc()

    def took_over(self) -> None:
        """A chunk was taken over."""
        self._takeovers.inc()

    def told(self, succeeded: bool) -> None:
        """A webhook was told, and took it or not."""
        self._webhooks.labels("ok" if succeeded else "failed").inc()
