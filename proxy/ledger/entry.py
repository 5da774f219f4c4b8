"""The ledger's values: an intent, how its call ended, and what was found out later.

Pure. Nothing here may hold a body, a card, a name or an account; the merchant's external id is the one thing in plain
text, because a status read needs it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection


class LedgerError(Exception):
    """The ledger cannot be read or written; the text says why, and holds nothing of an entry."""


class UnusableLedgerError(LedgerError):
    """The ledger that the settings name cannot be used, and time alone does not mend it."""


class NoLedgerYetError(UnusableLedgerError):
    """There is no ledger, or one of an earlier release; a sidecar makes it when it starts."""


class State(StrEnum):
    """How a call ended, as far as the sidecar saw it: `proxy.errors.Outcome`, and two states of the ledger's own."""

    OPEN = "open"  # its intent is durable, and its end was not written yet
    INTERRUPTED = "interrupted"  # the process that carried it died first
    ANSWERED = "answered"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    ABORTED = "aborted"
    ORPHANED = "orphaned"


class Settled(StrEnum):
    """What became of a call whose end was not seen."""

    EXECUTED = "executed"
    NOT_FOUND = "not_found"  # the last of all asks found nothing; an earlier "nothing" is no answer
    NOT_EXECUTED = "not_executed"  # a person said so
    UNDETERMINED = "undetermined"  # there is nothing to ask, or no ask got an answer


# States whose truth a status read can still tell. An aborted answer began, so that its status was seen.
UNSETTLED: Final = frozenset((State.INTERRUPTED, State.UNKNOWN, State.ORPHANED))
_NOTHING_DONE: Final = frozenset((State.REJECTED, State.NOT_SENT))
_ANSWERED: Final = frozenset((State.ANSWERED, State.ABORTED, State.ORPHANED))  # the answer's status was seen
_REFUSED: Final = range(400, 500)  # RFC 9110 section 15.5


@dataclass(frozen=True, slots=True)
class Intent:
    """A call with effects that is about to be sent.

    Attributes:
        request_id: the call's X-Request-Id; callers may use one twice.
        at: seconds since the Unix epoch.
        instance: of the sidecar.
        caller: its name in the policy.
        operation, kind: as the catalogue names them.
        external_id: the merchant's id; empty when the call has none that could be read.
        digest: a few bits of a keyed digest of the body, in hex; empty for a body that was streamed.
        check: path of the read that tells what became of the call; empty when none is known.
    """

    request_id: str
    at: float
    instance: str
    caller: str
    operation: str
    kind: str
    external_id: str = field(default="", repr=False)
    digest: str = ""
    check: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class End:
    """How a call ended: what the sidecar's log says of it.

    Attributes:
        at: seconds since the Unix epoch.
        state: never OPEN.
        status: of Localpayment's answer, 0 without one.
        attempts: how often the call was given to the upstream pool.
    """

    at: float
    state: State
    status: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger.

    Attributes:
        number: its key; rises with time within one ledger.
        intent: as it was written before the call.
        state, ended_at, status, attempts: of its `End`; ended_at is None while it is open.
        asks: how many status reads were made.
        next_ask: when the next one is due, seconds since the Unix epoch; None when none is.
        settled: what was found out, None as long as nothing was.
        detail: the business status behind `executed`, or the note of the person who resolved it.
        settled_at: seconds since the Unix epoch, None before.
    """

    number: int
    intent: Intent
    state: State
    ended_at: float | None
    status: int
    attempts: int
    asks: int
    next_ask: float | None
    settled: Settled | None
    detail: str
    settled_at: float | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """The earlier call that a call repeats.

    Attributes:
        request_id, at, state, status, settled: of its entry.
        same_body: whether both bodies have the same digest; None when one has none.
    """

    request_id: str
    at: float
    state: State
    status: int
    settled: Settled | None
    same_body: bool | None


class RepeatedCallError(Exception):
    """A call repeats an earlier one that may have been carried out; it must not be sent."""

    def __init__(self, earlier: Earlier) -> None:
        super().__init__("the call repeats an earlier one")
        self.earlier = earlier


@dataclass(eq=False, slots=True)
class Ticket:
    """One call on its way into the ledger.

    Attributes:
        serial: with the intent's instance, tells its entry from every other.
        intent: to be written before the call is sent.
        window: seconds in which a call with the same operation and external id makes this one a repeat.
        refused: whether a repeat is to be left out, since its call will not be sent.
        late: whether the call goes on although its intent may not have been written; it is written with its end.
        earlier: the call that it repeats, once that was looked up.
        end: how the call ended, once it has.
    """

    serial: int
    intent: Intent
    window: float
    refused: bool
    late: bool = False
    earlier: Earlier | None = None
    end: End | None = None

    @property
    def call(self) -> tuple[str, str]:
        """What makes it a repeat of another: operation and external id."""
        return self.intent.operation, self.intent.external_id


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; each condition that is given must hold.

    `name` is the entry's number, its request id or its external id; `numbers` names some entries, none when it is
    empty; `unsettled` asks for calls whose fate is not known.
    """

    numbers: Collection[int] | None = None
    name: str | None = None
    external_id: str | None = None
    since: float | None = None
    operation: str | None = None
    states: frozenset[State] = frozenset()
    unsettled: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a ledger holds.

    Attributes:
        open: how many calls are not settled, by operation.
        oldest: when the oldest of them began, seconds since the Unix epoch; None when there is none.
        size: bytes that the ledger takes.
    """

    open: Counter[str] = field(default_factory=Counter)
    oldest: float | None = None
    size: int = 0


def may_have_been_done(state: State, status: int, settled: Settled | None) -> bool:
    """Tell whether a call may have been carried out, so that the same call again is a repeat.

    An answer of 5xx counts: whether the origin failed before or after its work is unknown. One of 4xx is a refusal.
    """
    match settled:
        case Settled.EXECUTED:
            return True
        case Settled.NOT_FOUND | Settled.NOT_EXECUTED:
            return False
        case Settled.UNDETERMINED | None:
            refused = state in _ANSWERED and status in _REFUSED
            return state not in _NOTHING_DONE and not refused
