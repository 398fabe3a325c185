"""Prometheus metrics of one app, in a registry of its own."""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from app.engine.budget import Cost
from app.protocol.admin import Alias
from app.protocol.faults import fault
from app.protocol.response import Answered, Result
from app.relax import Relaxed
from app.store.card import ModelCard

SIZES = tuple(4.0**k for k in range(11))
STRUCTURES = tuple(2.0**k for k in range(11))
SECONDS = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
STEPS = (1, 3, 10, 30, 100, 300, 1000)


class Metrics:
    """What the service counts and measures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "requests", "route", "method", "status")
        self.key_requests = self._counter("key_requests", "requests of a key", "key", "status")
        self.latency = self._histogram(
            "request_seconds",
            "from the request's first byte to the answer's last",
            "route",
            SECONDS,
        )
        self.depth = Gauge(
            "equipot_queue_depth",
            "structures that wait for a batch",
            ["model"],
            registry=self.registry,
        )
        self.structures = self._histogram(
            "batch_structures", "structures in a batch", "model", STRUCTURES
        )
        self.atoms = self._histogram("batch_atoms", "atoms in a batch", "model", SIZES)
        self.edges = self._histogram("batch_edges", "edges in a batch", "model", SIZES)
        self.queue = self._histogram(
            "queue_seconds", "a structure's wait for its batch", "model", SECONDS
        )
        self.graph = self._histogram(
            "graph_seconds", "building one neighbour list", "model", SECONDS
        )
        self.inference = self._histogram(
            "inference_seconds", "evaluating one batch", "model", SECONDS
        )
        self.connections = Gauge(
            "equipot_connections", "connections that are open", registry=self.registry
        )
        self.connections_refused = self._counter(
            "connections_refused",
            "connections turned away: full, or slow in their headers",
            "reason",
        )
        self.shortages = self._counter(
            "out_of_memory", "batches that did not fit into memory", "model"
        )
        self.results = self._counter(
            "results",
            "structures by what became of them: ok, or an error's code",
            "model",
            "outcome",
        )
        self.warnings = self._counter(
            "warnings", "structures answered with a warning", "model", "code"
        )
        self.relaxations = self._counter("relaxations", "relaxations that ended", "model", "reason")
        self.steps = self._histogram("relaxation_steps", "steps of a relaxation", "model", STEPS)
        self.cached = self._counter(
            "answer_cache",
            "structures by whether their answer was kept: hit or miss",
            "model",
            "outcome",
        )
        self.cache_bytes = Gauge(
            "equipot_answer_cache_bytes", "bytes of answers that are kept", registry=self.registry
        )
        self.alias_requests = self._counter(
            "alias_requests", "requests that an alias gave a model", "alias", "model"
        )
        self.alias_share = Gauge(
            "equipot_alias_share",
            "percent of those who ask for an alias that a model answers",
            ["alias", "model"],
            registry=self.registry,
        )
        self._requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        labels = ["model", "digest", "backend", "architecture", "dtype"]
        self.info = Gauge(
            "equipot_model_info", "models that are served", labels, registry=self.registry
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered.

        Args:
            route: of it.
            method: of it.
            status: of its answer.
            seconds: that it took.
        """
        key = route, method, status
        if (known := self._requests.get(key)) is None:
            known = self.requests.labels(*key), self.latency.labels(route)
            self._requests[key] = known
        known[0].inc()
        known[1].observe(seconds)

    def observer(self, model: str) -> "ModelObserver":
        """The observer of one model's batcher."""
        return ModelObserver(self, model)

    def model(self, card: ModelCard, digest: str, depth: Callable[[], float]) -> None:
        """A model is served from now on."""
        self.info.labels(*_labels(card, digest)).set(1)
        self.depth.labels(card.reference).set_function(depth)

    def gone(self, card: ModelCard, digest: str) -> None:
        """A model is no longer served.

        What is true of the moment vanishes, what was counted keeps its value.
        """
        self.info.remove(*_labels(card, digest))
        # The gauge refers to itself, and would keep the model until such circles are looked for.
        self.depth.labels(card.reference).set_function(float)
        self.depth.remove(card.reference)

    def shares(self, aliases: Mapping[str, Alias]) -> None:
        """Aliases that are in force from now on."""
        self.alias_share.clear()
        for name, alias in aliases.items():
            for model, share in alias.shares.items():
                self.alias_share.labels(name, model).set(share)

    def answered(self, model: str, result: Result) -> None:
        """A structure has its result, of the model that was asked."""
        if not isinstance(result, Answered):
            self.results.labels(model, fault(result).code).inc()
            return
        self.results.labels(model, "ok").inc()
        for code in {warning.code for warning in result.warnings}:
            self.warnings.labels(model, code).inc()
        if result.relaxed is not None:
            self._relaxed(model, result.relaxed)

    def _relaxed(self, model: str, relaxed: Relaxed) -> None:
        self.relaxations.labels(model, relaxed.reason.partition(":")[0]).inc()
        self.steps.labels(model).observe(relaxed.steps)

    def mean_steps(self, model: str) -> float | None:
        """Steps of the relaxations of a model that ended so far, in the mean; None before that."""
        sums = {
            sample.name.rpartition("_")[2]: sample.value
            for metric in self.steps.collect()
            for sample in metric.samples
            if sample.labels.get("model") == model and "le" not in sample.labels
        }
        return sums["sum"] / sums["count"] if sums.get("count") else None

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"equipot_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, label: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"equipot_{name}", text, [label], buckets=buckets, registry=self.registry)


def _labels(card: ModelCard, digest: str) -> tuple[str, ...]:
    return (card.reference, digest, card.backend, card.architecture, card.dtype)


class ModelObserver:
    """Writes what a model's batcher does into the metrics."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        names = ("structures", "atoms", "edges", "queue", "graph", "inference")
        children = {name: getattr(metrics, name).labels(model) for name in names}
        self._shortages = metrics.shortages.labels(model)
        self._observe: dict[str, Callable[[float], None]] = {
            name: c.observe for name, c in children.items()
        }

    def batch(self, costs: Sequence[Cost], waited: Sequence[float], seconds: float) -> None:
        """See `app.engine.observer.Observer`."""
        self._observe["structures"](len(costs))
        self._observe["atoms"](sum(cost.atoms for cost in costs))
        self._observe["edges"](sum(cost.edges for cost in costs))
        self._observe["inference"](seconds)
        for wait in waited:
            self._observe["queue"](wait)

    def graph(self, seconds: float) -> None:
        """See `app.engine.observer.Observer`."""
        self._observe["graph"](seconds)

    def shortage(self) -> None:
        """See `app.engine.observer.Observer`."""
        self._shortages.inc()
