"""Spans of requests, by OpenTelemetry, where its variables ask for them.

Nothing of OpenTelemetry is imported before. A request has one span, and within it `parse`, `graph`,
`queue`, `evaluate`, `relax` and `write`: of a request with many structures those of the first ones.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.errors import InvalidRequest
from app.telemetry.context import CONTEXT, RequestContext

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer, TracerProvider

MOST = 200
"""Spans within that of a request; how many are left out, it says itself."""
EXPORTER = "OTEL_TRACES_EXPORTER"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@dataclass(slots=True)
class _Making:
    """What makes spans; None where nothing does."""

    tracer: "Tracer | None" = None


_making = _Making()
_NO_SPAN: AbstractContextManager[None] = nullcontext()


def start_tracing(variables: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Make spans where the variables of OpenTelemetry ask for them.

    Returns:
        what sends the last ones and ends.

    Raises:
        InvalidRequest: they ask for what is not there.
    """
    kind = variables.get(EXPORTER, "").strip().lower()
    wanted = kind or ("otlp" if any(variables.get(name) for name in ENDPOINTS) else "none")
    if wanted == "none" or variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return lambda: None
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = _exporter(wanted, variables)
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"spans are asked for ({EXPORTER}, {ENDPOINTS[0]}), and {error.name} is not installed; "
            "pip install 'equipot[otel]'"
        ) from None
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "equipot"}))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    use_provider(provider)
    return provider.shutdown


def use_provider(provider: "TracerProvider | None") -> None:
    """Make spans with this provider; None makes none."""
    _making.tracer = None if provider is None else provider.get_tracer("equipot")


def _exporter(kind: str, variables: Mapping[str, str]) -> "SpanExporter":
    if kind == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    protocol = variables.get(PROTOCOL) or "http/protobuf"
    if kind != "otlp" or protocol != "http/protobuf":
        raise InvalidRequest(
            f"{EXPORTER}={kind}, {PROTOCOL}={protocol}: spans are sent by otlp over http/protobuf, "
            "or written by console"
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def request_span(
    context: RequestContext, headers: Mapping[str, str]
) -> AbstractContextManager["Span | None"]:
    """The span of a request, None where none is made; its trace becomes the context's.

    Args:
        context: of the request.
        headers: which may name the span that it belongs to.
    """
    tracer = _making.tracer
    return _NO_SPAN if tracer is None else _request_span(tracer, context, headers)


@contextmanager
def _request_span(
    tracer: "Tracer", context: RequestContext, headers: Mapping[str, str]
) -> Iterator["Span"]:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    stated = {} if context.traceparent is None else {"traceparent": context.traceparent}
    if stated and (state := headers.get("tracestate")):
        stated["tracestate"] = state
    parent = TraceContextTextMapPropagator().extract(stated)
    with tracer.start_as_current_span("request", parent, SpanKind.SERVER) as span:
        own = span.get_span_context()
        flags = f"{int(own.trace_flags):02x}"
        context.traceparent = f"00-{own.trace_id:032x}-{own.span_id:016x}-{flags}"
        yield span


def end_request(span: "Span", name: str, attributes: Mapping[str, str | int]) -> None:
    """Say what became of a request.

    Args:
        span: of it.
        name: of the span.
        attributes: of it.
    """
    context = CONTEXT.get()
    if context is None:
        return
    span.update_name(name)
    left_out = max(0, context.spans - MOST)
    own: dict[str, str | int] = {
        "equipot.request_id": context.id,
        "equipot.spans_left_out": left_out,
    }
    span.set_attributes(dict(attributes) | own)


def span(name: str) -> AbstractContextManager[object]:
    """A span within that of the request, if there is one."""
    tracer = _next()
    return _NO_SPAN if tracer is None else tracer.start_as_current_span(name)


def past_span(name: str, began: float, ended: float) -> None:
    """The same of what is over.

    Args:
        name: of the span.
        began: by `time.perf_counter`.
        ended: the same.
    """
    if (tracer := _next()) is None:
        return
    offset = time.time_ns() - round(1e9 * time.perf_counter())
    made = tracer.start_span(name, start_time=offset + round(1e9 * began))
    made.end(offset + round(1e9 * ended))


def _next() -> "Tracer | None":
    """What makes one more span of the request; None where there is to be none."""
    if _making.tracer is None or (context := CONTEXT.get()) is None:
        return None
    context.spans += 1
    return _making.tracer if context.spans <= MOST else None
