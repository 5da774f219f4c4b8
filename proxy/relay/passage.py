"""Where is one request on its way, and what becomes of it when the caller goes away?

A read is cancelled with its caller; a call with effects that may have been sent is finished, and its outcome recorded.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from proxy.errors import Outcome
from proxy.relay.body import CallerGoneError
from proxy.relay.operations import check_path
from proxy.relay.problem import problem, problem_body, problem_head
from proxy.relay.reply import Reply

if TYPE_CHECKING:
    from proxy.errors import RelayError
    from proxy.relay.arrival import Arrival
    from proxy.relay.body import CallerBody
    from proxy.relay.operations import Match
    from proxy.relay.record import Record
    from proxy.upstream.model import Exchange

_SAFE: Final = frozenset(("GET", "HEAD"))


class Passage:
    """One request, its record and its reply.

    Attributes:
        match: what the target means, once it was read.
        body: the caller's, once it was accepted.
        gone: whether the caller's connection has ended.
    """

    __slots__ = ("_task", "arrival", "body", "gone", "match", "record", "reply")

    def __init__(self, arrival: Arrival, record: Record, stall: float) -> None:
        self.arrival = arrival
        self.record = record
        self.reply = Reply(arrival, stall)
        self.match: Match | None = None
        self.body: CallerBody | None = None
        self.gone = False
        self._task = asyncio.current_task()

    @property
    def effects(self) -> bool:
        """Whether the call may change something at Localpayment; so it is as long as nothing is known of it."""
        return self.match is None or self.match.operation.has_effects

    @property
    def repeatable(self) -> bool:
        """Whether Localpayment may see the call twice: a GET or HEAD of a read operation."""
        return not self.effects and self.arrival.method in _SAFE

    def caller_left(self) -> None:
        """Note that nobody waits any more; cancels what would only be an answer to nobody."""
        self.gone = True
        if self._task is not None and not (self.effects and self.record.attempts):
            self._task.cancel()

    def attempt(self, generation: int) -> None:
        """Count an attempt to send with the token of `generation`.

        Raises:
            CallerGoneError: nobody waits, so nothing is begun.
        """
        if self.gone:
            raise CallerGoneError
        self.record.attempts += 1
        self.record.generation = generation

    def answered(self, status: int) -> None:
        """Note that Localpayment has answered."""
        self.record.status = status
        self.record.outcome = Outcome.ANSWERED

    def refuse(self, error: RelayError) -> None:
        """Give an answer of our own; when one has begun already, end it visibly."""
        record, reply = self.record, self.reply
        if self.body is not None and self.body.handed_on:
            error.outcome = Outcome.UNKNOWN if error.outcome is Outcome.REJECTED else error.outcome
        record.code = error.code
        if reply.begun:
            record.outcome = Outcome.ABORTED
            reply.abort()
            return
        record.outcome, record.status = error.outcome, error.status
        reply.last = reply.last or not self.arrival.content.is_eof()
        reply.whole(*own_answer(error, record, check=self._check(error), close=reply.last))

    def spent(self, exchange: Exchange) -> None:
        """Note the time that an attempt took, once it has ended."""
        self.record.upstream_seconds += exchange.total_seconds or 0.0

    def cut(self, code: str) -> None:
        """End an answer whose rest will not come."""
        self.record.outcome = Outcome.ABORTED
        self.record.code = code
        self.reply.abort()

    def lost(self) -> None:
        """Note what became of a call that nobody waits for, or that our own end cut short."""
        record = self.record
        self.reply.last = True
        if not record.attempts:
            record.outcome = Outcome.NOT_SENT
        elif record.outcome is Outcome.ANSWERED:
            record.outcome = Outcome.ORPHANED if self.effects else Outcome.ABORTED
        else:
            record.outcome = Outcome.UNKNOWN if self.effects else Outcome.ABORTED
        if not self.gone:
            self.reply.abort()

    def _check(self, error: RelayError) -> str | None:
        unsettled = self.match is not None and self.effects and error.outcome is Outcome.UNKNOWN
        return check_path(self.match) if unsettled and self.match is not None else None


def own_answer(error: RelayError, record: Record, *, check: str | None, close: bool) -> tuple[bytes, bytes]:
    """Return head and body of an answer of our own."""
    body = problem_body(problem(error, operation=record.operation, request_id=record.request_id, check=check))
    date = formatdate(usegmt=True)
    return problem_head(error, request_id=record.request_id, date=date, length=len(body), close=close), body
