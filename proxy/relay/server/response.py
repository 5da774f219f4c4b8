"""Writes answers onto the caller's connection, each byte once.

An answer that was cut is never ended cleanly: the connection is aborted, lest a part be taken for the whole.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.http1.timeouts import timeout_at
from proxy.relay.response.head import ending
from proxy.relay.server.body import CallerGoneError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.streams import StreamReader

    from proxy.relay.request.plain_request import PlainRequest
    from proxy.relay.server.connection import CallerConnection


class Written(web.StreamResponse):
    """What the relay hands to aiohttp's server: the answer is on the wire already.

    Args:
        last: whether the connection ends with it.
        then: what is waited for before that, or before the next request.
    """

    def __init__(self, *, last: bool, then: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self._keep_alive = not last  # what force_close() sets; there is no public setter to True
        self._then = then

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Do nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Wait."""
        del data
        if self._then is not None:
            await self._then()


class ResponseWriter:
    """One answer.

    Args:
        connection: the caller's.
        request: that it answers.
        source: the request's body as it comes; None when all of it has come.
        stall: seconds in which the caller must take something of an answer that waits for it.
        now: a clock, in seconds.

    Attributes:
        begun: whether a byte of it was written.
        sent: bytes of the body handed to the socket.
        last: whether the caller's connection ends with it.
        waited: seconds spent on a caller slower than Localpayment, once Localpayment's answer was complete.
    """

    __slots__ = (
        "_chunked", "_connection", "_head", "_now", "_request", "_source", "_stall", "begun", "last", "sent", "waited",
    )  # fmt: skip

    def __init__(
        self,
        connection: CallerConnection,
        request: PlainRequest,
        source: StreamReader | None,
        *,
        stall: float,
        now: Callable[[], float],
    ) -> None:
        self.begun = False
        self.sent = 0
        self.last = False
        self.waited = 0.0
        self._connection = connection
        self._request = request
        self._source = source
        self._stall = stall
        self._now = now
        self._head = b""
        self._chunked = False

    @property
    def lingers(self) -> bool:
        """Whether the caller may still be sending, so that it needs time to read this answer, which is the last."""
        return self.begun and (not self._request_came or (self.last and self._connection.shedding))

    @property
    def finished(self) -> Written:
        """What to return to aiohttp's server."""
        if self.lingers:
            return Written(last=True, then=self._connection.lingered)
        if self._connection.writing_paused:
            return Written(last=self.last, then=self._connection.drained)
        return Written(last=self.last)

    @property
    def _request_came(self) -> bool:
        return self._source is None or self._source.is_eof()

    def invite(self) -> None:
        """Ask for the body of a caller that waits to be asked (RFC 9110 section 10.1.1)."""
        self._hand_over(b"HTTP/1.1 100 Continue\r\n\r\n")

    def settle(self) -> bool:
        """Decide whether the connection ends with this answer; tell it."""
        self.last = self.last or self._request.last or not self._request_came or self._connection.shedding
        return self.last

    def whole(self, head: bytes, body: bytes) -> None:
        """Write a complete answer of our own, in place of one that was only composed; none to a caller that has left.

        Args:
            head: must say that the connection ends if `settle` said so.
            body: left out when the request was HEAD.
        """
        self._head = b""
        transport = self._connection.transport
        if transport is None or transport.is_closing():
            return
        self.begun = True
        if self._request.method == "HEAD":
            transport.write(head)
        else:
            self.sent = len(body)
            transport.write(head + body)

    def begin(self, composed: bytes, *, body: bool, length: int | None) -> None:
        """Take the head; it is written with the first piece, or by `flush`.

        Args:
            composed: up to what says how the body is framed, and what becomes of the connection.
            body: whether bytes of a body may follow.
            length: the declared length.
        """
        http_1_1 = self._request.http_1_1
        self._chunked = body and length is None and http_1_1
        self.last = self.last or (body and length is None and not self._chunked)
        self._head = composed + ending(last=self.settle(), chunked=self._chunked, http_1_1=http_1_1)

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
        if self._connection.writing_paused:
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
        self._connection.reset()

    def _write(self, data: bytes) -> None:
        self._hand_over(data)
        self.begun = True

    def _hand_over(self, data: bytes) -> None:
        transport = self._connection.transport
        if transport is None or transport.is_closing():
            raise CallerGoneError
        transport.write(data)

    async def _drain(self) -> None:
        """Wait for the caller as long as it takes something in each while."""
        connection = self._connection
        left = connection.unsent
        while connection.writing_paused:
            try:
                async with timeout_at(asyncio.get_running_loop().time() + self._stall):
                    await connection.drained()
            except TimeoutError as error:
                before, left = left, connection.unsent
                if left == before:
                    raise CallerGoneError from error
            except ConnectionError as error:
                raise CallerGoneError from error
        if connection.transport is None:
            raise CallerGoneError
