"""Declares calls to the origin, how far they got, and what stopped them.

Pure types. No call is ever sent from here, and no text that came over the wire is ever put into a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# The same for every server that is asked, or a head that the relay passes on could be too large for a token's answer.
MAX_HEAD: Final = 64 * 1024  # bytes
MAX_FIELDS: Final = 256  # what bounds memory are the bytes; this bounds the work on them


class Progress(Enum):
    """How much of a request was handed to the socket; only NOTHING proves that the call was not processed."""

    NOTHING = "nothing"
    SOME = "some"
    ALL = "all"


class FaultKind(Enum):
    """Why a call has no complete answer.

    UNREACHABLE: name not resolved, refused, unreachable, refused by the egress proxy, or not connected in time.
    TLS: the handshake failed. POOL: every connection was busy for the whole connect budget. CLOSED: the pool
    is closed.
    TIMEOUT: connected, then too slow. DISCONNECTED: the connection ended. MALFORMED: not HTTP that can be relayed.
    """

    UNREACHABLE = "unreachable"
    TLS = "tls"
    POOL = "pool"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    MALFORMED = "malformed"


class ConnectResult(StrEnum):
    """How an attempt to connect ended: the values of a metric's label."""

    CONNECTED = "connected"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"


class Obstacle(Enum):
    """What kept a connection from coming about.

    Attributes:
        result: what the attempt counts as.
        proxy_status: its error type in RFC 9209 section 2.3.
    """

    NAME = (1, ConnectResult.UNREACHABLE, "dns_error")
    REFUSED = (2, ConnectResult.UNREACHABLE, "connection_refused")
    NO_ROUTE = (3, ConnectResult.UNREACHABLE, "destination_ip_unroutable")
    SLOW = (4, ConnectResult.TIMEOUT, "connection_timeout")
    NO_DESCRIPTORS = (5, ConnectResult.UNREACHABLE, "proxy_internal_error")
    EGRESS_LOGIN = (6, ConnectResult.UNREACHABLE, "proxy_configuration_error")
    EGRESS_DENIES = (7, ConnectResult.UNREACHABLE, "destination_unavailable")
    EGRESS_ANSWER = (8, ConnectResult.UNREACHABLE, "destination_unavailable")
    NOT_VALID_YET = (9, ConnectResult.TLS, "tls_certificate_error")
    EXPIRED = (10, ConnectResult.TLS, "tls_certificate_error")
    OTHER_HOST = (11, ConnectResult.TLS, "tls_certificate_error")
    UNTRUSTED = (12, ConnectResult.TLS, "tls_certificate_error")
    ALERT = (13, ConnectResult.TLS, "tls_alert_received")
    HANDSHAKE = (14, ConnectResult.TLS, "tls_protocol_error")

    def __init__(self, _: int, result: ConnectResult, proxy_status: str) -> None:
        self.result = result
        self.proxy_status = proxy_status


@dataclass(slots=True)
class Timings:
    """What is measured of one call; complete when the call has ended.

    Bytes are those above TLS: heads, framing and bodies. `first_byte_seconds` and `total_seconds` count from `started`
    (the pool's clock, when there was something to send) and are None until then.
    """

    started: float
    reused: bool = False
    response_bytes: int = 0
    first_byte_seconds: float | None = None
    total_seconds: float | None = None


