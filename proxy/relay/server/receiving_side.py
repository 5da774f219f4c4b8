"""Reads requests from one caller's connection: gives its bytes to the relay, or to the parser, one request at a time.

It must never read on after bytes that it could not read, nor hold more than the budget lets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.web_protocol import _ErrInfo

from proxy.process.memory import Holding
from proxy.relay.server.answering_side import AnsweringSide
from proxy.relay.server.request_stream import RequestStream

if TYPE_CHECKING:
    import asyncio

    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.listener import Listener

# Bytes of a body; the server holds at most twice that and what the kernel gave last.
READ_AHEAD: Final = 64 * 1024
_EMPTY_LINE: Final = b"\r\n"  # ignored between requests (RFC 9112 section 2.2)


class ReceivingSide(AnsweringSide):
    """The side of a caller's connection on which requests come in.

    Attributes:
        late: whether the next request is one that began after the listener stopped, so that it is not carried.
    """

    __slots__ = ("_awaiting", "_behind", "_reading", "_requests", "late")

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop, options: dict[str, Any]) -> None:
        super().__init__(listener, loop, options)
        self._awaiting = True  # no request that the parser has read is under way
        self._reading = False  # a head that has begun and is not complete
        self._behind = b""  # what came behind a request that the relay began, or before its answers were taken
        parser = cast("Any", self._parser)  # which aiohttp has made
        self._requests = RequestStream(parser, self.memory)
        self._parser = cast("Any", self._requests)
        self.late = False

    def head_arrived(self) -> None:
        """Stop the head's time."""
        self._awaiting = self._reading = False
        self._patience.clear()

    def _wait(self) -> None:
        """Wait for the next request, or for the caller to take the rest of its answer."""
        self.late = self._listener.stopping
        self._patience.set(self._listener.idle_time)

    def data_received(self, data: bytes) -> None:
        """Let the relay begin a request that is here; give any other its time; read nothing after the unreadable."""
        if self.deaf:
            return
        if self._awaiting and (self._call is not None or self._paused):
            if data:  # else a reader of the body has caught up
                self._meanwhile(data)
            return
        if data and self._requests.between and self._awaiting and not self._messages:
            if self._listener.relay.begin(cast("CallerConnection", self), data):
                return
            if not data.strip(_EMPTY_LINE):
                return
        waiting = len(self._messages)
        super().data_received(data)
        begun = len(self._messages) - waiting
        if begun and isinstance(self._messages[-1][0], _ErrInfo):  # private, but nothing public says so
            self.deaf = True
            self._spoil_bodies()
        if self._requests.backlog > self._listener.read_ahead and (self._messages or self._call is not None):
            self._pause_reading_for_buffer()
        came = data.strip(_EMPTY_LINE) if data else self._requests.backlog
        if came and self._awaiting and not (self._messages or self._reading):
            self._reading = True
            self._patience.set(self._listener.header_timeout)

    def _meanwhile(self, data: bytes) -> None:
        """Give the call that runs, if one does, what belongs to it, and keep the rest."""
        call = self._call
        if call is None:
            self._hold(data)
        else:
            self._hold(call.feed(data))
            call.fed()

    def _hold(self, data: bytes) -> None:
        """Keep what comes behind a request that `begin` took until its call is over; read no more when it is much."""
        if not data:
            return
        self._behind += data
        self.memory.charge(Holding.PIPELINED, len(data))
        if len(self._behind) > self._listener.read_ahead and self.transport is not None:
            self.transport.pause_reading()

    def _resume_reading_for_buffer(self) -> None:
        """Read on once the parser has got most of what came."""
        if self._requests.backlog <= READ_AHEAD:
            super()._resume_reading_for_buffer()

    def _spoil_bodies(self) -> None:
        """Tell those who read, or will read, a body whose rest can never come; the parser does not."""
        error = web.RequestPayloadError("the rest of the body cannot be read")
        if self._current_request is not None:
            self._current_request._cancel(error)  # noqa: SLF001 - what aiohttp itself calls when a connection is lost
        for _, payload in self._messages:
            if not payload.is_eof():
                payload.set_exception(error)

    def _read_on(self) -> None:
        """Go on with what came meanwhile, unless a call is under way or the caller has yet to take its answers."""
        if self.transport is None or self.writing_paused or self._call is not None or not self._awaiting:
            return
        if self._buffer_paused or self._requests.backlog:
            self._resume_reading_if_drained()
        behind, self._behind = self._behind, b""
        if behind:
            self.memory.charge(Holding.PIPELINED, -len(behind))
        transport = cast("asyncio.Transport | None", self.transport)  # which may be gone by now
        if behind and transport is not None and not transport.is_closing():
            transport.resume_reading()
            self.data_received(behind)

    def resume_writing(self) -> None:
        """Go on with the next request."""
        super().resume_writing()
        self._loop.call_soon(self._read_on)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget what has come."""
        self._requests.lost()
        behind, self._behind = self._behind, b""
        self.memory.charge(Holding.PIPELINED, -len(behind))
        super().connection_lost(exc)
        self._messages.clear()
