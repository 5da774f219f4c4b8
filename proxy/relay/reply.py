"""How does an answer get onto the caller's connection? Its bytes are written once, here, and are never re-read.

An answer that was cut is never ended cleanly: the connection is aborted, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy.relay.body import CallerGoneError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.abc import AbstractStreamWriter

    from proxy.relay.arrival import Arrival


class Written(web.StreamResponse):
    """What the relay hands to aiohttp's server: the answer is on the wire already."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Do nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


def _written(*, keep_alive: bool) -> Written:
    response = Written()
    response._keep_alive = keep_alive  # noqa: SLF001 - what force_close() sets; there is no public setter to True
    return response


NEXT: Final = _written(keep_alive=True)
LAST: Final = _written(keep_alive=False)
_WITHOUT_LENGTH: Final = frozenset((HTTPStatus.NO_CONTENT,))  # RFC 9110 section 8.6


class Reply:
    """One answer.

    Attributes:
        begun: whether its head was written, or is about to be.
        sent: bytes of the body handed to the socket.
        last: whether the caller's connection ends with it.
    """

    __slots__ = ("_arrival", "_chunked", "_head", "_stall", "begun", "last", "sent")

    def __init__(self, arrival: Arrival, stall: float) -> None:
        self.begun = False
        self.sent = 0
        self.last = not arrival.keep_alive
        self._arrival = arrival
        self._stall = stall
        self._head = b""
        self._chunked = False

    @property
    def finished(self) -> Written:
        """What to return to aiohttp's server."""
        return LAST if self.last else NEXT

    def invite(self) -> None:
        """Ask for the body, if the caller waits to be asked (RFC 9110 section 10.1.1)."""
        if self._arrival.waits_for_invitation:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def whole(self, head: bytes, body: bytes) -> None:
        """Write a complete answer of our own; silence when nobody is there."""
        self.begun = True
        self.sent = len(body)
        transport = self._arrival.connection.transport
        if transport is not None and not transport.is_closing():
            transport.write(head + body if self._arrival.method != "HEAD" else head)

    def begin(
        self, status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]], *, body: bool, length: int | None
    ) -> None:
        """Compose the head; it is written with the first piece, or by `flush`.

        Args:
            status: as answered.
            reason: as answered.
            headers: what crosses, Content-Length included when the answer declared one.
            body: whether bytes of a body may follow.
            length: the declared length.
        """
        self.begun = True
        lines = [b"HTTP/1.1 %d %b" % (status, reason)]
        drop = b"content-length" if status in _WITHOUT_LENGTH else None
        lines.extend([name + b": " + value for name, value in headers if name.lower() != drop])
        self._chunked = body and length is None and self._arrival.http_1_1
        if self._chunked:
            lines.append(b"Transfer-Encoding: chunked")
        elif body and length is None:
            self.last = True
        if self.last:
            lines.append(b"Connection: close")
        elif not self._arrival.http_1_1:
            lines.append(b"Connection: keep-alive")
        lines.append(b"\r\n")
        self._head = b"\r\n".join(lines)

    async def write(self, piece: bytes) -> None:
        """Write a piece of the body, and wait while the caller is slower than Localpayment.

        Raises:
            CallerGoneError: the caller's connection ended, or took no byte for too long.
        """
        self.sent += len(piece)
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece
        self._write(self._head + framed)
        self._head = b""
        if self._arrival.connection.writing_paused:
            await self._drain()

    def flush(self) -> None:
        """Write the head now: the body is not there yet."""
        if self._head:
            self._write(self._head)
            self._head = b""

    def end(self) -> None:
        """Write what ends the body."""
        ending = self._head + (b"0\r\n\r\n" if self._chunked else b"")
        self._head = b""
        if ending:
            self._write(ending)

    def abort(self) -> None:
        """End the caller's connection at once and visibly."""
        self.last = True
        transport = self._arrival.connection.transport
        if transport is not None:
            transport.abort()

    def _write(self, data: bytes) -> None:
        transport = self._arrival.connection.transport
        if transport is None or transport.is_closing():
            raise CallerGoneError
        transport.write(data)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._stall):
                await self._arrival.writer.drain()
        except (TimeoutError, ConnectionError) as error:
            raise CallerGoneError from error
