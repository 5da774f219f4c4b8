"""Writes a call with effects into the ledger before its first byte is sent, and its outcome once it is over.

What the ledger says is turned into the caller's answer here, and nowhere else.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from proxy.errors import DuplicateCallError, LedgerUnavailableError, Outcome
from proxy.ledger.entry import End, LedgerError, RepeatedCallError, State

if TYPE_CHECKING:
    from proxy.api.operations import Match
    from proxy.ledger.entry import Earlier, Ticket
    from proxy.ledger.ledger import Duplicates, Ledger
    from proxy.relay.record import Record

DUPLICATE_OF: Final = b"Localpayment-Proxy-Duplicate-Of"
_ANSWERED: Final = frozenset((Outcome.ANSWERED, Outcome.ABORTED, Outcome.ORPHANED))
_UNWRITABLE: Final = "The outcome ledger cannot be written, so nothing was sent. The sidecar's log has the reason."
_REPEATED: Final = (
    "The same operation with the same external id was sent before and may have been carried out. Look at what became "
    "of that call before you use another id."
)
_OTHER_BODY: Final = (
    "The same operation with the same external id was sent before, with another body, and may have been carried out: "
    "one id was used for two payments. Find out why before you send either again."
)


class Intent:
    """One call's entry in the ledger.

    Attributes:
        waited: done once `allow` can judge; never if `end` was told first.
        ended: whether `end` was told.
    """

    __slots__ = ("_allowed", "_ledger", "_ticket", "ended", "waited")

    def __init__(self, ledger: Ledger, ticket: Ticket, waited: asyncio.Future[None]) -> None:
        self._ledger = ledger
        self._ticket = ticket
        self._allowed = False
        self.waited = waited
        self.ended = False

    def allow(self) -> None:
        """Let the call be sent; does nothing the second time.

        Raises:
            LedgerUnavailableError: its intent could not be written, and the call must not be sent without.
            DuplicateCallError: it repeats an earlier one, and must not be sent.
        """
        if self._allowed:
            return
        try:
            self._ledger.allow(self._ticket, self.waited)
        except LedgerError as error:
            raise LedgerUnavailableError(_UNWRITABLE, retry_after=1) from error
        except RepeatedCallError as error:
            raise _duplicate(error.earlier) from error
        self._allowed = True

    async def wait(self) -> None:
        """Wait until the call may be sent; raises as `allow` does."""
        await asyncio.wait((self.waited,))  # which leaves it alone when the caller goes away
        self.allow()

    @property
    def duplicate_of(self) -> bytes:
        """The answer's field line that tells which call this one repeats; empty when it repeats none."""
        earlier = self._ticket.earlier
        return b"" if earlier is None else b"%b: %b\r\n" % (DUPLICATE_OF, earlier.request_id.encode("ascii"))

    def end(self, record: Record, at: float) -> None:
        """Note how the call ended, sent or not; never waits."""
        self.ended = True
        status = record.status if record.outcome in _ANSWERED else 0
        self._ledger.end(self._ticket, End(at, State(record.outcome.value), status, record.attempts))


class Intents:
    """The ledger as calls see it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def begin(self, record: Record, match: Match, body: bytes | None, duplicates: Duplicates | None) -> Intent:
        """Begin to make durable that a call is about to be sent.

        Args:
            record: of the call.
            match: what it means.
            body: the whole of it if it is held.
            duplicates: what becomes of a repeat; None for what the settings say.
        """
        return Intent(self._ledger, *self._ledger.begin(record.request_id, record.caller, match, body, duplicates))


def _duplicate(earlier: Earlier) -> DuplicateCallError:
    outcome = earlier.state.value if earlier.settled is None else earlier.settled.value
    error = DuplicateCallError(_OTHER_BODY if earlier.same_body is False else _REPEATED)
    error.more = {
        "duplicate_of": earlier.request_id,
        "duplicate_at": datetime.fromtimestamp(earlier.at, UTC).isoformat(timespec="seconds"),
        "duplicate_outcome": outcome,
        "duplicate_same_body": earlier.same_body,
    }
    return error
