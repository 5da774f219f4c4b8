"""What does the relay carry calls with? Everything that is shared by all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.api.external_id import external_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.api.operations import Match
    from proxy.config import Settings
    from proxy.policy.authorizer import Authorizer
    from proxy.relay.attempts import Attempts
    from proxy.relay.concurrency import ConcurrencyLimit
    from proxy.relay.record import Record
    from proxy.relay.request.request_line import WrongProtocol


@dataclass(frozen=True, slots=True)
class RelayParts:
    """What a relay is made of.

    Attributes:
        settings: limits and waits.
        sender: the way to Localpayment.
        gate: places for calls in flight.
        authority: who may call what; `authority.enforce` puts another policy in force.
        now: seconds on a clock that only moves forward.
        wall: seconds since the Unix epoch.
        bits: gives a number of so many random bits.
        observe: told of every request once it is over; must not raise or block.
        failed: told of an exception that is a defect of ours.
        wrong_protocol: told of a caller that speaks another protocol; must not raise or block.
        fingerprint: makes the merchant's id of a payment unreadable, for the record; None leaves it out.
        traced: whether calls become spans of traces.
    """

    settings: Settings
    sender: Attempts
    gate: ConcurrencyLimit
    authority: Authorizer
    now: Callable[[], float]
    wall: Callable[[], float]
    bits: Callable[[int], int]
    observe: Callable[[Record], None]
    failed: Callable[[BaseException], None]
    wrong_protocol: Callable[[WrongProtocol], None]
    fingerprint: Callable[[str], str] | None = None
    traced: bool = False

    def subject(self, match: Match, body: bytes | None) -> str:
        """Return the keyed hash of what a call with effects is about; empty when nobody asked, or nothing is known."""
        if self.fingerprint is None or not match.operation.has_effects:
            return ""
        found = external_id(match, body)
        return "" if found is None else self.fingerprint(found)
