"""Finds out what became of calls whose end was not seen, by asking Localpayment's status reads.

It only reads; it never sends a call with effects. What an answer proves is decided in `schedule`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from proxy.ledger.entry import LedgerError, Settled
from proxy.ledger.reports import CallSettled, ReadResult, StatusRead
from proxy.ledger.schedule import next_ask, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ledger.entry import Entry
    from proxy.ledger.journal import Journal
    from proxy.ledger.reports import Report

AT_ONCE: Final = 20  # entries that are claimed together; they are asked about one after the other
PAUSE: Final = 60.0  # seconds until an ask that could not be made is tried again
AHEAD: Final = 60.0  # seconds that our clock is ahead of Localpayment's from which it is not believed


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to a status read; status 0 when it was sent and got no answer.

    `date` is when it was made, by Localpayment's clock in seconds since the Unix epoch; None when it does not say.
    """

    status: int
    body: bytes
    date: float | None = None


class StatusReads(Protocol):
    """The way to Localpayment for status reads: the relay's own token, limits and connections."""

    @property
    def healthy(self) -> bool:
        """Whether a token is held and Localpayment can be reached, so that asking makes sense."""
        ...

    async def __call__(self, path: str) -> Reading | None:
        """Make the read; None when it could not be sent."""
        ...


class Settler:
    """Asks about the entries that are due.

    Args:
        journal: of the ledger.
        reads: the way to Localpayment.
        wall: seconds since the Unix epoch.
        report: told of each call that was settled.
    """

    def __init__(
        self, journal: Journal, reads: StatusReads, wall: Callable[[], float], report: Callable[[Report], None]
    ) -> None:
        self._journal = journal
        self._reads = reads
        self._wall = wall
        self._report = report

    @property
    def can_ask(self) -> bool:
        """Whether asking makes sense now."""
        return self._reads.healthy

    async def settle_due(self) -> None:
        """Ask about all entries that are due now, unless asking makes no sense; raises LedgerError."""
        while self.can_ask:
            entries = await self._journal.ask(lambda store: store.due(self._wall(), AT_ONCE))
            for entry in entries:
                await self._settle_or_tell(entry)
            if len(entries) < AT_ONCE:
                return

    async def _settle_or_tell(self, entry: Entry) -> None:
        """Settle an entry; a defect that one meets must not end the process, which would meet it at each start."""
        try:
            await self.settle(entry)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            defect = {"message": "a call in the ledger could not be asked about", "exception": error}
            asyncio.get_running_loop().call_exception_handler(defect)
            await self._postpone(entry, self._wall() + PAUSE, asked=False)

    async def settle(self, entry: Entry) -> None:
        """Ask about one entry, and note what the answer proves, or when to ask again; raises LedgerError."""
        intent = entry.intent
        if not intent.check:
            await self._note(entry, Settled.UNDETERMINED, "")
            return
        reading = await self._reads(intent.check)
        now = self._wall()
        self._report(StatusRead(_result(reading)))
        if reading is None:
            await self._postpone(entry, now + PAUSE, asked=False)
            return
        following = _following(intent.at if entry.ended_at is None else entry.ended_at, now, reading.date)
        found = verdict(intent.operation, intent.external_id, reading.status, reading.body, last=following is None)
        if found is not None:
            await self._note(entry, *found)
        elif following is not None:
            await self._postpone(entry, following, asked=True)

    async def _postpone(self, entry: Entry, until: float, *, asked: bool) -> None:
        await self._journal.ask(lambda store: store.postpone(entry.number, until, asked=asked))

    async def _note(self, entry: Entry, settled: Settled, word: str) -> None:
        now = self._wall()
        if await self._journal.ask(lambda store: store.settle(entry.number, settled, word, now)):
            self._report(CallSettled(entry, settled, word))


def _following(ended_at: float, now: float, date: float | None) -> float | None:
    """Return when to ask again; None only if Localpayment's clock, too, says that it is late enough.

    A clock of ours that was set ahead must not settle a payment as not found that may still come.
    """
    following, ahead = next_ask(ended_at, now), 0.0 if date is None else now - date
    if following is None and ahead > AHEAD:
        due = next_ask(ended_at, now - ahead)
        following = None if due is None else due + ahead
    return following


def _result(reading: Reading | None) -> ReadResult:
    if reading is None:
        return ReadResult.NOT_SENT
    return ReadResult.ANSWERED if reading.status else ReadResult.UNANSWERED
