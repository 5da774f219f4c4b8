"""An ordinary call: the bytes and values that the micro benchmarks are fed with."""

from __future__ import annotations

from typing import Final

from proxy.errors import Outcome
from proxy.relay.record import Record
from proxy.relay.trace_context import OwnId

BALANCE: Final = b"/api/accounts/032.840.00000001/balance"
REFUND: Final = b"/api/payin/order-2026-11-25-000017/refund"
CARD: Final = b"/api/payin/tok%2Babc%2Fdef%3D/refund"

# What httpx sends, with a trace.
REQUEST: Final = [
    (b"Host", b"127.0.0.1:8080"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"Connection", b"keep-alive"),
    (b"User-Agent", b"python-httpx/0.28.1"),
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"71"),
    (b"Traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]

# What Django behind nginx answers.
ANSWER: Final = [
    (b"Server", b"nginx"),
    (b"Date", b"Wed, 25 Nov 2026 12:00:00 GMT"),
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"300"),
    (b"Connection", b"keep-alive"),
    (b"Vary", b"Accept, Origin"),
    (b"Allow", b"GET, HEAD, OPTIONS"),
    (b"X-Frame-Options", b"DENY"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"same-origin"),
    (b"Strict-Transport-Security", b"max-age=31536000; includeSubDomains"),
]
ANSWER_BYTES: Final = (
    b"\r\n".join([b"HTTP/1.1 200 OK", *(name + b": " + value for name, value in ANSWER), b"", b""]) + b"x" * 300
)
AUTHORIZATION: Final = b"Bearer " + b"x" * 300  # as long as Localpayment's
REQUEST_ID: Final = b"019ab4c2-7a10-7c3e-9d5a-0123456789ab"


def record() -> Record:
    """A read that was answered."""
    return Record(
        request_id=OwnId(REQUEST_ID.decode()),
        method="GET",
        started=1000.0,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        operation="get_balance",
        status=200,
        outcome=Outcome.ANSWERED,
        response_bytes=300,
        total_seconds=0.081234,
        upstream_seconds=0.081012,
        attempts=1,
        generation=7,
    )