class ConnectError(Exception):
    """No connection came about; the pool turns it into a fault. The text is ours.

    Attributes:
        kind: of that fault.
        obstacle: what was met; None when none was tried for, or it ended at once.
        detail: the text.
    """

    def __init__(self, met: Obstacle | FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.obstacle = met if isinstance(met, Obstacle) else None
        if isinstance(met, FaultKind):
            self.kind = met
        else:
            self.kind = FaultKind.TLS if met.result is ConnectResult.TLS else FaultKind.UNREACHABLE


class UpstreamFault(Exception):  # noqa: N818 - it is a fault in the design's words, and not always an error
    """A call that got no complete answer.

    Attributes:
        kind: what stopped it.
        progress: how much of the request was handed to the socket.
        reused: whether the connection had served a call before.
        answer_begun: whether the answer's head was handed out already.
        detail: our own words; nothing from the wire.
        timings: what was measured until then.
        obstacle: what kept a connection from coming about; None when there was one.
    """

    obstacle: Obstacle | None = None

    def __init__(  # noqa: PLR0913 - the six facts that decide a call's fate, each named by the caller
        self, kind: FaultKind, *, progress: Progress, reused: bool, answer_begun: bool, detail: str, timings: Timings
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.progress = progress
        self.reused = reused
        self.answer_begun = answer_begun
        self.detail = detail
        self.timings = timings

    @classmethod
    def of(cls, error: ConnectError, timings: Timings) -> Self:
        """Return the fault of a call that got no connection."""
        fault = cls(
            error.kind,
            progress=Progress.NOTHING,
            reused=False,
            answer_begun=False,
            detail=error.detail,
            timings=timings,
        )
        fault.obstacle = error.obstacle
        return fault


class BodyLengthError(ValueError):
    """A streamed body was longer or shorter than its declared length; the connection was aborted."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is produced while it is sent.

    Its iterator bounds its own waiting: no timer runs here while it thinks. It is asked for the first chunk before a
    connection is taken, and is cancelled at its wait, or simply not asked again, when an answer comes early.
    """

    length: int | None
    chunks: AsyncIterator[bytes | memoryview]


Body = bytes | Stream | None


def held(body: Body) -> bytes | None:
    """Return a body that is at hand whole; None for one that streams, or is not there."""
    return body if isinstance(body, bytes) else None


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, repr=False)  # its lines hold a token
class OutgoingRequest:
    """One request, without Host and framing fields: the pool writes those itself.

    `lines` are its header fields as they go, each with its end; `request.header_lines` makes and judges them; any
    others are not judged again. `body` None sends no framing field; bytes are sent with Content-Length.
    `effects` says that the call may change something at the origin, or must not ride a connection that has been idle
    for long for another reason. `sending` is called right before the first byte is handed to a socket: until then,
    cancelling proves that nothing was sent.
    """

    method: bytes
    target: bytes
    lines: bytes
    body: Body
    effects: bool
    sending: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of time (seconds), number and size; all apply to one origin's pool.

    connect_timeout: the whole of waiting for a free connection, DNS, TCP, egress proxy and TLS.
    response_timeout: from the last request byte to the end of the final answer's head.
    idle_timeout: without a byte sent, or received, while the origin is the one we wait for.
    pool_idle: a connection idle for longer is closed. Below the 60 s after which load balancers forget or end one, such
        as AWS's Application Load Balancer. Many origins end it sooner, Node.js after 5 s: a read that meets this is
        sent once more.
    effects_idle: a call with effects never rides a connection that was idle for longer. Not above gunicorn's 2 s.
    keep_warm: for so long after the last call, a few connections are kept warm for calls with effects; 0 for none.
    max_age: no call is begun on a connection that is older, or up to a fifth younger.
    max_head: bytes of an answer's head.
    max_headers: fields of an answer's head, and again of its trailers.
    max_interim: 1xx answers before the final one.
    max_excess: bytes of chunk extensions and trailers beyond honest framing; the 16 KiB of Go's net/http/internal.
    buffer: bytes of an answer's body held for a slow reader before reading from the socket stops.
    """

    connect_timeout: float = 5.0
    response_timeout: float = 60.0
    idle_timeout: float = 60.0
    pool_idle: float = 50.0
    effects_idle: float = 2.0
    keep_warm: float = 0.0
    max_age: float = 300.0
    max_connections: int = 256
    max_head: int = MAX_HEAD
    max_headers: int = MAX_FIELDS
    max_interim: int = 8
    max_excess: int = 16 * 1024
    buffer: int = 64 * 1024


class Stats(NamedTuple):
    """Connections of a pool: idle and active add up to open."""

    open: int
    idle: int
    active: int
