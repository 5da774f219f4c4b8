"""Holds one call: what was asked, how far it has got, and what becomes of it when its caller goes away.

A read is cancelled with its caller; a call with effects is finished once its first byte was sent, and its outcome
recorded. Before that byte, nothing is begun for a caller that has left; from it on, the call is never begun anew. While
it waits for its answer only, no task carries the call: `answer_came` passes it on in the turn in which it is here.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from proxy.api.external_id import check_path_of
from proxy.api.operations import OTHER, Match
from proxy.errors import Outcome
from proxy.http1.framing import Ending
from proxy.process.memory import Holding
from proxy.relay.response.head import CLOSES, KEEPS
from proxy.relay.response.problem import options_head, own_answer
from proxy.relay.response.token_echo import LOOKED_AT
from proxy.relay.server.body import CallerGoneError
from proxy.relay.server.response import ResponseWriter
from proxy.upstream.model import FaultKind, Timings, held
from proxy.upstream.request import answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.streams import StreamReader

    from proxy.errors import RelayError
    from proxy.policy.rules import Decision
    from proxy.relay.intents import Intent, Intents
    from proxy.relay.parts import RelayParts
    from proxy.relay.record import Record
    from proxy.relay.request.framing import Framing
    from proxy.relay.request.plain_request import PlainRequest
    from proxy.relay.server.body import CallerBody
    from proxy.relay.server.connection import CallerConnection
    from proxy.tokens.model import AccessToken
    from proxy.upstream.answer import Answer
    from proxy.upstream.connection import Connection
    from proxy.upstream.exchange import Exchange
    from proxy.upstream.model import Body

SAFE: Final = frozenset(("GET", "HEAD"))
# A 401 or 403 may be about our token, which must be looked into.
_LOOKED_INTO: Final = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))
_WHOLE_AT_ONCE: Final = frozenset((Ending.LENGTH, Ending.HEAD))


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
    """

    __slots__ = (
        "_before", "_carrier", "_exchange", "_owed", "_parts", "_task", "_task_begun", "_upstream", "_writer", "body",
        "charged", "connection", "content", "decision", "effects", "framing",
        "gone", "intent", "lines", "match", "own_authorization", "party", "placed", "record",
        "repeatable", "request", "sent", "source", "target", "token",
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
        self._parts = parts
        self.connection = connection
        self.request = request
        self.record = record
        self.source = source
        self._carrier = carrier
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
        if source is not None:
            self._owed = request.owed
            self._before = 0.0
        self._writer: ResponseWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._task_begun: bool
        self._upstream: Connection
        self._exchange: Exchange | None = None

    @property
    def writer(self) -> ResponseWriter:
        """Writes the answer."""
        if self._writer is None:
            self._writer = ResponseWriter(
                self.connection,
                self.request,
                self.source,
                stall=self._parts.settings.idle_timeout,
                now=self._parts.now,
            )
        return self._writer

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
        if self._task is not None or self.sent or self.source is None or self.intent is not None:
            return
        if self._owed:
            if self.body is not None:
                size = self.source.total_bytes - self.body.received
                self.connection.expect_body(self.body.came(size))
        else:
            self._carrier.body_came(self)

    def stalled(self) -> None:
        """End a call whose body does not come."""
        if self._task is None and not self.sent and self.body is not None:
            self._carrier.end(self, self.body.stalled())

    def give_up(self, error: RelayError) -> None:
        """Refuse a call of which nothing was sent, since others need what it takes."""
        self.writer.last = True
        if self._task is None:
            self._carrier.end(self, error)
        elif self.source is not None:
            self.source.set_exception(error)

    def caller_left(self) -> None:
        """Note that the caller has left; cancel what would only answer it."""
        self.gone = True
        if self._task is None and not self.sent:
            self._carrier.end(self, CallerGoneError())
        elif self._task is None:
            self.hand_over()  # whose first step comes back here
        elif self._task_begun and not (self.effects and self.sent):
            self._task.cancel()  # one that has not begun looks at `gone` first

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
            self._parts.concurrency.enter(self.party, effects=self.effects)
            self.placed = True

    def let_go(self) -> None:
        """Hold the body no more: it is answered, and will not be sent again."""
        self.content = None
        if self.charged:
            self._parts.memory.charge(Holding.BODIES, -self.charged)
            self.charged = 0
        if self.body is not None:
            self.body.release()

    def carried_by(self, task: asyncio.Task[None] | None) -> None:
        """Note which task carries it now; None for none."""
        self._task = task
        self._task_begun = True

    def hand_over(self) -> asyncio.Task[None]:
        """Let a task carry it, for something has to be waited for."""
        if self._task is None:
            if self._exchange is not None:
                self._exchange.watcher = None
            self._task_begun = False
            self._task = asyncio.get_running_loop().create_task(self._carrier.carry(self))
        return self._task

    def intend(self, intents: Intents) -> Intent:
        """Begin to write down that it is about to be sent, unless that was begun."""
        if self.intent is None:
            if self.body is not None:
                self.connection.body_is_here()
            match, duplicates = self.match or Match(OTHER), self._parts.authorizer.policy.duplicates
            self.intent = intents.begin(self.record, match, held(self.content), duplicates.get(match.operation.name))
        return self.intent

    @property
    def carried(self) -> bool:
        """Whether a task carries it."""
        return self._task is not None

    def attempt(self, token: AccessToken | None) -> None:
        """Count an attempt to send with a token of ours, or None of them.

        Raises:
            CallerGoneError: the caller has left, so nothing is begun.
        """
        if self.gone:
            raise CallerGoneError
        self.record.attempts += 1
        self.record.generation = 0 if token is None else token.generation
        self.token = token

    def sending(self) -> None:
        """Note that the first byte of an attempt goes out now.

        Raises:
            CallerGoneError: the caller of a call with effects has left. The kernel is asked: while nothing is read from
                a caller, its end goes unseen.
        """
        if self.effects and self.connection.gone:
            raise CallerGoneError
        self.sent = True
        if self.body is not None:
            self._before = self.body.waited

    def start(self, upstream: Connection, data: bytes) -> None:
        """Send it whole on a warm connection; whatever fails from here on, it is not begun anew."""
        self._upstream = upstream
        if self.body is not None:
            self.connection.body_is_here()
        started = self.record.started if self.body is None else self._parts.now()
        self._exchange = exchange = upstream.begin(self.request.method.encode("ascii"), Timings(started))
        exchange.watcher = self.answer_came
        try:
            upstream.write(exchange, data, last=True)
        except Exception as error:  # noqa: BLE001 - a defect must not leave the caller without an answer
            self._parts.failed(error)
            upstream.fail(exchange, FaultKind.DISCONNECTED, "the call could not be written whole")

    @property
    def begun(self) -> Callable[[], Awaitable[Answer]] | None:
        """What gives the answer to the attempt that `start` made, or raises what stopped it; None without one."""
        exchange = self._exchange
        return None if exchange is None else lambda: answered(self._upstream, exchange)

    def answer_came(self) -> None:
        """Pass the answer on if it is here whole, and nothing has to be waited for or looked into."""
        exchange, last = self._exchange, self.request.last or self._carrier.shedding
        if exchange is None or not exchange.over:
            self.hand_over()
            return
        try:
            answer = self._whole_answer(exchange, last)
        except Exception as error:  # noqa: BLE001 - a defect must not leave the caller without an answer
            self._parts.failed(error)
            answer = None
        transport = self.connection.transport
        if answer is None or transport is None or transport.is_closing() or transport.get_write_buffer_size():
            self.hand_over()
            return
        transport.write(answer)
        if transport.is_closing():  # the write found the caller gone
            self.hand_over()
        else:
            self._passed_on(exchange, last)

    def _whole_answer(self, exchange: Exchange, last: bool) -> bytes | None:  # noqa: FBT001 - called for each call
        """Return what the caller gets; None if that must be waited for, or looked into."""
        head, token, pieces = exchange.parser.head, self.token, exchange.pieces
        if head is None or token is None or exchange.fault is not None:
            return None
        if len(pieces) > 1 or head.status in _LOOKED_INTO or head.framing.ending not in _WHOLE_AT_ONCE:
            return None
        secret, parts = token.header.partition(b" ")[2], self._parts
        heads = parts.heads
        if head not in heads.known and any(secret in value for _, value in head.headers):
            return None
        timing = self.timing(exchange.timings) if parts.settings.server_timing else None
        answer = heads.compose(head, self.record.request_id, timing)
        if self.intent is not None:
            answer += self.intent.duplicate_of
        answer += CLOSES if last else KEEPS
        if pieces:
            answer += pieces[0]
        return None if len(answer) > LOOKED_AT or secret in answer else answer

    def _passed_on(self, exchange: Exchange, last: bool) -> None:  # noqa: FBT001 - as above
        exchange.watcher = None  # which holds this call, so that only the collector would free the two
        record, head = self.record, exchange.parser.head
        record.status, record.outcome = 0 if head is None else head.status, Outcome.ANSWERED
        if self.body is None and record.lineage is None:
            record.upstream_seconds += exchange.timings.total_seconds or 0.0
        else:
            self.spent(exchange.timings)
        if exchange.pieces:
            record.response_bytes = len(exchange.pieces[0])
        if self._parts.refusals.doubts:
            self._carrier.succeeded(self)
        self.finish(last)

    def spent(self, timings: Timings) -> None:
        """Note the time that an attempt took, once it has ended; not that in which it waited for the caller's body."""
        spent = timings.total_seconds or 0.0
        if self.body is not None:
            waited, before = self.body.waited, self._before
            spent, self._before = max(spent - (waited - before), 0.0), waited
        self.record.upstream_seconds += spent
        if self.record.lineage is not None:
            self.record.lineage.over()

    def timing(self, timings: Timings) -> bytes:
        """Return what a Server-Timing field tells of the time until an answer began (W3C Server Timing section 2)."""
        waited = 0.0 if self.body is None else self.body.waited
        meanwhile = 0.0 if self.body is None else waited - self._before
        provider = self.record.upstream_seconds + (timings.first_byte_seconds or 0.0) - meanwhile
        own = self._parts.now() - self.record.started - provider - waited
        return b"own;dur=%.1f, localpayment;dur=%.1f" % (max(own, 0.0) * 1000, max(provider, 0.0) * 1000)

    def answered(self, status: int) -> None:
        """Note that Localpayment has answered."""
        self.record.status = status
        self.record.outcome = Outcome.ANSWERED

    # At its end

    def answer_options(self) -> None:
        """Answer an OPTIONS request as its last recipient; nothing is sent."""
        self.record.status = HTTPStatus.NO_CONTENT.value
        date, close = formatdate(usegmt=True), self.writer.settle()
        self.writer.whole(options_head(request_id=self.record.request_id, date=date, close=close), b"")

    def refuse(self, error: RelayError) -> None:
        """Give an answer of our own; when another has begun already, end that visibly."""
        record, writer = self.record, self.writer
        if self.sent and error.outcome is Outcome.REJECTED:
            error.outcome = Outcome.UNKNOWN
        record.code = error.code
        if writer.begun:
            record.outcome = Outcome.ABORTED
            writer.abort()
            return
        record.outcome = error.outcome
        record.status = 0 if self.gone else error.status
        writer.last = writer.last or not self.request.http_1_1
        head, body = own_answer(error, record, check=self._check(error), close=writer.settle())
        if self.intent is not None:
            head = head.removesuffix(b"\r\n") + self.intent.duplicate_of + b"\r\n"
        writer.whole(head, body)

    def lost(self) -> None:
        """Note what became of a call whose caller went away, or took no more of the answer."""
        record = self.record
        if not self.sent:
            record.outcome, record.status = Outcome.NOT_SENT, 0
        elif not self.effects:
            record.outcome = Outcome.ABORTED
        elif record.outcome is Outcome.ANSWERED:
            record.outcome = Outcome.ORPHANED
        else:
            record.outcome = Outcome.UNKNOWN
        self.writer.abort()

    def interrupted(self) -> None:
        """Note what became of a call that the end of the sidecar itself cut short."""
        if self.writer.begun:
            self.record.outcome = Outcome.ABORTED
        else:
            self.record.outcome = Outcome.UNKNOWN if self.sent else Outcome.NOT_SENT
            self.record.status = 0
        self.writer.abort()

    def finish(self, last: bool, linger: bool = False) -> None:  # noqa: FBT001, FBT002 - called for each call
        """Give the place back, complete the record and tell of it, and let the connection go on.

        Args:
            last: whether the connection ends with this call.
            linger: whether the caller may still be sending, and needs time to read its answer.
        """
        parts, record, body, writer = self._parts, self.record, self.body, self._writer
        record.total_seconds = parts.now() - record.started
        if self.charged:
            self.let_go()
        if body is not None:
            body.release()
            record.request_bytes = body.received
            record.caller_seconds = body.waited
        if writer is not None:
            record.response_bytes = writer.sent
            record.caller_seconds += writer.waited
        if self.intent is not None:
            self.intent.end(record, parts.wall())
        if self.placed:
            self.placed = False
            parts.concurrency.leave(self.party, effects=self.effects)
        try:
            parts.observe(record)
        except Exception as error:  # noqa: BLE001 - who looks on must not fail what it looks on
            parts.failed(error)
        finally:
            self.connection.finish(last, linger)

    def _check(self, error: RelayError) -> str | None:
        if self.match is None or not self.effects or error.outcome is not Outcome.UNKNOWN:
            return None
        return check_path_of(self.match, held(self.content) if self._parts.settings.check_from_body else None)
