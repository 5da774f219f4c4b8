"""Holds what all calls of one relay share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.config import Settings
    from proxy.policy.authorizer import Authorizer
    from proxy.process.memory import MemoryBudget
    from proxy.relay.auth_refusal import Refusals
    from proxy.relay.concurrency import ConcurrencyLimit
    from proxy.relay.intents import Intents
    from proxy.relay.record import Record
    from proxy.relay.request.request_line import WrongProtocol
    from proxy.relay.response.head import ResponseHeads


@dataclass(slots=True)
class RelayParts:
    """What all calls of one relay share.

    Attributes:
        settings: limits and waits.
        refusals: what paths have refused lately.
        concurrency: places for calls in flight.
        memory: counts what is held for callers.
        heads: composes the heads of answers.
        authorizer: who may call what; `authorizer.enforce` puts another policy in force.
        now: seconds on a clock that only moves forward.
        wall: seconds since the Unix epoch.
        bits: gives a number of so many random bits.
        observe: told of every request once it is over; must not raise or block.
        failed: told of an exception that is a defect of ours.
        wrong_protocol: told of a caller that speaks another protocol; must not raise or block.
        fingerprint: makes the merchant's id of a payment unreadable, for the record; None leaves it out.
        intents: writes down calls with effects before they are sent; None without a ledger.
        traced: whether calls become spans of traces.
    """

    settings: Settings
    refusals: Refusals
    concurrency: ConcurrencyLimit
    memory: MemoryBudget
    heads: ResponseHeads
    authorizer: Authorizer
    now: Callable[[], float]
    wall: Callable[[], float]
    bits: Callable[[int], int]
    observe: Callable[[Record], None]
    failed: Callable[[BaseException], None]
    wrong_protocol: Callable[[WrongProtocol], None]
    fingerprint: Callable[[str], str] | None = None
    intents: Intents | None = None
    traced: bool = False
