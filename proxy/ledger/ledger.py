"""What the relay asks of the ledger: write that a call with effects is about to be sent, and how it ended.

A call is let through only once its intent is durable, or where the settings say that it may go on without. A call that
was sent is never refused here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import socket
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from proxy.api.external_id import check_path_of, external_id
from proxy.ledger.entry import UNSETTLED, Intent, LedgerError, RepeatedCallError, Summary, Wanted
from proxy.ledger.journal import Journal
from proxy.ledger.reports import CallSettled, Interrupted, Pruned, Repeated, WentOn, Written
from proxy.ledger.settler import Settler
from proxy.ledger.store import PRUNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.api.operations import Match
    from proxy.clock import Clock
    from proxy.ledger.entry import End, Entry, Ticket
    from proxy.ledger.reports import Report
    from proxy.ledger.settler import StatusReads
    from proxy.ledger.store import Store

ROUND: Final = 5.0  # seconds between two looks at what is due
HEARTBEAT: Final = 20.0  # seconds between two renewals of the lease, a third of it
SHOWN: Final = 10  # calls that are kept at hand for the status page
PRUNING: Final = 3600.0  # seconds between two looks for entries that are too old
# Bytes of a body's digest that are kept. So few tell a changed body all but once in 65,536 times, and are too few to
# find out a card number by trying all of them.
_DIGEST: Final = 2


Duplicates = Literal["report", "refuse"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of the ledger; times in seconds."""

    on_failure: Literal["refuse", "continue"]
    timeout: float
    keep: float
    duplicates: Duplicates
    window: float


