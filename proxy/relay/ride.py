"""What becomes of a call that went out express? An ordinary answer is passed on at once; anything else is handed over.

A call is sent once, here. It never lets a caller wait for what has come, nor passes on an answer that may be cut.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.errors import Outcome
from proxy.relay.response_head import answer_head
from proxy.relay.token_echo import LOOKED_AT
from proxy.upstream.model import FaultKind, Timings
from proxy.upstream.request import answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.api.operations import Match
    from proxy.relay.parts import RelayParts
    from proxy.relay.record import Record
    from proxy.relay.request.plain_request import PlainRequest
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.response import Written
    from proxy.tokens.model import AccessToken
    from proxy.upstream.answer import Answer
    from proxy.upstream.connection import Connection
    from proxy.upstream.exchange import Exchange


class Ride:
    """One call on the express way.

    Attributes:
        connection: the caller's.
        request: as it was read.
        match: what it means.
        record: what will be said of it.
        token: that it carries.
    """

    __slots__ = (
        "_exchange",
        "_go_on",
        "_means",
        "_task",
        "_upstream",
        "connection",
        "match",
        "record",
        "request",
        "token",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - what a call is, once every question was answered
        self,
        *,
        means: RelayParts,
        go_on: Callable[[Ride], Awaitable[Written]],
        connection: CallerConnection,
        request: PlainRequest,
        match: Match,
        record: Record,
        token: AccessToken,
    ) -> None:
        self._means = means
        self._go_on = go_on
        self._task: asyncio.Task[None] | None = None
        self._upstream: Connection
        self._exchange: Exchange
        self.connection = connection
        self.request = request
        self.match = match
        self.record = record
        self.token = token

    def begin(self, upstream: Connection, data: bytes) -> None:
        """Send the call."""
        self._upstream = upstream
        self._exchange = exchange = upstream.begin(self.request.method.encode("ascii"), Timings(self.record.started))
        exchange.watcher = self._changed
        try:
            upstream.write(exchange, data, last=True)
        except Exception as error:  # noqa: BLE001 - a defect must not leave the caller without an answer
            self._means.failed(error)
            upstream.fail(exchange, FaultKind.DISCONNECTED, "the call could not be written whole")

    def caller_left(self) -> None:
        """Let `handler` decide what becomes of a call that nobody waits for."""
        self._hand_over()

    async def end(self, seconds: float | None) -> None:
        """Let it end by itself for so many seconds, then cut it."""
        task = self._hand_over()
        await asyncio.wait((task,), timeout=seconds)
        task.cancel()
        await asyncio.wait((task,))

    async def answer(self) -> Answer:
        """Return the answer, or raise what stopped it, as the pool does."""
        return await answered(self._upstream, self._exchange)

    def _changed(self) -> None:
        last = self.request.last or self.connection.shedding
        try:
            answer = self._ordinary_answer(last=last)
        except Exception as error:  # noqa: BLE001 - a defect must not leave the caller without an answer
            self._means.failed(error)
            answer = None
        transport = self.connection.transport
        if answer is None or transport is None or transport.is_closing() or self.connection.unsent:
            self._hand_over()
            return
        transport.write(answer)
        if transport.is_closing():  # the write found nobody there
            self._hand_over()
        else:
            self._arrived(last=last)

    def _ordinary_answer(self, *, last: bool) -> bytes | None:
        """Return what the caller gets; None if that is not here yet, or not ordinary."""
        exchange = self._exchange
        head = exchange.parser.head
        if head is None or exchange.fault is not None or not exchange.over:
            return None
        secret = self.token.header.partition(b" ")[2]
        composed = answer_head(head, self.record.request_id, secret=secret, last=last)
        if composed is None:
            return None
        answer = composed + exchange.pieces[0] if exchange.pieces else composed
        whole = len(exchange.pieces) <= 1 and len(answer) <= LOOKED_AT
        return None if not whole or secret in answer else answer

    def _arrived(self, *, last: bool) -> None:
        means, record, exchange = self._means, self.record, self._exchange
        exchange.watcher = None  # which holds this ride, so that only the collector would free the two
        record.status = 0 if exchange.parser.head is None else exchange.parser.head.status
        record.outcome = Outcome.ANSWERED
        record.upstream_seconds = exchange.timings.total_seconds or 0.0
        record.response_bytes = len(exchange.pieces[0]) if exchange.pieces else 0
        record.total_seconds = means.now() - record.started
        means.gate.leave(effects=self.match.operation.has_effects)
        if means.sender.refusals.doubts:
            means.sender.succeeded(self.match, self.request.target, self.token, record, record.status)
        try:
            means.observe(record)
        finally:  # whatever looks on: from here on this call is over, and gives no place back again
            self.connection.arrived(last=last)

    def _hand_over(self) -> asyncio.Task[None]:
        if self._task is None:
            self._exchange.watcher = None
            self._task = asyncio.get_running_loop().create_task(self._finish())
        return self._task

    async def _finish(self) -> None:
        last = True
        try:
            last = not (await self._go_on(self)).keep_alive
        finally:
            self.connection.arrived(last=last)
