"""Serves one caller's connection: who that is, its calls one after the other, and when it has to end.

No call of which a byte may have been sent must ever end for another's sake.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from proxy.errors import OverloadedError, SlowRequestError
from proxy.http1.timeouts import Deadline
from proxy.policy.identity import Peer
from proxy.relay.concurrency import draining
from proxy.relay.server.caller_socket import address_of, peer_of
from proxy.relay.server.lingering import GRACE
from proxy.relay.server.receiving_side import ReceivingSide
from proxy.relay.server.request_stream import MOST_HEAD, STRANGERS_HEAD

if TYPE_CHECKING:
    from proxy.errors import RelayError
    from proxy.policy.rules import Caller, Policy
    from proxy.relay.server.listener import Listener
    from proxy.relay.server.ports import Call


class CallerConnection(ReceivingSide):
    """One caller's connection.

    Attributes:
        peer: who is at the other end.
        caller: the policy's, who made the last call; None while none is known.
        known_by: the policy that has recognised its caller by the connection alone, so that it need not be asked again.
        address: where the peer comes from, or its user.
        party: with whom it shares connections and places: the caller's name, or the address.
    """

    __slots__ = ("address", "caller", "known_by", "party", "peer")

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop, options: dict[str, Any]) -> None:
        super().__init__(listener, loop, options)
        self._patience = Deadline(loop, self._ran_out)
        self.peer = Peer()
        self.caller: Caller | None = None
        self.known_by: Policy | None = None
        self.address = self.party = ""

    @property
    def shedding(self) -> bool:
        """Whether an answer whose head is written now is to be the connection's last."""
        return self._listener.relay.shedding

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
            self._requests.request_over()
            self._awaiting = not last
        if transport is None:
            return
        if parsed or not last or self.unsent:
            self.late = self._listener.stopping
            self._patience.set(self._listener.idle_time)
        if parsed or not last:
            if self._behind or self._buffer_paused or (parsed and self._requests.backlog):
                self._read_on()
            return
        if linger or self.shedding:  # while it sheds, the caller may have sent more
            self.linger()
        else:
            self.deaf = True
            self.close()
            transport.close()

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

    # What asyncio reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look who it is, and whether there is room."""
        self.peer = peer_of(transport)
        self.address = self.party = address_of(transport, self.peer)
        super().connection_made(transport)
        if not self._listener.relay.knows(self):
            self._requests.most_head = STRANGERS_HEAD
        self._wait()
        if not self._listener.enter(self):
            self.deaf = True
            self._listener.turn_away(self)

    def eof_received(self) -> None:
        """Take the end of what the caller sends for its leaving, and cut the answer to a call that runs."""
        if self._call is not None:
            self.reset()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the listener, and the call that runs."""
        self._listener.leave(self)
        super().connection_lost(exc)
        if self._call is not None:
            self._call.caller_left()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Let what is under way end by itself for so many seconds, then cut it."""
        if self._reading and not (self._messages or self.lingers):
            self._give_up(draining())
        if self._call is not None and self._awaiting:
            await self._call.end(timeout)
        if self.lingers:
            await asyncio.wait((asyncio.ensure_future(self._lost.wait()),), timeout=GRACE)
        await super().shutdown(timeout)
        if self._socket.unsent:
            self._socket.reset()

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
