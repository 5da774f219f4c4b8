"""Decides which calls fail, how and how often.

It only decides; sockets are cut elsewhere.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from enum import StrEnum

# Faults name these two, alone or both at once, beside the catalogue's operations.
TOKEN_OPERATIONS = ("token", "token_refresh")
BOTH_ENDPOINTS = "token_endpoints"
# A test that waits longer waits for nothing.
SECONDS_LIMIT = 3600.0


class Kind(StrEnum):
    """How a call fails."""

    LATENCY = "latency"
    STATUS = "status"
    DROP_BEFORE_READ = "drop_before_read"
    DROP_AFTER_READ = "drop_after_read"
    DROP_MID_ANSWER = "drop_mid_answer"
    GARBAGE = "garbage"
    ANOTHER_PAYMENT = "another_payment"
    HANG = "hang"


EFFECTS = {
    Kind.LATENCY: "executes the call `seconds` late; adds to one other fault of the same call",
    Kind.STATUS: "answers `status`, with Retry-After `retry_after` and text `body` if given, instead of executing",
    Kind.DROP_BEFORE_READ: "cuts the connection with the request's body unread; not executed",
    Kind.DROP_AFTER_READ: "executes the call, then cuts the connection instead of answering",
    Kind.DROP_MID_ANSWER: "executes the call, then cuts the connection half-way through the answer's body",
    Kind.GARBAGE: "executes the call, then answers 200 with half of a JSON text",
    Kind.ANOTHER_PAYMENT: "executes the call, then answers 200 and a completed payment of another external id",
    Kind.HANG: "reads the request, does nothing, never answers; ends when faults are cleared",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule.

    `operation` is a catalogue name, `token`, `token_refresh`, `token_endpoints` for both of these, or `*` for all else.
    """

    kind: Kind
    operation: str = "*"
    times: int | None = 1
    seconds: float = 1.0
    status: int = 503
    retry_after: float | None = None
    body: str | None = None
    number: int = 0

    def __post_init__(self) -> None:
        """Refuse what could never happen."""
        if self.times is not None and self.times < 1:
            message = "times must be at least 1, or null for every call"
        elif not 0 <= self.seconds <= SECONDS_LIMIT:
            message = f"seconds must be between 0 and {SECONDS_LIMIT:g}"
        elif not 200 <= self.status <= 599:  # noqa: PLR2004 - the range of final statuses, RFC 9110 section 15
            message = "status must be between 200 and 599"
        elif self.retry_after is not None and not 0 <= self.retry_after <= SECONDS_LIMIT:
            message = f"retry_after must be between 0 and {SECONDS_LIMIT:g} seconds, or null"
        else:
            return
        raise ValueError(message)

    def concerns(self, operation: str) -> bool:
        """Whether a call of this operation meets this fault."""
        group = BOTH_ENDPOINTS if operation in TOKEN_OPERATIONS else "*"
        return self.operation in {operation, group}

    def as_json(self) -> dict[str, object]:
        """The rule, with only what matters for its kind."""
        shown: dict[str, object] = {"number": self.number, "operation": self.operation, "kind": self.kind.value}
        if self.kind is Kind.LATENCY:
            shown["seconds"] = self.seconds
        if self.kind is Kind.STATUS:
            shown |= {"status": self.status, "retry_after": self.retry_after}
        return {**shown, "times": self.times}


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """What happens to one call: a delay, and perhaps a failure."""

    delay: float = 0.0
    failure: Fault | None = None
    # Taken with the rules: clearing them must end a wait that has not begun yet.
    released: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def kind(self) -> Kind | None:
        """The failure's kind."""
        return self.failure.kind if self.failure else None

    @property
    def label(self) -> str | None:
        """What the log says of it."""
        return self.kind or (Kind.LATENCY if self.delay else None)

    async def pause(self, seconds: float | None) -> None:
        """Wait this long, or without end; clearing the rules ends the wait."""
        try:
            async with asyncio.timeout(seconds):
                await self.released.wait()
        except TimeoutError:
            return


class Faults:
    """The rules in force, oldest first.

    Attributes:
        used_up: set while no rule is in force; a test waits on it to know that its call has met its fault.
    """

    def __init__(self) -> None:
        self.used_up = asyncio.Event()
        self.used_up.set()
        self._rules: list[Fault] = []
        self._numbers = itertools.count(1)
        self._released = asyncio.Event()

    @property
    def rules(self) -> tuple[Fault, ...]:
        """The rules that calls still meet."""
        return tuple(self._rules)

    def add(self, fault: Fault) -> Fault:
        """Put a rule in force; returns it with its number."""
        numbered = replace(fault, number=next(self._numbers))
        self._rules.append(numbered)
        self.used_up.clear()
        return numbered

    def clear(self) -> int:
        """End all rules, and every wait that one of them caused; returns how many rules there were."""
        ended = len(self._rules)
        self._rules.clear()
        self.used_up.set()
        self._released.set()
        self._released = asyncio.Event()
        return ended

    def take(self, operation: str) -> InjectedFault:
        """Use up what the next call of this operation meets: every latency, and the oldest other rule."""
        concerning = [rule for rule in self._rules if rule.concerns(operation)]
        latencies = [rule for rule in concerning if rule.kind is Kind.LATENCY]
        failure = next((rule for rule in concerning if rule.kind is not Kind.LATENCY), None)
        for rule in [*latencies, *([failure] if failure else [])]:
            place = self._rules.index(rule)
            if rule.times is not None:
                self._rules[place : place + 1] = [replace(rule, times=rule.times - 1)] if rule.times > 1 else []
        if not self._rules:
            self.used_up.set()
        return InjectedFault(sum(rule.seconds for rule in latencies), failure, self._released)
