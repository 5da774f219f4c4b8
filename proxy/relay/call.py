"""Where is one request on its way, and what becomes of it when the caller goes away?

A read is cancelled with its caller; a call with effects is finished once its first byte was sent, and its outcome
recorded. Before that byte, nothing is begun for nobody.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.api.status_check import check_path_of
from proxy.errors import Outcome
from proxy.relay.problem import options_head, problem, problem_body, problem_head
from proxy.relay.server.body import CallerGoneError
from proxy.upstream.model import held

if TYPE_CHECKING:
    from proxy.api.operations import Match
    from proxy.errors import RelayError
    from proxy.relay.record import Record
    from proxy.relay.server.body import CallerBody
    from proxy.relay.server.incoming_request import IncomingRequest
    from proxy.relay.server.response import ResponseWriter
    from proxy.tokens.model import AccessToken
    from proxy.upstream.model import Body, Timings

_SAFE: Final = frozenset(("GET", "HEAD"))


class Passage:
    """One request, its record and its reply; made in the task that carries it.

    Args:
        arrival: the request.
        record: what will be said of it.
        reply: its answer.
        read_ids: whether an id in the request's body may stand in the check path of an unknown outcome.

    Attributes:
        match: what the target means, once it was read.
        body: the caller's, once it was accepted.
        content: what of the body is held, or streams, once it was taken.
        token: ours, which the last attempt carried; None before the first, and when the caller's own went.
        own_authorization: the caller's own credential, which goes in place of ours; None for ours.
        gone: whether the caller's connection has ended.
        sent: whether a byte of the call may have been sent, in any attempt.
    """

    __slots__ = (
        "_before",
        "_read_ids",
        "_task",
        "arrival",
        "body",
        "content",
        "gone",
        "match",
        "own_authorization",
        "record",
        "reply",
        "sent",
        "token",
    )

    def __init__(
        self, arrival: IncomingRequest, record: Record, reply: ResponseWriter, *, read_ids: bool = False
    ) -> None:
        self.arrival = arrival
        self.record = record
        self.reply = reply
        self.match: Match | None = None
        self.body: CallerBody | None = None
        self.content: Body = None
        self.own_authorization: bytes | None = None
        self.token: AccessToken | None = None
        self.gone = False
        self.sent = False
        self._read_ids = read_ids
        self._before = 0.0
        self._task = asyncio.current_task()

    @property
    def effects(self) -> bool:
        """Whether the call may change something at Localpayment; so it is as long as nothing is known of it."""
        return self.match is None or self.match.operation.has_effects

    @property
    def repeatable(self) -> bool:
        """Whether Localpayment may see the call twice: a GET or HEAD of a read operation."""
        return not self.effects and self.arrival.method in _SAFE

    # On its way

    def caller_left(self) -> None:
        """Note that nobody waits any more; cancels what would only be an answer to nobody."""
        self.gone = True
        if self._task is not None and not (self.effects and self.sent):
            self._task.cancel()

    def attempt(self, token: AccessToken | None) -> None:
        """Count an attempt to send with a token of ours, or None of them.

        Raises:
            CallerGoneError: nobody waits, so nothing is begun.
        """
        if self.gone:
            raise CallerGoneError
        self.record.attempts += 1
        self.record.generation = 0 if token is None else token.generation
        self.token = token

    def sending(self) -> None:
        """Note that the first byte of an attempt goes out now.

        Raises:
            CallerGoneError: nobody waits for a call with effects, as the kernel is asked to say: while nothing is read
                from a caller, its end goes unseen.
        """
        if self.effects and self.arrival.connection.gone:
            raise CallerGoneError
        self.sent = True
        self._before = self._waited

    def spent(self, timings: Timings) -> None:
        """Note the time that an attempt took, once it has ended; not that in which it waited for the caller's body."""
        self.record.upstream_seconds += max((timings.total_seconds or 0.0) - (self._waited - self._before), 0.0)
        self._before = self._waited
        if self.record.lineage is not None:
            self.record.lineage.over()

    def timing(self, timings: Timings, now: float) -> bytes:
        """Return what a Server-Timing field tells of the time until an answer began (W3C Server Timing section 2)."""
        provider = self.record.upstream_seconds + (timings.first_byte_seconds or 0.0) - (self._waited - self._before)
        own = now - self.record.started - provider - self._waited
        return b"own;dur=%.1f, localpayment;dur=%.1f" % (max(own, 0.0) * 1000, max(provider, 0.0) * 1000)

    def answered(self, status: int) -> None:
        """Note that Localpayment has answered."""
        self.record.status = status
        self.record.outcome = Outcome.ANSWERED

    # At its end

    def answer_options(self) -> None:
        """Answer an OPTIONS request as its last recipient; nothing is sent."""
        self.record.status = HTTPStatus.NO_CONTENT.value
        date, close = formatdate(usegmt=True), self.reply.settle()
        self.reply.whole(options_head(request_id=self.record.request_id, date=date, close=close), b"")

    def refuse(self, error: RelayError) -> None:
        """Give an answer of our own; when another has begun already, end that visibly."""
        record, reply = self.record, self.reply
        if self.sent and error.outcome is Outcome.REJECTED:
            error.outcome = Outcome.UNKNOWN
        record.code = error.code
        if reply.begun:
            record.outcome = Outcome.ABORTED
            reply.abort()
            return
        record.outcome = error.outcome
        record.status = 0 if self.gone else error.status
        reply.last = reply.last or not self.arrival.http_1_1
        reply.whole(*own_answer(error, record, check=self._check(error), close=reply.settle()))

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
        self.reply.abort()

    def interrupted(self) -> None:
        """Note what became of a call that the end of the sidecar itself cut short."""
        if self.reply.begun:
            self.record.outcome = Outcome.ABORTED
        else:
            self.record.outcome = Outcome.UNKNOWN if self.sent else Outcome.NOT_SENT
            self.record.status = 0
        self.reply.abort()

    def over(self, now: float) -> Record:
        """Complete the record; `now` is the clock's reading."""
        record, body = self.record, self.body
        record.total_seconds = now - record.started
        record.response_bytes = self.reply.sent
        record.caller_seconds = self._waited + self.reply.waited
        if body is not None:
            record.request_bytes = body.received
        return record

    @property
    def _waited(self) -> float:
        return 0.0 if self.body is None else self.body.waited

    def _check(self, error: RelayError) -> str | None:
        if self.match is None or not self.effects or error.outcome is not Outcome.UNKNOWN:
            return None
        return check_path_of(self.match, held(self.content) if self._read_ids else None)


def own_answer(error: RelayError, record: Record, *, check: str | None, close: bool) -> tuple[bytes, bytes]:
    """Return head and body of an answer of our own."""
    body = problem_body(problem(error, operation=record.operation, request_id=record.request_id, check=check))
    date = formatdate(usegmt=True)
    return problem_head(error, request_id=record.request_id, date=date, length=len(body), close=close), body
