"""Trace context: made at the edge, stored as `traceparent` on run and outbox rows, taken up by the worker.

Exporters attach to the provider that `start_tracing` makes; without one, spans still give ids to the logs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


def start_tracing(service: str) -> None:
    """Once per process, after any fork."""
    trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": service})))


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the current span, to be stored in a row."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def current_trace_id() -> str | None:
    """Trace id as 32 hex digits, or None outside a span."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


@contextmanager
def span(name: str, *, traceparent: str | None = None, **attributes: str | int) -> Iterator[None]:
    """A span below the current one, or below and linked to a stored `traceparent`: the request may be hours ago."""
    parent = _PROPAGATOR.extract({"traceparent": traceparent}) if traceparent else None
    remote = trace.get_current_span(parent).get_span_context() if parent is not None else None
    with trace.get_tracer("faultline").start_as_current_span(
        name,
        context=parent,
        kind=SpanKind.CONSUMER if traceparent else SpanKind.INTERNAL,
        attributes={key.replace("_", ".", 1): value for key, value in attributes.items()},
        links=[Link(remote)] if remote is not None and remote.is_valid else None,
    ):
        yield
