"""Asks an egress proxy for a tunnel to the origin (RFC 9110 section 9.3.6).

Its credentials go to the egress proxy only. What its answer says of a body is not looked at: a tunnel has none. Nothing
that it sends ever reaches the tunnel's protocol.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, cast

from proxy.config.addresses import bracketed
from proxy.http1.framing import MalformedAnswerError, field_value, is_token
from proxy.upstream.model import ConnectError, Obstacle

if TYPE_CHECKING:
    from proxy.config import EgressProxy, Origin
    from proxy.upstream.model import Limits

_HEAD_END: Final = b"\r\n\r\n"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?").fullmatch
_SWITCHING_PROTOCOLS: Final = 101
_FINAL_STATUS: Final = 200
_LOGIN_REQUIRED: Final = 407  # RFC 9110 section 15.5.8


def connect_request(origin: Origin, egress: EgressProxy) -> bytes:
    """Return the request for a tunnel."""
    authority = f"{bracketed(origin.host)}:{origin.port}"
    secret = egress.authorization
    proof = f"Proxy-Authorization: {secret.reveal()}\r\n" if secret else ""
    return f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{proof}\r\n".encode("latin-1")


def _status_of(head: bytes, most_fields: int) -> int:
    """Return an answer's status, given its head without the empty line; raises MalformedAnswerError."""
    begun, *lines = head.split(b"\r\n")
    found = _STATUS_LINE(begun)
    if found is None or len(lines) > most_fields or not all(map(_is_field, lines)):
        message = "it is no head of HTTP/1.0 or HTTP/1.1"
        raise MalformedAnswerError(message)
    return int(found[1])


def _is_field(line: bytes) -> bool:
    name, colon, value = line.partition(b":")
    return bool(colon and is_token(name) and field_value(value))


class Tunnel(asyncio.Protocol):
    """A connection's protocol until the egress proxy has opened the tunnel.

    Args:
        limits: bounds of its answer.
        then: the protocol within the tunnel.

    Attributes:
        opened: set once the tunnel stands, or failed with ConnectError.
    """

    def __init__(self, limits: Limits, then: asyncio.Protocol) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._limits = limits
        self._then = then
        self._interim = 0
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the answer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer."""
        if self.opened.done():
            return
        self._received += data
        try:
            status = self._status()
        except MalformedAnswerError:
            self._fail(Obstacle.EGRESS_ANSWER, "the egress proxy's answer is not valid HTTP")
            return
        if status is None:
            return
        if not 200 <= status < 300:  # noqa: PLR2004 - the class of successes, RFC 9110 section 15.3
            met = Obstacle.EGRESS_LOGIN if status == _LOGIN_REQUIRED else Obstacle.EGRESS_DENIES
            self._fail(met, f"the egress proxy refused to connect to the origin (status {status})")
        elif self._received:
            self._fail(Obstacle.EGRESS_ANSWER, "the egress proxy sent more than its answer")
        else:
            self._transport.set_protocol(self._then)
            self._then.connection_made(self._transport)
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Fail: the egress proxy has hung up."""
        self._fail(Obstacle.EGRESS_ANSWER, "the egress proxy ended the connection without an answer")

    def _status(self) -> int | None:
        """Return the final answer's status once its head is here, and keep what came behind it."""
        while True:
            head, ended, rest = self._received.partition(_HEAD_END)
            if len(head) + len(ended) > self._limits.max_head:
                message = f"its head is longer than {self._limits.max_head} bytes"
                raise MalformedAnswerError(message)
            if not ended:
                return None
            self._received = rest
            status = _status_of(head, self._limits.max_headers)
            if status >= _FINAL_STATUS:
                return status
            self._interim += 1
            if status == _SWITCHING_PROTOCOLS or self._interim > self._limits.max_interim:
                message = "it switches protocols, or its interim answers are too many"
                raise MalformedAnswerError(message)

    def _fail(self, met: Obstacle, detail: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectError(met, detail))
            self.opened.exception()  # no error when the call has given up
