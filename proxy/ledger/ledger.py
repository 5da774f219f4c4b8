"""What the relay asks of the ledger: write that a call with effects is about to be sent, and how it ended.

A call is let through only once its intent is durable, or where the settings say that it may go on without. A call that
was sent is never refused here.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from proxy.api.external_id import check_path_of, external_id
from proxy.ledger.entry import Intent
from proxy.ledger.journal import Journal
from proxy.ledger.reports import Interrupted, Pruned, Repeated, WentOn, Written
from proxy.ledger.settler import Settler
from proxy.ledger.store import PRUNED, LedgerError, Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.api.operations import Match
    from proxy.clock import Clock
    from proxy.ledger.entry import Earlier, End, Entry
    from proxy.ledger.reports import Report
    from proxy.ledger.settler import StatusReads
    from proxy.ledger.store import Store, Ticket

ROUND: Final = 5.0  # seconds between two looks at what is due
HEARTBEAT: Final = 20.0  # seconds between two renewals of the lease, a third of it
PRUNING: Final = 3600.0  # seconds between two looks for entries that are too old
# Bytes of a body's digest that are kept. So few tell a changed body all but once in 65,536 times, and are too few to
# find out a card number by trying all of them.
_DIGEST: Final = 2


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of the ledger; times in seconds."""

    on_failure: Literal["refuse", "continue"]
    timeout: float
    keep: float
    duplicates: Literal["report", "refuse"]
    window: float


class RepeatedCallError(Exception):
    """A call repeats an earlier one that may have been carried out; it must not be sent."""

    def __init__(self, earlier: Earlier) -> None:
        super().__init__("the call repeats an earlier one")
        self.earlier = earlier


class Ledger:
    """The ledger of one sidecar; made inside the event loop.

    Args:
        store: opened already, or one that opens itself when it can.
        rules: see there.
        clock: the time.
        reads: the way to Localpayment for status reads.
        report: told of what happens, in the event loop; must not raise or block.

    Attributes:
        instance: this process's name in the ledger, new at each start.
        summary: what is not settled, as it was at the last round.
        fault: why the last commit failed; empty when it went well.
    """

    def __init__(
        self, store: Store, rules: Rules, *, clock: Clock, reads: StatusReads, report: Callable[[Report], None]
    ) -> None:
        self.instance = f"{socket.gethostname()[:64]}-{secrets.token_hex(6)}"
        self.summary = Summary()
        self.fault = ""
        self._loop = asyncio.get_running_loop()
        self._rules = rules
        self._clock = clock
        self._report = report
        self._key = b""
        self._heartbeat_at = self._pruning_at = 0.0
        self.journal = Journal(store, now=clock.wall, clock=clock.now, wrote=self._wrote)
        self.settler = Settler(self.journal, reads, clock.wall, report)

    async def begin(self, request_id: str, caller: str, match: Match, body: bytes | None) -> Ticket:
        """Make durable that a call with effects is about to be sent.

        Args:
            request_id: as it is logged.
            caller: name in the policy.
            match: what the call means.
            body: the whole of it if it is held.

        Raises:
            LedgerError: its intent could not be written, so the call must not be sent.
            RepeatedCallError: it repeats a call that may have been carried out, and repeats are refused.
        """
        rules, refused = self._rules, self._rules.duplicates == "refuse"
        intent = self._intent(request_id, caller, match, body)
        ticket = self.journal.ticket(intent, window=rules.window, refused=refused)
        try:
            await self.journal.begin(ticket, rules.timeout)
        except LedgerError:
            if rules.on_failure == "refuse":
                self.journal.give_up(ticket)
                raise
            ticket.late = True
            self._report(WentOn(request_id, intent.operation))
            return ticket
        if ticket.earlier is not None:
            earlier = ticket.earlier
            report = Repeated(request_id, intent.operation, earlier.request_id, earlier.same_body, refused)
            self._report(report)
            if refused:
                raise RepeatedCallError(earlier)
        return ticket

    def end(self, ticket: Ticket, end: End) -> None:
        """Note how a call ended; never waits."""
        self.journal.end(ticket, end)

    async def run(self) -> None:
        """Look after the ledger until cancelled."""
        never = asyncio.Event()
        while True:
            await self.look_after()
            await self._clock.wait(never, ROUND)

    async def look_after(self) -> None:
        """Do once what is due: recovery, lease, removal of old entries, status reads, the summary."""
        try:
            if not self._key:
                self._key = await self.journal.ask(_key)
            now = self._clock.now()
            if now >= self._heartbeat_at:
                self._heartbeat_at = now + HEARTBEAT
                for entry in await self.journal.ask(partial(_alive, self.instance, self._clock.wall())):
                    self._report(Interrupted(entry))
            if now >= self._pruning_at:
                self._pruning_at = now + PRUNING
                await self._prune()
            await self.settler.settle_due()
            self.summary = await self.journal.ask(_summary)
        except LedgerError as error:
            self._note(Written(0.0, str(error)))

    def close(self, seconds: float) -> bool:
        """Write what waits, for at most so many seconds; return whether all of it was written. Blocks."""
        return self.journal.close(seconds)

    async def _prune(self) -> None:
        before, total, count = self._clock.wall() - self._rules.keep, 0, PRUNED
        while count == PRUNED:
            count = await self.journal.ask(partial(_prune, before))
            total += count
        if total:
            self._report(Pruned(total))

    def _intent(self, request_id: str, caller: str, match: Match, body: bytes | None) -> Intent:
        digest = ""
        if self._key and body is not None:
            digest = hmac.new(self._key, body, hashlib.sha256).digest()[:_DIGEST].hex()
        return Intent(
            request_id=request_id,
            at=self._clock.wall(),
            instance=self.instance,
            caller=caller,
            operation=match.operation.name,
            kind=match.operation.kind.value,
            external_id=external_id(match, body) or "",
            digest=digest,
            check=check_path_of(match, body) or "",
        )

    def _wrote(self, seconds: float, fault: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, Written(seconds, fault))

    def _note(self, written: Written) -> None:
        self.fault = written.fault
        self._report(written)


def _key(store: Store) -> bytes:
    return store.key()


def _alive(instance: str, now: float, store: Store) -> list[Entry]:
    store.alive(instance, now)
    return store.interrupt(instance, now)


def _prune(before: float, store: Store) -> int:
    return store.prune(before)


def _summary(store: Store) -> Summary:
    return store.summary()
