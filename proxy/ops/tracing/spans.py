"""Makes the spans of a finished call: one as it was served, one for each time that it was sent. Pure.

It must never hold a path, a query, a header, an id or a body: names and values come from closed sets and the settings.
Names of attributes are those of OpenTelemetry's semantic conventions for HTTP, 1.23 and later, as far as they are
stable; `url.path` and `url.full`, which they ask for, are left out on purpose.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.config import TcpAddress
from proxy.errors import UNSETTLED, Outcome
from proxy.relay.record import OTHER_METHOD, Resend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.config import Settings
    from proxy.relay.record import Record
    from proxy.relay.request.trace_context import Lineage

Attributes = dict[str, str | int]

METHOD: Final = "http.request.method"
STATUS: Final = "http.response.status_code"
RESENDS: Final = "http.request.resend_count"
ERROR: Final = "error.type"
SCHEME: Final = "url.scheme"
ADDRESS: Final = "server.address"
PORT: Final = "server.port"
OUTCOME: Final = "localpayment.outcome"

_OTHER: Final = "_OTHER"  # what the conventions have for a method that is not known
_NANO: Final = 1_000_000_000
_CLIENT_ERROR: Final = 400  # RFC 9110 section 15.5
_SERVER_ERROR: Final = 500
# What the attempt met that another one followed.
_MET: Final = {
    Resend.TOKEN: (401, "401"),
    Resend.SAME_TOKEN: (401, "401"),
    Resend.DISCONNECTED: (None, "upstream_disconnected"),
    Resend.CONNECT: (None, "upstream_unreachable"),
}
# With these, a status is Localpayment's; with the others it is that of an answer of ours.
_ANSWERED: Final = frozenset((Outcome.ANSWERED, Outcome.ABORTED, Outcome.ORPHANED))


class Role(StrEnum):
    """The side of a call that a span describes."""

    SERVER = "server"
    CLIENT = "client"


class Span(NamedTuple):
    """One span.

    Attributes:
        trace_id, span_id, parent_id: hex digits; no parent at the head of a trace.
        remote: whether the parent is a span of another process.
        started, ended: nanoseconds since the Unix epoch.
        failed: whether its status is an error.
    """

    name: str
    role: Role
    trace_id: str
    span_id: str
    parent_id: str | None
    remote: bool
    started: int
    ended: int
    attributes: Mapping[str, str | int]
    failed: bool


class SpanEndpoints(NamedTuple):
    """What all spans of a sidecar share: where callers arrive, and where calls go."""

    server: Mapping[str, str | int]
    client: Mapping[str, str | int]


def span_endpoints(settings: Settings) -> SpanEndpoints:
    """Return what the settings say of both ends; a Unix socket has no address but a path."""
    server: Attributes = {SCHEME: "http" if settings.tls_cert_file is None else "https"}
    if isinstance(settings.listen, TcpAddress):
        server |= {ADDRESS: settings.listen.host, **({PORT: settings.listen.port} if settings.listen.port else {})}
    origin = settings.origin
    client: Attributes = {SCHEME: "https" if origin.tls else "http", ADDRESS: origin.host, PORT: origin.port}
    return SpanEndpoints(server, client)


def spans(record: Record, wall: float, ends: SpanEndpoints) -> Iterator[Span]:
    """Yield the spans of a call that is over; none when it has no lineage.

    Args:
        record: the call.
        wall: when it was over, in seconds since the Unix epoch.
        ends: of the sidecar.
    """
    lineage = record.lineage
    if lineage is None:
        return
    failure = _failure(record)
    attributes: Attributes = {METHOD: _method(record), **ends.server, OUTCOME: record.outcome.value}
    if record.status and record.outcome is not Outcome.ORPHANED:
        attributes[STATUS] = record.status
    if failure:
        attributes[ERROR] = failure
    ended = int(wall * _NANO)
    began = ended - int(record.total_seconds * _NANO)
    yield Span(
        name=record.operation,
        role=Role.SERVER,
        trace_id=lineage.trace_id,
        span_id=lineage.span_id,
        parent_id=lineage.parent_id,
        remote=True,
        started=began,
        ended=ended,
        attributes=attributes,
        failed=bool(failure),
    )
    yield from _attempts(record, lineage, began, ends)


def _attempts(record: Record, lineage: Lineage, began: int, ends: SpanEndpoints) -> Iterator[Span]:
    over = record.started + record.total_seconds
    for number, attempt in enumerate(lineage.attempts[: record.attempts]):
        status, failure = _met(record, number)
        attributes: Attributes = {METHOD: _method(record), **ends.client}
        if number:
            attributes[RESENDS] = number
        if status is not None:
            attributes[STATUS] = status
        if failure:
            attributes[ERROR] = failure
        ended = over if attempt.ended is None else attempt.ended
        yield Span(
            name=record.operation,
            role=Role.CLIENT,
            trace_id=lineage.trace_id,
            span_id=attempt.span_id,
            parent_id=lineage.span_id,
            remote=False,
            started=began + int((attempt.started - record.started) * _NANO),
            ended=began + int((ended - record.started) * _NANO),
            attributes=attributes,
            failed=bool(failure),
        )


def _method(record: Record) -> str:
    return _OTHER if record.method == OTHER_METHOD else record.method


def _failure(record: Record) -> str:
    """Name what the caller did not get; to refuse it something for reasons of its own is no failure."""
    if record.outcome in UNSETTLED:
        return record.code or record.outcome.value
    if record.status >= _SERVER_ERROR or not record.status:
        return record.code or (str(record.status) if record.status else record.outcome.value)
    return ""


def _met(record: Record, number: int) -> tuple[int | None, str]:
    """Return what an attempt was answered, and what went wrong with it."""
    if number < len(record.resends):
        return _MET[record.resends[number]]
    if record.outcome not in _ANSWERED or not record.status:
        return None, record.code or record.outcome.value
    cut = record.code or record.outcome.value if record.outcome is Outcome.ABORTED else ""
    return record.status, cut or (str(record.status) if record.status >= _CLIENT_ERROR else "")
