"""Keeps the connections to one origin, and sends each call on one of them.

A call is sent at most once. A connection that proves dead before the first byte is passed over; after that, the fault
says how far the call got, and to send again is for others to decide.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from proxy.http1.answer_head import AnswerHeads
from proxy.http1.timeouts import read_what_is_here, timeout_at
from proxy.upstream.connecting.connect import Route, connect
from proxy.upstream.connection import Connection
from proxy.upstream.model import ConnectError, ConnectResult, FaultKind, Progress, Stats, Timings, UpstreamFault
from proxy.upstream.request import Request, converse
from proxy.upstream.reuse import Fitness, fitness, lifetime
from proxy.upstream.slots import Slots

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.config import EgressProxy, Origin
    from proxy.upstream.answer import Answer
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
        self._route = Route(origin, ssl_context, egress, limits, now)
        self._limits = limits
        self._heads = AnswerHeads(limits.max_headers)
        self._now = now
        self._chance = chance
        self._connected = connected
        self._slots = Slots(limits.max_connections)  # one for each call that has, or makes, a connection
        self._taken = 0
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
        if self._closed or not self._slots.take():
            return None
        self._taken += 1
        connection = self._warm(effects=effects)
        if connection is None:
            self._free_slot()
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
        """Verify the origin by another context from now on; connections that were made by the old one serve out."""
        self._route = replace(self._route, tls=ssl_context)
        while self._idle:
            self._idle.pop().abort()

    async def close(self) -> None:
        """Abort every connection and wait until the sockets are gone; calls on their way end with a fault."""
        self._closed = True
        for connection in tuple(self._open):
            connection.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOSS_TAKES):
                await self._all_lost.wait()

    async def _take(self, timings: Timings, *, effects: bool) -> Connection:
        """Return a usable connection, warm or new, within the connect budget."""
        deadline = self._loop.time() + self._limits.connect_timeout
        if not self._slots.take():
            await self._wait_for_slot(timings, deadline)
        self._taken += 1
        try:
            self._refuse_if_closed(timings)
            return self._warm(effects=effects) or await self._fresh(timings, deadline)
        except BaseException:
            self._free_slot()
            raise

    async def _wait_for_slot(self, timings: Timings, deadline: float) -> None:
        try:
            async with timeout_at(deadline):
                await self._slots.wait()
        except TimeoutError as error:
            detail = f"all {self._limits.max_connections} connections were busy for {self._limits.connect_timeout} s"
            raise self._not_sent(FaultKind.POOL, detail, timings) from error

    def _warm(self, *, effects: bool) -> Connection | None:
        """Take the idle connection used last, unless it has cooled too far for this call, or is too old for any."""
        now = self._now()
        while self._idle:
            connection = self._idle.pop()
            idle, left = now - connection.idle_since, connection.retires_at - now
            match fitness(idle, left, effects=effects, limits=self._limits):
                case Fitness.USE if connection.fit:
                    return connection
                case Fitness.KEEP:
                    self._idle.append(connection)
                    return None
                case Fitness.USE | Fitness.CLOSE:
                    connection.abort()
                case never:
                    assert_never(never)
        return None

    async def _fresh(self, timings: Timings, deadline: float) -> Connection:
        """Make a connection, in the place of the one idle for longest when there are as many as may be."""
        while self._idle and self._taken + len(self._idle) > self._limits.max_connections:
            self._idle.pop(0).abort()
        connection = Connection(self._limits, self._heads, self._now, self._ended, self._lost)
        try:
            await connect(self._route, connection, timings, deadline)
        except ConnectError as error:
            self._tell(error.result)
            kind = FaultKind.TLS if error.result is ConnectResult.TLS else FaultKind.UNREACHABLE
            fault = self._not_sent(kind, error.detail, timings)
            fault.obstacle = error.obstacle
            raise fault from error
        connection.retires_at = self._now() + lifetime(self._limits, self._chance())
        self._tell(ConnectResult.CONNECTED)
        if not connection.fit:
            try:
                await read_what_is_here()  # session tickets under TLS; anything else ends the connection
            except BaseException:
                connection.abort()
                raise
        if self._closed or not connection.alive:
            connection.abort()
            self._refuse_if_closed(timings)
            detail = "the origin ended the new connection, or spoke before it was asked"
            raise self._not_sent(FaultKind.DISCONNECTED, detail, timings)
        self._open.add(connection)
        self._all_lost.clear()
        return connection

    def _tell(self, result: ConnectResult) -> None:
        try:
            self._connected(result)
        except Exception as error:  # noqa: BLE001 - a defect of who looks on must not fail the call
            self._loop.call_exception_handler({"message": "the observer of connects failed", "exception": error})

    def _refuse_if_closed(self, timings: Timings) -> None:
        if self._closed:
            raise self._not_sent(FaultKind.POOL, "the pool is closed", timings)

    def _not_sent(self, kind: FaultKind, detail: str, timings: Timings) -> UpstreamFault:
        timings.total_seconds = self._now() - timings.started
        return UpstreamFault(
            kind, progress=Progress.NOTHING, reused=False, answer_begun=False, detail=detail, timings=timings
        )

    def _free_slot(self) -> None:
        self._taken -= 1
        self._slots.give_back()

    def _ended(self, connection: Connection) -> None:
        self._free_slot()
        if connection.free:
            self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._open:
            self._all_lost.set()
