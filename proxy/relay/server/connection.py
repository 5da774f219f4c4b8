"""Serves one caller's connection: gives its bytes to the relay or the parser, bounds slow heads, and ends it.

It must never answer with aiohttp's words, and never read on after bytes that it could not read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.web_protocol import _ErrInfo

from proxy.errors import InternalError, OverloadedError, SlowRequestError
from proxy.http1.timeouts import Deadline
from proxy.policy.identity import Peer
from proxy.process.memory import Holding
from proxy.relay.concurrency import draining
from proxy.relay.server.caller_socket import CallerSocket
from proxy.relay.server.lingering import GRACE, LINGER
from proxy.relay.server.parse_errors import unreadable
from proxy.relay.server.peer import address_of, peer_of
from proxy.relay.server.request_stream import MOST_HEAD, STRANGERS_HEAD, RequestStream
from proxy.relay.server.response import Written

if TYPE_CHECKING:
    from proxy.errors import RelayError
    from proxy.policy.rules import Caller
    from proxy.relay.server.listener import Listener
    from proxy.relay.server.ports import Call

# Bytes of a body; the server holds at most twice that and what the kernel gave last.
READ_AHEAD: Final = 64 * 1024
_EMPTY_LINE: Final = b"\r\n"  # ignored between requests (RFC 9112 section 2.2)


class CallerConnection(web.RequestHandler):
    """One caller's connection.

    Attributes:
        peer: who is at the other end.
        caller: the policy's, who made the last call; None while none is known.
        address: where the peer comes from, or its user.
        party: with whom it shares connections and places: the caller's name, or the address.
        deaf: whether bytes that come are thrown away: those before could not be read, or the last answer was given.
        lingers: whether it is open only so that its caller reads its last answer.
        memory: counts what is held for callers.
        late: whether the next request is one that began after the listener stopped, so that it is not carried.
    """

    __slots__ = (
        "_awaiting", "_behind", "_call", "_listener", "_lost", "_patience", "_reading", "_requests",
        "_socket", "_untaken", "address", "caller", "deaf", "late", "lingers", "memory", "party", "peer",
    )  # fmt: skip

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop, options: dict[str, Any]) -> None:
        super().__init__(listener, loop=loop, **options)
        self._listener = listener
        self.memory = listener.memory
        self._call: Call | None = None
        self._awaiting = True
        self._socket: CallerSocket
        self.peer = Peer()
        self.caller: Caller | None = None
        self.address = self.party = ""
        self.deaf = self.lingers = False
        self.late = False
        self._reading = False  # a head that has begun and is not complete
        parser = cast("Any", self._parser)  # which aiohttp has made
        self._requests = RequestStream(parser, self.memory)
        self._parser = cast("Any", self._requests)
        self._behind = b""  # what came behind a request that `begin` took
        self._untaken = 0  # bytes of answers that the budget has counted
        self._lost = asyncio.Event()
        self._patience = Deadline(loop, self._ran_out)

    @property
    def unsent(self) -> int:
        """Bytes of answers that the socket has not taken."""
        return 0 if self.transport is None else self._socket.unsent

    @property
    def shedding(self) -> bool:
        """Whether an answer whose head is written now is to be the connection's last."""
        return self._listener.relay.shedding

    @property
    def gone(self) -> bool:
        """Whether the caller has left, as far as the kernel knows; so it has when it ended its sending side alone."""
        return self.transport is None or self._socket.gone

    @property
    def waiting_since(self) -> float | None:
        """When it began to wait for its caller; None while a call of it may have been sent, or an answer is given."""
        call = self._call
        if self.lingers or self.unsent or (call is not None and not call.coming):
            return None
        return self._patience.since

    @property
    def coming(self) -> bool:
        """Whether it has a call whose body is still coming, and of which nothing was sent."""
        return self._call is not None and self._call.coming

    @property
    def idle(self) -> bool:
        """Whether it waits for a request of which nothing has come."""
        return self._call is None and not (self._reading or self._messages)

    # What the relay tells

    def recognise(self, caller: Caller | None) -> None:
        """Note who makes its calls, so that it may send larger heads, and shares with that caller's others."""
        self.caller = caller
        if caller is not None:
            self._requests.most_head = MOST_HEAD
            if not caller.identity.anyone:
                self.party = caller.name

    def head_arrived(self) -> None:
        """Stop the head's time."""
        self._awaiting = self._reading = False
        self._patience.clear()

    def begin(self, call: Call) -> None:
        """Note that a call begins; it is told once when the caller goes away during it."""
        self._call = call
        self._patience.clear()
        if self.transport is None:
            call.caller_left()

    def expect_body(self, seconds: float) -> None:
        """Bound the time in which more of the call's body must come."""
        self._patience.set(seconds)

    def body_is_here(self) -> None:
        """Bound the call's time no more."""
        self._patience.clear()

    def finish(self, last: bool, linger: bool) -> None:  # noqa: FBT001 - called for each call
        """Note that the call is over.

        Args:
            last: whether it was the connection's last.
            linger: whether the caller needs time to read its answer.
        """
        self._call = None
        parsed, transport = not self._awaiting, self.transport
        if parsed:  # aiohttp's server sees to the rest
            self._awaiting = not last
        if transport is None:
            return
        if parsed or not last or self.unsent:
            self._wait()
        if parsed or not last:
            self._read_on()
            return
        if linger or self.shedding:  # while it sheds, the caller may have sent more
            self.linger()
        else:
            self.deaf = True
            self.close()
            transport.close()

    def _read_on(self) -> None:
        """Go on with what came meanwhile, unless a call is under way or the caller has yet to take its answers."""
        if self.transport is None or self.writing_paused or self._call is not None or not self._awaiting:
            return
        if self._buffer_paused or self._requests.backlog:
            self._resume_reading_if_drained()
        behind, self._behind = self._behind, b""
        if behind:
            self.memory.charge(Holding.PIPELINED, -len(behind))
        if behind and not self.transport.is_closing():  # else the caller has left
            self.transport.resume_reading()
            self.data_received(behind)

    async def drained(self) -> None:
        """Wait until the caller has taken enough of its answer."""
        if self.transport is not None and self.writing_paused:
            await self._drain_helper()

    def give_way(self) -> bool:
        """End it, since others need the place: nothing of its call was sent. False if its caller has just sent more."""
        if self._messages:
            return False
        if self.idle or self.deaf:
            if self._socket.waiting and not self.deaf:
                return False
            self.force_close()
            return True
        detail = "The sidecar needs this connection, which was still sending its request, for others; nothing was sent."
        self._give_up(OverloadedError(detail))
        return True

    def _give_up(self, error: RelayError) -> None:
        """Refuse the request that is coming; nothing of it was sent."""
        if self._call is not None:
            self._call.give_up(error)
        else:
            self._listener.relay.unreadable(self, error)
            self.linger()

    def retire(self) -> None:
        """Carry no request but one that has begun, and wait no longer than the listener does now."""
        begun = not self._awaiting or bool(self._messages) or self._reading or self.deaf or self._call is not None
        if not begun and self.transport is not None:
            self._wait()

    def reset(self) -> None:
        """End the connection at once by a reset: an answer that was cut must not look like a whole one."""
        if self.transport is not None:
            self._socket.reset()

    def _wait(self) -> None:
        """Wait for the next request, or for the caller to take the rest of its answer."""
        self.late = self._listener.stopping
        self._patience.set(self._listener.idle_time)

    # What asyncio reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look who it is, and whether there is room."""
        self.peer = peer_of(transport)
        self.address = self.party = address_of(transport, self.peer)
        self._socket = CallerSocket(cast("asyncio.Transport", transport))
        super().connection_made(transport)
        if not self._listener.relay.knows(self):
            self._requests.most_head = STRANGERS_HEAD
        self._wait()
        if not self._listener.enter(self):
            self.deaf = True
            self._listener.turn_away(self)

    def data_received(self, data: bytes) -> None:
        """Let the relay begin a request that is here; give any other its time; read nothing after the unreadable."""
        if self.deaf:
            return
        if self._awaiting and (self._call is not None or self.writing_paused):
            if data:  # else a reader of the body has caught up
                self._meanwhile(data)
            return
        if data and self._requests.between and self._awaiting and not self._messages:
            if self._listener.relay.begin(self, data):
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

    def pause_writing(self) -> None:
        """Count what the caller has yet to take of its answers, and read no further request until it has."""
        super().pause_writing()
        self._untaken = self.unsent
        self.memory.charge(Holding.ANSWERS, self._untaken)

    def resume_writing(self) -> None:
        """Go on with the next request."""
        super().resume_writing()
        self._taken()
        self._loop.call_soon(self._read_on)

    def _taken(self) -> None:
        untaken, self._untaken = self._untaken, 0
        self.memory.charge(Holding.ANSWERS, -untaken)

    def eof_received(self) -> None:
        """Take the end of what the caller sends for its leaving, and cut the answer to a call that runs."""
        if self._call is not None:
            self.reset()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the call that runs."""
        self._patience.cancel()
        self._lost.set()
        self._listener.leave(self)
        self._requests.lost()
        behind, self._behind = self._behind, b""
        self.memory.charge(Holding.PIPELINED, -len(behind))
        self._taken()
        super().connection_lost(exc)
        self._messages.clear()
        if self._call is not None:
            self._call.caller_left()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Let what is under way end by itself for so many seconds, then cut it."""
        if self._reading and not self._messages:
            self._give_up(draining())
        if self._call is not None and self._awaiting:
            await self._call.end(timeout)
        if self.lingers:
            await asyncio.wait((asyncio.ensure_future(self._lost.wait()),), timeout=GRACE)
        await super().shutdown(timeout)
        if self._socket.unsent:
            self._socket.reset()

    def force_close(self) -> None:
        """End the connection, and visibly so when that cuts the answer to a call."""
        if self._call is not None:
            self.reset()
        super().force_close()

    # What aiohttp asks

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp could not read, and what the relay failed on, in our own way."""
        del request, message
        if status == web.HTTPBadRequest.status_code:
            return self._refused(unreadable(exc))
        return self._refused(InternalError("The sidecar failed on this call; its log has the reason."))

    def log_exception(self, *args: object, **kw: object) -> None:
        """Say nothing: aiohttp's text quotes the caller; `handle_error` reports."""

    def linger(self) -> None:
        """End it once its caller had time to read the last answer, which is written."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self.deaf = self.lingers = True
        self._reading = False
        self.close()
        if transport.can_write_eof():
            transport.write_eof()
            transport.resume_reading()
        else:  # TLS: it says that nothing follows, and throws away what comes, until the other end has said so too
            transport.close()
        self._patience.set(LINGER)
        self._listener.lingering.add(self)

    async def lingered(self) -> None:
        """Linger, and return once it has ended."""
        self.linger()
        if self.lingers:
            await self._lost.wait()

    def cut(self) -> None:
        """End it at once; its caller had time to read the last answer."""
        self._force_close = True
        if self.transport is not None:
            self.transport.abort()

    def _refused(self, error: RelayError) -> Written:
        self._listener.relay.unreadable(self, error)
        return Written(last=True, then=self.lingered)

    def _ran_out(self) -> None:
        if self.lingers:
            self.cut()
            return
        if self._call is not None:
            self._call.stalled()
            return
        if not self._reading:
            self._waited()
            return
        if self._messages:  # the head is here, and about to be judged
            return
        detail = f"The request head did not arrive within {self._listener.header_timeout:g} s (PROXY_HEADER_TIMEOUT)."
        self._give_up(SlowRequestError(detail))

    def _waited(self) -> None:
        """End a connection on which nothing came, and nothing was taken, for long enough."""
        if self._listener.stopping and (self.unsent or self._socket.waiting):
            self._wait()  # the time for the drain bounds it
            return
        if self.unsent:
            self.reset()  # to close would wait for a caller that does not read
        self.force_close()
