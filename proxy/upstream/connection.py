"""Carries calls on one connection, one after the other, and tells exactly how far each got.

It carries one call at a time, sends no byte twice, and is never used again
after anything that leaves a doubt about where the next answer begins.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from proxy.http1.deadline import Deadline
from proxy.http1.framing import MalformedAnswerError
from proxy.upstream.exchange import Turn
from proxy.upstream.model import FaultKind, Progress
from proxy.upstream.parser import AnswerParser
from proxy.upstream.transport import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.upstream.connecting.channel import Channel
    from proxy.upstream.model import Exchange, Limits


class Connection(asyncio.Protocol):
    """A connection to the origin; `ended` is told of each end of a turn, `lost` of its own end.

    Attributes:
        free: whether it may carry another call, as far as the last one tells.
        idle_since: when its last call ended.
        retires_at: when it begins no more calls.
    """

    def __init__(
        self,
        limits: Limits,
        now: Callable[[], float],
        ended: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self.free = False
        self.idle_since = 0.0
        self.retires_at = 0.0
        self._limits = limits
        self._now = now
        self._ended = ended
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._wire: Wire
        self._turn: Turn | None = None
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
        return self.alive and self._wire.settled and self._wire.quiet()

    def abort(self) -> None:
        """End the connection at once; what it carries ends with a fault when the loop reports the loss."""
        self._closed = True
        self._deadline.cancel()
        self._wire.transport.abort()  # under TLS too: no farewell, which would wait for the origin

    # One call

    def begin(self, method: bytes, exchange: Exchange) -> Turn:
        """Start a turn; the connection must be alive."""
        exchange.reused = self._served
        self.free = False
        self._deadline.clear()
        self._turn = turn = Turn(AnswerParser(method, self._limits), exchange, self._loop)
        return turn

    def write(self, turn: Turn, data: bytes, *, last: bool) -> None:
        """Hand bytes of the request to the socket, unless the turn is over or answered already."""
        if turn.over or turn.parser.head is not None:
            return
        turn.wrote(len(data), last=last)
        if self._wire.write(data):
            self._note_sent(turn)
        else:
            self.abort()  # before it is asked how much was sent
            self._break_off("the TLS connection was broken before the call was sent whole")

    async def drained(self) -> None:
        """Wait until the socket takes more, or the connection is lost."""
        if self._drained is not None:
            await self._drained

    def taken(self, turn: Turn, piece: bytes) -> None:
        """The reader took a piece; read on from the socket when it has caught up."""
        turn.held -= len(piece)
        if turn.paused and not turn.over and not turn.held:
            turn.paused = False
            self._wire.transport.resume_reading()
            self._deadline.set(self._limits.idle_timeout)

    def fail(self, turn: Turn, kind: FaultKind, detail: str) -> None:
        """End a turn without a complete answer."""
        if not turn.over:
            self._note_progress(turn)
            self.stop(turn, turn.cut(kind, detail))

    def stop(self, turn: Turn, error: Exception) -> None:
        """End a turn with an error of any origin; the connection goes with it."""
        if not turn.over:
            turn.fault = error
            self._end(turn, reusable=False)

    def _finish(self, turn: Turn) -> None:
        """End a turn whose answer is complete."""
        self._note_progress(turn)
        self._end(turn, reusable=turn.clean and self.alive and self._wire.settled)

    def _end(self, turn: Turn, *, reusable: bool) -> None:
        turn.over = True
        now = self._now()
        turn.exchange.total_seconds = now - turn.exchange.started
        self._turn = None
        if reusable:
            self.free = self._served = True
            self.idle_since = now
            self._deadline.set(self._limits.pool_idle)
        else:
            self.abort()
        self._ended(self)
        turn.wake()

    def _note_progress(self, turn: Turn) -> None:
        """ALL only when seen: a lost connection has dropped its backlog, so that an empty one then proves nothing."""
        if turn.progress is not Progress.ALL and turn.written and not self._wire.backlog and self.alive:
            turn.progress = Progress.ALL

    def _note_sent(self, turn: Turn) -> None:
        """Set the timer for what is waited for next: the socket or the answer; none for the body's producer."""
        self._note_progress(turn)
        if turn.progress is Progress.ALL:
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
        self._wire = Wire(cast("asyncio.Transport", transport), None)  # uvloop's is not a subclass

    def secured(self, transport: asyncio.Transport, channel: Channel) -> None:
        """Speak over TLS, which was agreed on."""
        transport.set_protocol(self)
        self._wire = Wire(transport, channel)
        self.data_received(b"")  # the handshake may have brought more than its own

    def data_received(self, data: bytes) -> None:
        """Take what the socket gives."""
        if sent := self._wire.read(data):
            self._take(sent)
        if self._wire.broken:
            self._break_off("the TLS connection was broken before the answer was complete")
        elif self._wire.farewell:
            self.eof_received()

    def _take(self, data: bytes) -> None:
        """Take bytes of an answer; without a call they spoil the connection."""
        turn = self._turn
        if turn is None:
            self.abort()  # unasked: it is not the next call's answer
            return
        if turn.exchange.first_byte_seconds is None:
            turn.exchange.first_byte_seconds = self._now() - turn.exchange.started
        try:
            turn.feed(data)
        except MalformedAnswerError as error:
            self.fail(turn, FaultKind.MALFORMED, f"the answer is not valid HTTP: {error}")
            return
        if turn.parser.complete:
            self._finish(turn)
        elif turn.parser.head is not None:
            self._store(turn)

    def _store(self, turn: Turn) -> None:
        """Read on while the reader of the answer keeps up."""
        if turn.held > self._limits.buffer:
            turn.paused = True
            self._wire.transport.pause_reading()
            self._deadline.clear()
        else:
            self._deadline.set(self._limits.idle_timeout)
        turn.wake()

    def eof_received(self) -> None:
        """End an answer that only this ends; any other is cut."""
        turn = self._turn
        if turn is not None and self._wire.honest_end:
            turn.parser.feed_eof()
        if turn is not None and turn.parser.complete:
            self._finish(turn)
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
        if self._turn is None:
            self.abort()
        else:
            self.fail(self._turn, FaultKind.DISCONNECTED, detail)

    def pause_writing(self) -> None:
        """Make the body's producer wait."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let the body's producer go on."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._turn is not None and self._turn.parser.head is None and not self._closed:
            self._note_sent(self._turn)

    def _expired(self) -> None:
        turn = self._turn
        if turn is None:
            self.abort()
        elif turn.sending and self._wire.backlog < self._unsent:
            self._note_sent(turn)
        else:
            self.fail(turn, FaultKind.TIMEOUT, turn.overdue(self._limits))
