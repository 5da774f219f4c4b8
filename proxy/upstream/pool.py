"""Keeps the connections to one origin, and sends each call on one of them.

A call is sent at most once. A connection that proves dead before the first byte is passed over; after that, the fault
says how far the call got, and to send again is for others to decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy.http1.timeouts import read_what_is_here, timeout_at
from proxy.upstream.connecting.connect import Route
from proxy.upstream.connecting.maker import Maker
from proxy.upstream.connecting.pace import Pace
from proxy.upstream.connecting.resumption import Resumption
from proxy.upstream.model import ConnectError, ConnectResult, FaultKind, Stats, Timings, UpstreamFault
from proxy.upstream.request import Request, converse
from proxy.upstream.reuse import take_warm
from proxy.upstream.waiting import CLOSED, Slots, Waiting
from proxy.upstream.warmth import KeepWarm

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.config import EgressProxy, Origin
    from proxy.upstream.answer import Answer
    from proxy.upstream.connection import Connection
    from proxy.upstream.model import Limits, OutgoingRequest

_LOSS_TAKES: Final = 1.0  # seconds; an aborted connection is lost within turns of the event loop, and a stop must end


class Pool:
    """All calls to one origin; make it inside the event loop.

    Args:
        origin: where every call goes.
        limits: bounds; see Limits.
        ssl_context: from `tls_context`; given exactly when the origin speaks TLS.
        egress: CONNECT proxy to go through, if any.
        now: a clock that counts suspended time too, in seconds; ages of connections are taken from it.
        chance: gives numbers from 0 to 1, by which connections differ in how long they live.
        connected: told how each attempt to connect ended, except one whose caller gave up.

    Attributes:
        authority: value of the Host field of every call.
        slots: one for each call that has a connection, or waits for one.
    """

    def __init__(  # noqa: PLR0913 - what one pool is made of, all but the origin by name
        self,
        origin: Origin,
        *,
        limits: Limits,
        ssl_context: ssl.SSLContext | None,
        egress: EgressProxy | None = None,
        now: Callable[[], float],
        chance: Callable[[], float],
        connected: Callable[[ConnectResult], None] = lambda _result: None,
    ) -> None:
        if origin.tls != (ssl_context is not None):
            message = "an https origin needs a TLS context, an http origin must have none"
            raise ValueError(message)
        self._loop = asyncio.get_running_loop()
        self.authority = origin.authority.encode("ascii")
        route = Route(origin, ssl_context, egress, limits, now, Resumption(now), Pace(now))
        self._maker = Maker(route, chance, connected, (self._ended, self._lost))
        self._limits = limits
        self._now = now
        self._keep_warm = KeepWarm(limits, now, lambda: self.slots.taken, self._make_ahead)
        self.slots = Slots(limits.max_connections)
        self._waiting = Waiting(limits, self._found)
        self._idle: list[Connection] = []  # the one used last is at the end, and taken first
        self._open: set[Connection] = set()
        self._all_lost = asyncio.Event()
        self._all_lost.set()
        self._closed = False

    async def send(self, call: OutgoingRequest) -> Answer:
        """Send a call once and return its answer as soon as the head is complete.

        Raises:
            UpstreamFault: no answer; says how far the call got.
            ValueError: the call would not make one unambiguous request; nothing was sent.
            BodyLengthError: the streamed body does not have its declared length.
            Whatever the body's iterator or `sending` raises: unchanged, and the connection is gone.
        """
        request = Request(call, self.authority)
        opening = await request.piece()
        timings = Timings(self._now())
        connection = await self._take(timings, effects=call.effects)
        try:
            call.sending()
        except BaseException:
            self.release(connection)
            raise
        return await converse(connection, request, opening, timings)

    def acquire(self, *, effects: bool) -> Connection | None:
        """Return a warm connection for a call that will not wait, or None; an exchange, or `release`, gives it back."""
        slots = self.slots
        if self._closed or not slots.take():
            return None
        connection = take_warm(self._idle, self._now(), effects=effects, limits=self._limits)
        if connection is None:
            slots.give_back()
        elif slots.taken > self._keep_warm.peak:
            self._keep_warm.peak = slots.taken
        return connection

    def release(self, connection: Connection) -> None:
        """Give back a connection that no exchange has used; one that is new has proven nothing yet, and is aborted."""
        if not connection.free:
            connection.abort()
        self._ended(connection)

    def stats(self) -> Stats:
        """Count connections; one that is still being made is not open yet."""
        return Stats(len(self._open), len(self._idle), len(self._open) - len(self._idle))

    def trust(self, ssl_context: ssl.SSLContext) -> None:
        """Verify the origin by another context from now on; those made by the old one end what they carry, no more."""
        self._maker.trust(ssl_context)
        while self._idle:
            self._idle.pop().abort()
        for connection in self._open:
            connection.retires_at = -math.inf

    async def close(self) -> None:
        """Abort every connection and wait until the sockets are gone; calls on their way end with a fault."""
        self._closed = True
        self._keep_warm.stop()
        await self._waiting.close()
        for connection in tuple(self._open):
            connection.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOSS_TAKES):
                await self._all_lost.wait()

    async def _take(self, timings: Timings, *, effects: bool) -> Connection:
        """Return a usable connection, the first that there is, within the connect budget."""
        deadline = self._loop.time() + self._limits.connect_timeout
        if not self.slots.take():
            try:
                async with timeout_at(deadline):
                    await self.slots.wait()
            except TimeoutError as error:
                raise self._not_sent(self._waiting.late(busy=True), timings) from error
        self._keep_warm.peak = max(self._keep_warm.peak, self.slots.taken)
        try:
            connection = take_warm(self._idle, self._now(), effects=effects, limits=self._limits)
            while connection is None or self._closed:
                connection = await self._first(timings, deadline, new=effects and not self._limits.effects_idle)
        except BaseException:
            self.slots.give_back()
            raise
        return connection

    async def _first(self, timings: Timings, deadline: float, *, new: bool) -> Connection | None:
        """Wait for the connection that comes first, or first of the new ones; None when it has died on the way."""
        make = partial(self._fresh, deadline) if self._has_room() else None
        try:
            self._refuse_if_closed()
            connection = await self._waiting.wait(make, deadline, new=new)
        except ConnectError as error:
            raise self._not_sent(error, timings) from error
        if connection.fit:
            return connection
        try:
            await read_what_is_here()  # more session tickets, perhaps
        except BaseException:
            connection.abort()
            raise
        if connection.fit if connection.free else connection.alive:
            return connection
        connection.abort()
        return None

    def _has_room(self) -> bool:
        """Whether a connection may be made for one more call, if need be in the place of the one idle for longest."""
        most = self._limits.max_connections + 1 + len(self._waiting.calls) - self.slots.taken - self._waiting.making
        while self._idle and len(self._idle) >= most:
            self._idle.pop(0).abort()
        return most > 0

    async def _fresh(self, deadline: float) -> Connection:
        try:
            connection = await self._maker.make(deadline)
        except ConnectError:
            self._keep_warm.failed()
            raise
        if self._closed:
            connection.abort()
        self._refuse_if_closed()
        if self._idle and self._now() - self._idle[0].idle_since > self._limits.effects_idle:
            self._idle.pop(0).abort()  # it takes the place of one that has cooled, lest those gather
        self._open.add(connection)
        self._all_lost.clear()
        self._keep_warm.begin()
        return connection

    def _make_ahead(self, least: int, moment: float) -> None:
        """Have connections made until so many are in use or may carry a call with effects at a moment."""
        cools_at = moment - self._limits.effects_idle
        there = self.slots.taken + self._waiting.making
        warm = there + sum(one.idle_since > cools_at for one in self._idle)
        deadline = self._loop.time() + self._limits.connect_timeout
        for _ in range(min(least - warm, self._limits.max_connections - there - len(self._idle))):
            self._waiting.make(partial(self._fresh, deadline))

    def _found(self, connection: Connection) -> None:
        """Give a connection that nothing uses to a call that waits, or keep it for the next."""
        if not self._waiting.offer(connection):
            connection.stand_by(self._now())
            self._idle.append(connection)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ConnectError(FaultKind.CLOSED, CLOSED)

    def _not_sent(self, error: ConnectError, timings: Timings) -> UpstreamFault:
        timings.total_seconds = self._now() - timings.started
        return UpstreamFault.of(error, timings)

    def _ended(self, connection: Connection) -> None:
        self.slots.give_back()
        if not connection.free:
            return
        if self._waiting.calls and self._now() >= connection.retires_at:
            connection.abort()
        elif not self._waiting.calls or not self._waiting.offer(connection):
            self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._open:
            self._all_lost.set()
