"""Spans on their way to an OpenTelemetry collector, over HTTP."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from streams.metrics import Span

PATH = "/v1/traces"
_SCOPE = InstrumentationScope("qualstream")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_QUEUE, _BATCH, _SOON_MS = 50_000, 2_000, 1_000
_PATIENCE_S = 2.0  # a collector that is away must not hold up a worker that is told to stop


def endpoint(url: str) -> str:
    """Where spans are sent to: the URL, with OTLP's own path where it has none."""
    return url if urlsplit(url).path.rstrip("/") else url.rstrip("/") + PATH


class OtelSpans:
    """Hands spans to an exporter in the background; what it cannot take is dropped, and the worker goes on."""

    def __init__(self, exporter: SpanExporter, role: str, instance: str) -> None:
        """Start with none.

        Args:
            exporter: Where they go.
            role: The worker's.
            instance: Which of its workers.
        """
        self._processor = BatchSpanProcessor(exporter, _QUEUE, _SOON_MS, _BATCH)
        about = {"service.name": f"qualstream-{role}", "service.namespace": "qualstream"}
        self._resource = Resource(about | {"service.instance.id": instance})

    def keep(self, spans: Sequence[Span]) -> None:
        """Hand them on soon."""
        for span in spans:
            self._processor.on_end(self._readable(span))

    def close(self) -> None:
        """Send what is left."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        kind = SpanKind.INTERNAL if "qualstream.batch" in span.facts else SpanKind.CONSUMER
        return ReadableSpan(
            span.name,
            context=_context(span.trace, span.id),
            parent=None if span.parent is None else _context(span.trace, span.parent),
            resource=self._resource,
            attributes=span.facts,
            links=[Link(_context(*linked)) for linked in span.linked],
            kind=kind if span.parent is not None or kind is SpanKind.INTERNAL else SpanKind.PRODUCER,
            status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
            start_time=span.began_ns,
            end_time=span.ended_ns,
            instrumentation_scope=_SCOPE,
        )


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=_SAMPLED)


def otlp(url: str, role: str, instance: str) -> OtelSpans:
    """Spans to a collector. Headers, such as a token, are taken from the standard OTEL_EXPORTER_OTLP_HEADERS."""
    return OtelSpans(OTLPSpanExporter(endpoint(url), timeout=_PATIENCE_S), role, instance)
