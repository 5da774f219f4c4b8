"""Carries calls on one connection, one after the other, and tells exactly how far each got.

It carries one call at a time, sends no byte twice, and is never used again
after anything that leaves a doubt about where the next answer begins.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from proxy.http1.framing import MalformedAnswerError
from proxy.http1.timeouts import Deadline
from proxy.upstream.exchange import Exchange
from proxy.upstream.model import FaultKind, Progress
from proxy.upstream.parser import AnswerParser
from proxy.upstream.transport import UpstreamTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.http1.answer_head import AnswerHeads
    from proxy.upstream.connecting.channel import Channel
    from proxy.upstream.connecting.resumption import Resumption
    from proxy.upstream.model import Limits, Timings

_ALL: Final = Progress.ALL  # an enumeration looks its members up each time


class Connection(asyncio.Protocol):
    """A connection to the origin; `ended` is told of each end of an exchange, `lost` of its own end.

    Attributes:
        free: whether it may carry another call, as far as the last one tells.
        idle_since: when its last call ended.
        retires_at: when it begins no more calls.
        resumption: is told of the TLS session once an answer has come.
    """

    def __init__(
        self,
        limits: Limits,
        heads: AnswerHeads,
        now: Callable[[], float],
        ended: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self.free = False
        self.idle_since = 0.0
        self.retires_at = 0.0
        self.resumption: Resumption | None = None
        self._limits = limits
        self._heads = heads
        self._now = now
        self._ended = ended
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._wire: UpstreamTransport
        self._exchange: Exchange | None = None
        self._served = False
        self._closed = False
        self._drained: asyncio.Future[None] | None = None
        self._unsent = 0
        self._deadline = Deadline(self._loop, self._expired)

    @property
    def alive(self) -> bool:
        """Whether nothing has ended it, as far as the event loop has seen."""
        return not (self._closed or self._wire.transport.is_closing())

    @property
    def fit(self) -> bool:
        """Whether it is alive, and no unasked byte has come: neither here nor to the kernel."""
        wire = self._wire
        return not (self._closed or wire.transport.is_closing()) and wire.settled and wire.quiet()

    def abort(self) -> None:
        """End the connection at once; what it carries ends with a fault when the loop reports the loss."""
        self._closed = True
        self._deadline.cancel()
        self._wire.transport.abort()  # under TLS too: no farewell, which would wait for the origin

    def stand_by(self, now: float) -> None:
        """Wait for a call; from now on it may be lost as one can be that has served a call."""
        self.free = self._served = True
        self.idle_since = now
        self._deadline.set(self._limits.pool_idle)

    # One call

    def begin(self, method: bytes, timings: Timings) -> Exchange:
        """Start an exchange; the connection must be alive."""
        timings.reused = self._served
        self.free = False
        self._deadline.clear()
        self._exchange = exchange = Exchange(AnswerParser(method, self._limits, self._heads), timings, self._loop)
        return exchange

    def write(self, exchange: Exchange, data: bytes | memoryview, *, last: bool) -> None:
        """Hand bytes of the request to the socket, unless the exchange is over or answered already."""
        if exchange.over or exchange.parser.head is not None:
            return
        exchange.wrote(last=last)
        if self._wire.write(data):
            self._note_sent(exchange)
        else:
            self.abort()  # before it is asked how much was sent
            self._break_off("the TLS connection was broken before the call was sent whole")

    async def drained(self) -> None:
        """Wait until the socket takes more, or the connection is lost."""
        if self._drained is not None:
            await self._drained

    def taken(self, exchange: Exchange, piece: bytes) -> None:
        """The reader took a piece; read on from the socket when it has caught up."""
        exchange.held -= len(piece)
        if exchange.paused and not exchange.over and not exchange.held:
            exchange.paused = False
            self._wire.transport.resume_reading()
            self._deadline.set(self._limits.idle_timeout)

    def fail(self, exchange: Exchange, kind: FaultKind, detail: str) -> None:
        """End an exchange without a complete answer."""
        if not exchange.over:
            self._note_progress(exchange)
            self.stop(exchange, exchange.cut(kind, detail))

    def stop(self, exchange: Exchange, error: Exception) -> None:
        """End an exchange with an error of any origin; the connection goes with it."""
        if not exchange.over:
            exchange.fault = error
            self._end(exchange, reusable=False)

    def _finish(self, exchange: Exchange) -> None:
        """End an exchange whose answer is complete."""
        self._note_progress(exchange)
        self._end(exchange, reusable=exchange.clean and self.alive and self._wire.settled)

    def _end(self, exchange: Exchange, *, reusable: bool) -> None:
        exchange.over = True
        now = self._now()
        exchange.timings.total_seconds = now - exchange.timings.started
        self._exchange = None
        if not self._served and self.resumption is not None and self._wire.channel is not None:
            self.resumption.learn(self._wire.channel)
        if reusable:
            self.stand_by(now)
        else:
            self.abort()
        self._ended(self)
        exchange.wake()

    def _note_progress(self, exchange: Exchange) -> None:
        """ALL only when seen: a lost connection has dropped its backlog, so that an empty one then proves nothing."""
        if exchange.progress is not _ALL and exchange.written and not self._wire.backlog and self.alive:
            exchange.progress = _ALL

    def _note_sent(self, exchange: Exchange) -> None:
        """Set the timer for what is waited for next: the socket or the answer; none for the body's producer."""
        self._note_progress(exchange)
        if exchange.progress is _ALL:
            self._deadline.set(self._limits.response_timeout)
            return
        self._unsent = self._wire.backlog
        if self._unsent:
            self._deadline.set(self._limits.idle_timeout)
        else:
            self._deadline.clear()

    # What asyncio reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Speak without TLS."""
        self._wire = UpstreamTransport(cast("asyncio.Transport", transport), None)  # uvloop's is not a subclass

    def secured(self, transport: asyncio.Transport, channel: Channel) -> None:
        """Speak over TLS, which was agreed on."""
        transport.set_protocol(self)
        self._wire = UpstreamTransport(transport, channel)
        self.data_received(b"")  # the handshake may have brought more than its own

    def data_received(self, data: bytes) -> None:
        """Take what the socket gives."""
        wire = self._wire
        if sent := wire.read(data):
            self._take(sent)
        if wire.settled:
            return
        if wire.broken:
            self._break_off("the TLS connection was broken before the answer was complete")
        elif wire.farewell:
            self.eof_received()

    def _take(self, data: bytes) -> None:
        """Take bytes of an answer; without a call they spoil the connection."""
        exchange = self._exchange
        if exchange is None:
            self.abort()  # unasked: it is not the next call's answer
            return
        if exchange.timings.first_byte_seconds is None:
            exchange.timings.first_byte_seconds = self._now() - exchange.timings.started
        try:
            exchange.feed(data)
        except MalformedAnswerError as error:
            self.fail(exchange, FaultKind.MALFORMED, f"the answer is not valid HTTP: {error}")
            return
        if exchange.parser.complete:
            self._finish(exchange)
        elif exchange.parser.head is not None:
            self._store(exchange)

    def _store(self, exchange: Exchange) -> None:
        """Read on while the reader of the answer keeps up."""
        if exchange.held > self._limits.buffer:
            exchange.paused = True
            self._wire.transport.pause_reading()
            self._deadline.clear()
        else:
            self._deadline.set(self._limits.idle_timeout)
        exchange.wake()

    def eof_received(self) -> None:
        """End an answer that only this ends; any other is cut."""
        exchange = self._exchange
        if exchange is not None and self._wire.honest_end:
            exchange.parser.feed_eof()
        if exchange is not None and exchange.parser.complete:
            self._finish(exchange)
        else:
            self._break_off("the origin ended the connection before the answer was complete")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature; the loss is enough
        """End what is still going on."""
        self._closed = True
        self._deadline.cancel()
        self.resume_writing()
        self._break_off("the connection was lost before the answer was complete")
        self._lost(self)

    def _break_off(self, detail: str) -> None:
        """Let the call that is going on, if any, end without a whole answer."""
        if self._exchange is None:
            self.abort()
        else:
            self.fail(self._exchange, FaultKind.DISCONNECTED, detail)

    def pause_writing(self) -> None:
        """Make the body's producer wait."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let the body's producer go on."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._exchange is not None and self._exchange.parser.head is None and not self._closed:
            self._note_sent(self._exchange)

    def _expired(self) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abort()
        elif exchange.sending and self._wire.backlog < self._unsent:
            self._note_sent(exchange)
        else:
            self.fail(exchange, FaultKind.TIMEOUT, exchange.overdue(self._limits))
