"""Holds one call: what was asked, how far it has got, and what becomes of it when its caller goes away.

A read is cancelled with its caller; a call with effects is finished once its first byte was sent, and its outcome
recorded. Before that byte, nothing is begun for a caller that has left; from it on, the call is never begun anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from proxy.errors import RelayError
from proxy.process.memory import Holding
from proxy.relay.server.body import CallerGoneError
from proxy.relay.server.response import ResponseWriter

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

    from proxy.api.operations import Match
    from proxy.policy.rules import Decision
    from proxy.relay.intents import Intent
    from proxy.relay.parts import RelayParts
    from proxy.relay.record import Record
    from proxy.relay.request.framing import Framing
    from proxy.relay.request.plain_request import PlainRequest
    from proxy.relay.server.body import CallerBody
    from proxy.relay.server.connection import CallerConnection
    from proxy.tokens.model import AccessToken
    from proxy.upstream.connection import Connection
    from proxy.upstream.exchange import Exchange
    from proxy.upstream.model import Body, Timings


class Carrier(Protocol):
    """What a call asks of the relay that began it.

    Attributes:
        shedding: whether each answer is its connection's last.
    """

    shedding: bool

    async def carry(self, call: Call) -> None:
        """See a call to its end that has to wait."""
        ...

    def body_came(self, call: Call) -> None:
        """Go on with a call that waited for nothing but its body."""
        ...

    def end(self, call: Call, failure: BaseException) -> None:
        """End a call."""
        ...

    def succeeded(self, call: Call) -> None:
        """Note a call whose answer was passed on at once, while there are doubts about tokens."""
        ...


class Call:
    """One call.

    Args:
        parts: what all calls share.
        connection: the caller's.
        request: as it was read.
        record: what will be said of it.
        source: the body as it comes; None when all of it came with the head.
        carrier: the relay that began it.

    Attributes:
        target: in origin-form.
        lines: the fields that cross, each with its end.
        match: what the target means, once it was read.
        decision: the policy's, once it was asked.
        body: the caller's, when it has to be waited for, or may not be held.
        content: what of the body is held, or streams, once it was taken.
        token: ours, which the last attempt carried; None before the first, and when the caller's own went.
        own_authorization: the caller's own credential, which goes in place of ours; None for ours.
        effects: whether it may change something at Localpayment; so it is as long as nothing is known of it.
        repeatable: whether Localpayment may see the call twice: a GET or HEAD of a read operation.
        framing: how the body comes, when it has to be waited for.
        charged: bytes of a body that came whole with the head, if it is large.
        intent: its entry in the ledger, once that was begun; None without a ledger.
        placed: whether it holds a place among the calls in flight.
        party: with whom it shares the places.
        gone: whether the caller's connection has ended.
        sent: whether a byte of the call may have been sent, in any attempt.
        upstream, exchange: of an attempt that was written at once; None without one.
        task: carries it; None as long as nothing has to be waited for.
        made_writer: `writer`, once it was asked for.
        waited_before: seconds that its body was waited for before the attempt under way.
    """

    __slots__ = (
        "_owed", "_task_begun", "body", "carrier", "charged", "connection", "content", "decision", "effects",
        "exchange", "framing", "gone", "intent", "lines", "made_writer", "match", "own_authorization", "parts",
        "party", "placed", "record", "repeatable", "request", "sent", "source", "target", "task", "token", "upstream",
        "waited_before",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 - what a call is made of, each named once
        self,
        parts: RelayParts,
        connection: CallerConnection,
        request: PlainRequest,
        record: Record,
        source: StreamReader | None,
        carrier: Carrier,
    ) -> None:
        self.parts = parts
        self.connection = connection
        self.request = request
        self.record = record
        self.source = source
        self.carrier = carrier
        self.target: bytes
        self.lines: bytes
        self.match: Match | None = None
        self.decision: Decision
        self.body: CallerBody | None = None
        self.content: Body = request.body
        self.token: AccessToken | None = None
        self.own_authorization: bytes | None = None
        self.effects = True
        self.repeatable: bool
        self.framing: Framing
        self.intent: Intent | None = None
        self.placed = False
        self.charged = 0
        self.party = connection.party
        self.gone = False
        self.sent = False
        self.upstream: Connection
        self.exchange: Exchange | None = None
        self.task: asyncio.Task[None] | None = None
        self._task_begun: bool
        self.made_writer: ResponseWriter | None = None
        if source is not None:
            self._owed = request.owed
            self.waited_before = 0.0

    @property
    def writer(self) -> ResponseWriter:
        """Writes the answer."""
        if self.made_writer is None:
            stall, now = self.parts.settings.idle_timeout, self.parts.now
            self.made_writer = ResponseWriter(self.connection, self.request, self.source, stall=stall, now=now)
        return self.made_writer

    @property
    def coming(self) -> bool:
        """Whether its body is still coming, and nothing of it was sent."""
        return not (self.placed or self.sent) and self.source is not None and not self.source.is_eof()

    # What the caller's connection tells

    def feed(self, data: bytes) -> bytes:
        """Take what of these bytes belongs to the body; return the rest."""
        if self.source is None or not self._owed:
            return data
        piece, rest = data[: self._owed], data[self._owed :]
        self._owed -= len(piece)
        self.source.feed_data(piece)
        if not self._owed:
            self.source.feed_eof()
        return rest

    def fed(self) -> None:
        """Go on if the body is here whole and nothing but it was waited for."""
        if self.task is not None or self.sent or self.source is None or self.intent is not None:
            return
        if not self._owed:
            self.carrier.body_came(self)
        elif self.body is not None:
            try:
                self.connection.expect_body(self.body.came(self.source.total_bytes - self.body.received))
            except RelayError as error:
                self.carrier.end(self, error)

    def stalled(self) -> None:
        """End a call whose body does not come."""
        if self.task is None and not self.sent and self.body is not None:
            self.carrier.end(self, self.body.stalled())

    def give_up(self, error: RelayError) -> None:
        """Refuse a call of which nothing was sent, since others need what it takes."""
        self.writer.last = True
        if self.task is None:
            self.carrier.end(self, error)
        elif self.source is not None:
            self.source.set_exception(error)

    def caller_left(self) -> None:
        """Note that the caller has left; cancel what would only answer it."""
        self.gone = True
        if self.task is None and not self.sent:
            self.carrier.end(self, CallerGoneError())
        elif self.task is None:
            self.hand_over()  # whose first step comes back here
        elif self._task_begun and not (self.effects and self.sent):
            self.task.cancel()  # one that has not begun looks at `gone` first

    async def end(self, seconds: float | None) -> None:
        """Let it end by itself for so many seconds, then cut it."""
        task = self.hand_over()
        await asyncio.wait((task,), timeout=seconds)
        task.cancel()
        await asyncio.wait((task,))

    # On its way

    def take_place(self) -> None:
        """Take a place among the calls in flight, if it has none; raises OverloadedError or DrainingError."""
        if not self.placed:
            self.parts.concurrency.enter(self.party, effects=self.effects)
            self.placed = True

    def let_go(self) -> None:
        """Hold the body no more: it is answered, and will not be sent again."""
        self.content = None
        if self.charged:
            self.parts.memory.charge(Holding.BODIES, -self.charged)
            self.charged = 0
        if self.body is not None:
            self.body.release()

    def carried_by(self, task: asyncio.Task[None] | None) -> None:
        """Note which task carries it now; None for none."""
        self.task = task
        self._task_begun = True

    def hand_over(self) -> asyncio.Task[None]:
        """Let a task carry it, for something has to be waited for."""
        if self.task is None:
            if self.exchange is not None:
                self.exchange.watcher = None
            self._task_begun = False
            self.task = asyncio.get_running_loop().create_task(self.carrier.carry(self))
        return self.task

    def spent(self, timings: Timings) -> None:
        """Note the time that an attempt took, once it has ended; not that in which it waited for the caller's body."""
        spent = timings.total_seconds or 0.0
        if self.body is not None:
            waited, before = self.body.waited, self.waited_before
            spent, self.waited_before = max(spent - (waited - before), 0.0), waited
        self.record.upstream_seconds += spent
        if self.record.lineage is not None:
            self.record.lineage.over()