class Ledger:
    """The ledger of one sidecar; made inside the event loop.

    Args:
        store: opened already, or one that opens itself when it can.
        rules: see there.
        clock: the time.
        reads: the way to Localpayment for status reads.
        report: told of what happens, in the event loop; must not raise or block.
        masked: takes secrets and card numbers out of a request id, which is the caller's own text.

    Attributes:
        instance: this process's name in the ledger, new at each start.
        summary: what is not settled, as it was at the last round.
        fault: why the last commit failed; empty when it went well.
        unsettled: the newest calls whose end was not seen and that are not settled, as they were at the last round.
        settled: of the calls that this process saw unsettled, those settled last, the last first, as they were then.
    """

    def __init__(  # noqa: PLR0913 - what a ledger is made of
        self,
        store: Store,
        rules: Rules,
        *,
        clock: Clock,
        reads: StatusReads,
        report: Callable[[Report], None],
        masked: Callable[[str], str] = str,
    ) -> None:
        self.instance = f"{socket.gethostname()[:64]}-{secrets.token_hex(6)}"
        self.summary = Summary()
        self.fault = ""
        self.unsettled: list[Entry] = []
        self.settled: list[Entry] = []
        self._found: deque[int] = deque(maxlen=SHOWN)  # entries that were settled since the last round
        self._rules = rules
        self._clock = clock
        self._report = report
        self._masked = masked
        self._key = b""
        self._pruning_at = 0.0
        self._never = asyncio.Event()
        self.journal = Journal(store, clock=clock.now, wrote=lambda seconds, fault: self._note(Written(seconds, fault)))
        self.settler = Settler(self.journal, reads, clock.wall, self._asked)

    def begin(
        self, request_id: str, caller: str, match: Match, body: bytes | None, duplicates: Duplicates | None = None
    ) -> tuple[Ticket, asyncio.Future[None]]:
        """Begin to make durable that a call with effects is about to be sent.

        Args:
            request_id: as it is logged.
            caller: name in the policy.
            match: what the call means.
            body: the whole of it if it is held.
            duplicates: what becomes of a repeat; None for what the rules say, and for one that recurs no repeat at all.

        Returns:
            What `end` must be told of, also when the call is not sent, and what is done once `allow` can judge.
        """
        rules = self._rules
        intent = self._intent(request_id, caller, match, body)
        window = 0.0 if duplicates is None and match.operation.recurs else rules.window
        ticket = self.journal.ticket(intent, window=window, refused=(duplicates or rules.duplicates) == "refuse")
        return ticket, self.journal.begin(ticket, rules.timeout)

    def allow(self, ticket: Ticket, waited: asyncio.Future[None]) -> None:
        """Let a call be sent after the wait for its intent; told once for each ticket.

        Raises:
            LedgerError: its intent could not be written, so the call must not be sent.
            RepeatedCallError: it repeats a call that may have been carried out, and repeats are refused.
        """
        intent, fault, earlier = ticket.intent, waited.exception(), ticket.earlier
        if fault is not None:
            if self._rules.on_failure == "refuse":
                raise fault
            ticket.late = True
            self._report(WentOn(intent.request_id, intent.operation))
        elif earlier is not None:
            self._report(
                Repeated(intent.request_id, intent.operation, earlier.request_id, earlier.same_body, ticket.refused)
            )
            if ticket.refused:
                raise RepeatedCallError(earlier)

    def end(self, ticket: Ticket, end: End) -> None:
        """Note how a call ended; never waits."""
        self.journal.end(ticket, end)

    async def prepare(self) -> None:
        """Do before the first call what must come first, if the ledger can be used now."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._rules.timeout):
                await self.renew()

    async def run(self) -> None:
        """Look after the ledger until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._renew_for_ever())
            loops.create_task(self._settle_for_ever())  # apart: Localpayment may let each read wait for a minute
            loops.create_task(self._look_after_for_ever())

    async def renew(self) -> bool:
        """Renew the lease, and find calls whose process has died; return whether that was possible.

        A ledger that could not be written is tried: it is told as mended although no call comes.
        """
        try:
            self._key = self._key or await self.journal.ask(lambda store: store.key())
            for entry in await self.journal.ask(partial(_alive, self.instance, self._clock.wall())):
                self._report(Interrupted(entry))
            if self.fault:
                started = self._clock.now()
                await self.journal.ask(lambda store: store.probe())
                self._note(Written(self._clock.now() - started, ""))
        except Exception as error:  # noqa: BLE001 - the loop's end would be the process's, and cut the calls in flight
            self._failed(error)
            return False
        return True

    async def settle(self) -> None:
        """Make the status reads that are due."""
        try:
            await self.settler.settle_due()
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)

    async def look_after(self) -> None:
        """Remove old entries when that is due, and take stock."""
        try:
            now = self._clock.now()
            if now >= self._pruning_at:
                self._pruning_at = now + PRUNING
                await self._prune()
            await self.take_stock()
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)

    async def take_stock(self) -> None:
        """Read anew what is not settled, and what became of what was not; raises LedgerError."""
        shown = {entry.number for entry in (*self.unsettled, *self.settled)}
        found = set(self._found)
        self.summary, self.unsettled, self.settled = await self.journal.ask(partial(_stock, shown | found))
        self._found = deque((number for number in self._found if number not in found), SHOWN)

    async def _renew_for_ever(self) -> None:
        while True:
            await self._clock.wait(self._never, HEARTBEAT if await self.renew() else ROUND)

    async def _settle_for_ever(self) -> None:
        while True:
            await self.settle()
            await self._clock.wait(self._never, ROUND)

    async def _look_after_for_ever(self) -> None:
        while True:
            await self.look_after()
            await self._clock.wait(self._never, ROUND)

    def close(self, seconds: float) -> bool:
        """Write what waits, for at most so many seconds; return whether all of it was written. Blocks."""
        return self.journal.close(seconds)

    async def _prune(self) -> None:
        before, total, count = self._clock.wall() - self._rules.keep, 0, PRUNED
        while count == PRUNED:
            count = await self.journal.ask(lambda store: store.prune(before))
            total += count
        if total:
            self._report(Pruned(total))

    def _intent(self, request_id: str, caller: str, match: Match, body: bytes | None) -> Intent:
        digest = ""
        if self._key and body is not None:
            digest = hmac.new(self._key, body, hashlib.sha256).digest()[:_DIGEST].hex()
        return Intent(
            request_id=self._masked(request_id),
            at=self._clock.wall(),
            instance=self.instance,
            caller=caller,
            operation=match.operation.name,
            kind=match.operation.kind.value,
            external_id=external_id(match, body) or "",
            digest=digest,
            check=check_path_of(match, body) or "",
        )

    def _asked(self, report: Report) -> None:
        if isinstance(report, CallSettled):
            self._found.append(report.entry.number)
        self._report(report)

    def _failed(self, error: Exception) -> None:
        """Tell what kept the ledger from being looked after; the next round tries again."""
        known = isinstance(error, LedgerError)
        self._note(Written(0.0, str(error) if known else f"the ledger failed: {type(error).__name__}"))

    def _note(self, written: Written) -> None:
        self.fault = written.fault
        self._report(written)


def _alive(instance: str, now: float, store: Store) -> list[Entry]:
    store.alive(instance, now)
    return store.interrupt(instance, now)


def _stock(numbers: set[int], store: Store) -> tuple[Summary, list[Entry], list[Entry]]:
    unsettled = list(store.entries(Wanted(states=UNSETTLED, unsettled=True, most=SHOWN)))
    settled = [entry for entry in store.entries(Wanted(numbers=numbers)) if entry.settled_at is not None]
    settled.sort(key=lambda entry: entry.settled_at or 0.0, reverse=True)
    return store.summary(), unsettled, settled[:SHOWN]
