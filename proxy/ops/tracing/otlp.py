"""Sends spans to a collector with OpenTelemetry's SDK; the extra `otel` installs it.

Imported only when traces are asked for. Spans go straight to the endpoint: no proxy and no .netrc of the environment is
used. What the SDK logs may quote the collector, so it is dropped.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from proxy.ops.tracing.spans import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from proxy.ops.tracing.spans import Span
    from proxy.secret import Secret

PRODUCT: Final = "localpayment-proxy"
# Seconds for one batch, repeats after 429 and 502 to 504 included; those that wait behind it are kept meanwhile.
PATIENCE: Final = 5.0
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.23.0"  # the first with the stable names for HTTP
_KINDS: Final = {Role.SERVER: SpanKind.SERVER, Role.CLIENT: SpanKind.CLIENT}


class Otlp:
    """An exporter for one collector; used by one thread.

    Args:
        endpoint: URL to post to.
        headers: fields that go with each post.
        version: of the sidecar.
        environment: which Localpayment.
    """

    def __init__(self, endpoint: str, headers: Iterable[tuple[str, Secret]], version: str, environment: str) -> None:
        logging.getLogger("opentelemetry").propagate = False
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        self._answers: list[int] = []
        session = requests.Session()
        session.trust_env = False
        session.hooks["response"].append(self._answered)
        fields = {name: value.reveal() for name, value in headers}
        self._exporter = OTLPSpanExporter(endpoint, headers=fields, timeout=PATIENCE, session=session)
        self._ids = _GivenIds()
        self._made = _Collected()
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=_resource(version, environment),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._made)
        self._tracer = provider.get_tracer(PRODUCT, version, schema_url=_SCHEMA)

    def export(self, batch: Sequence[Span]) -> str:
        """Post spans; return why that did not work, or nothing."""
        for span in batch:
            self._make(span)
        self._answers.clear()
        if self._exporter.export(self._made.taken()) is SpanExportResult.SUCCESS:
            return ""
        return f"the collector answered {self._answers[-1]}" if self._answers else "no answer from the collector"

    def close(self) -> None:
        """Repeat nothing from now on."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK leaves this one bare

    def _make(self, span: Span) -> None:
        self._ids.trace_id, self._ids.span_id = int(span.trace_id, 16), int(span.span_id, 16)
        made = self._tracer.start_span(
            span.name,
            context=_parent(span),
            kind=_KINDS[span.role],
            attributes=span.attributes,
            start_time=span.started,
        )
        if span.failed:
            made.set_status(StatusCode.ERROR)
        made.end(span.ended)

    def _answered(self, answer: requests.Response, *_: object, **__: object) -> None:
        self._answers.append(answer.status_code)


class _GivenIds(IdGenerator):
    """Gives the ids that a span has already: they went upstream before the span was made."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Collected(SpanProcessor):
    """Keeps what was made until it is taken."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)

    def taken(self) -> list[ReadableSpan]:
        spans, self._spans = self._spans, []
        return spans


def _parent(span: Span) -> Context:
    if span.parent_id is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED)
    context = SpanContext(int(span.trace_id, 16), int(span.parent_id, 16), span.remote, flags)
    return set_span_in_context(NonRecordingSpan(context), Context())


def _resource(version: str, environment: str) -> Resource:
    """Return the resource; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are merged in and win."""
    own = Resource(
        {
            SERVICE_NAME: PRODUCT,
            "service.version": version,
            "service.instance.id": str(uuid4()),
            "deployment.environment.name": environment,
        },
        _SCHEMA,
    )
    return own.merge(OTELResourceDetector().detect())
