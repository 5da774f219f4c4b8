"""Gives the origin's answer: the head at once, the body as it arrives.

An answer that was cut never looks complete: its body ends with an exception.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Self

from proxy.upstream.model import FaultKind

if TYPE_CHECKING:
    from types import TracebackType

    from proxy.http1.framing import Head
    from proxy.upstream.connection import Connection
    from proxy.upstream.exchange import Exchange
    from proxy.upstream.model import Timings


class Answer:
    """The origin's answer to one call; always close it, or leave its `async with`.

    Attributes:
        status: as sent, 200 to 999.
        reason: the reason phrase, possibly empty.
        headers: raw, in order, without optional white space around the values.
        length: the declared Content-Length, also of an answer without a body, such as one to HEAD.
        has_body: whether bytes of a body may follow.
        timings: what was measured; still growing while the body arrives.
    """

    def __init__(self, connection: Connection, exchange: Exchange, head: Head) -> None:
        self.status = head.status
        self.reason = head.reason
        self.headers = head.headers
        self.length = head.framing.length
        self.has_body = head.framing.has_body
        self.timings: Timings = exchange.timings
        self._connection = connection
        self._exchange = exchange
        self._closed = False
        exchange.handed_out = True

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """Fields after a chunked body; all of them once the body was read to its end."""
        return self._exchange.parser.trailers

    @property
    def waiting(self) -> bool:
        """Whether `read` would wait for the origin."""
        return not (self._exchange.pieces or self._exchange.over)

    @property
    def complete(self) -> bool:
        """Whether all of it came, or no more will."""
        return self._exchange.over

    async def read(self) -> bytes:
        """Return the next piece of the body, as it came but for the transfer coding; b"" after the last.

        Raises:
            UpstreamFault: the body was cut; every piece that came before was returned.
        """
        if self._closed:
            message = "the answer was closed already"
            raise RuntimeError(message)
        exchange = self._exchange
        while not exchange.pieces:
            if exchange.fault is not None:
                raise exchange.fault
            if exchange.over:
                return b""
            await exchange.changed()
        piece = exchange.pieces.popleft()
        self._connection.taken(exchange, piece)
        return piece

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.read()
        if not piece:
            raise StopAsyncIteration
        return piece

    def close(self) -> None:
        """Give the answer up. A complete one has freed its connection already; any other connection is aborted."""
        self._closed = True
        self._exchange.pieces.clear()
        self._connection.fail(self._exchange, FaultKind.DISCONNECTED, "the answer was given up before its end")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """Release the connection of an answer that was dropped unread."""
        if not self._exchange.over:
            self.close()
            warnings.warn("an upstream answer was dropped without being closed", ResourceWarning, stacklevel=2)
