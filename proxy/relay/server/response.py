"""How does an answer get onto the caller's connection? Its bytes are written once, here, and are never re-read.

An answer that was cut is never ended cleanly: the connection is aborted, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy.relay.server.body import CallerGoneError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aiohttp.abc import AbstractStreamWriter

    from proxy.relay.server.incoming_request import IncomingRequest


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


class LingeringClose(Written):
    """The last answer on a connection whose caller may still be sending; `linger` waits for it to have read."""

    def __init__(self, linger: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.force_close()
        self._linger = linger

    async def write_eof(self, data: bytes = b"") -> None:
        """Wait."""
        del data
        await self._linger()


class ResponseWriter:
    """One answer.

    Args:
        arrival: the request that it answers.
        stall: seconds in which the caller must take something of an answer that waits for it.
        now: a clock, in seconds.

    Attributes:
        begun: whether a byte of it was written.
        sent: bytes of the body handed to the socket.
        last: whether the caller's connection ends with it.
        waited: seconds spent on a caller slower than Localpayment, once Localpayment's answer was complete.
    """

    __slots__ = ("_arrival", "_chunked", "_head", "_now", "_stall", "begun", "last", "sent", "waited")

    def __init__(self, arrival: IncomingRequest, *, stall: float, now: Callable[[], float]) -> None:
        self.begun = False
        self.sent = 0
        self.last = False
        self.waited = 0.0
        self._arrival = arrival
        self._stall = stall
        self._now = now
        self._head = b""
        self._chunked = False

    @property
    def finished(self) -> Written:
        """What to return to aiohttp's server."""
        arrival = self._arrival
        if self.begun and (not arrival.content.is_eof() or (self.last and arrival.connection.shedding)):
            return LingeringClose(arrival.connection.linger)
        return LAST if self.last else NEXT

    def invite(self) -> None:
        """Ask for the body of a caller that waits to be asked (RFC 9110 section 10.1.1)."""
        self._hand_over(b"HTTP/1.1 100 Continue\r\n\r\n")

    def settle(self) -> bool:
        """Decide whether the connection ends with this answer; tell it."""
        self.last = self.last or self._arrival.ends_connection or self._arrival.connection.shedding
        return self.last

    def whole(self, head: bytes, body: bytes) -> None:
        """Write a complete answer of our own, in the place of one that was composed only; silence when nobody is there.

        Args:
            head: must say that the connection ends if `settle` said so.
            body: left out when the request was HEAD.
        """
        self._head = b""
        transport = self._arrival.connection.transport
        if transport is None or transport.is_closing():
            return
        self.begun = True
        if self._arrival.method == "HEAD":
            transport.write(head)
        else:
            self.sent = len(body)
            transport.write(head + body)

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
        lines = [b"HTTP/1.1 %d %b" % (status, reason)]
        drop = b"content-length" if status in _WITHOUT_LENGTH else None
        lines.extend([name + b": " + value for name, value in headers if name.lower() != drop])
        self._chunked = body and length is None and self._arrival.http_1_1
        until_end = body and length is None and not self._chunked
        if self._chunked:
            lines.append(b"Transfer-Encoding: chunked")
        self.last = self.last or until_end
        if self.settle():
            lines.append(b"Connection: close")
        elif not self._arrival.http_1_1:
            lines.append(b"Connection: keep-alive")
        lines.append(b"\r\n")
        self._head = b"\r\n".join(lines)

    async def write(self, piece: bytes, *, complete: bool) -> None:
        """Write a piece of the body, and wait while the caller is slower than Localpayment.

        Args:
            piece: what goes on; nothing is written of an empty one.
            complete: whether Localpayment has sent all of its answer, so that only the caller is waited for.

        Raises:
            CallerGoneError: the caller's connection ended, or took no byte for too long.
        """
        if not piece:
            return
        self.sent += len(piece)
        head, self._head = self._head, b""
        self._write(head + (b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece))
        if self._arrival.connection.writing_paused:
            started = self._now()
            await self._drain()
            if complete:
                self.waited += self._now() - started

    def flush(self) -> None:
        """Write the head now: the body is not there yet."""
        head, self._head = self._head, b""
        if head:
            self._write(head)

    def end(self) -> None:
        """Write what ends the body."""
        ending = self._head + (b"0\r\n\r\n" if self._chunked else b"")
        self._head = b""
        if ending:
            self._write(ending)

    def abort(self) -> None:
        """End the caller's connection at once and visibly: many clients take what came before a clean end for all."""
        self.last = True
        self._arrival.connection.reset()

    def _write(self, data: bytes) -> None:
        self._hand_over(data)
        self.begun = True

    def _hand_over(self, data: bytes) -> None:
        transport = self._arrival.connection.transport
        if transport is None or transport.is_closing():
            raise CallerGoneError
        transport.write(data)

    async def _drain(self) -> None:
        """Wait for the caller as long as it takes something in each while."""
        connection = self._arrival.connection
        left = connection.unsent
        while connection.writing_paused:
            try:
                async with asyncio.timeout(self._stall):
                    await self._arrival.writer.drain()
            except TimeoutError as error:
                before, left = left, connection.unsent
                if left == before:
                    raise CallerGoneError from error
            except ConnectionError as error:
                raise CallerGoneError from error
        if connection.transport is None:
            raise CallerGoneError
