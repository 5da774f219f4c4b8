"""Which calls may be sent again: every combination, against a table that was written from the design alone."""

from __future__ import annotations

import itertools

import pytest

from proxy.errors import (
    DrainingError,
    NotSentError,
    OverloadedError,
    RelayError,
    UnknownOutcomeError,
    UpstreamDisconnectedError,
    UpstreamMalformedError,
    UpstreamTimeoutError,
    UpstreamTlsError,
    UpstreamUnreachableError,
)
from proxy.relay.record import Resend
from proxy.relay.retry_rules import NOT_SENT, UNKNOWN, after_fault, not_processed
from proxy.upstream.model import FaultKind, Progress, Timings, UpstreamFault

BEFORE = [frozenset(chosen) for size in range(5) for chosen in itertools.combinations(Resend, size)]
BOOL = (False, True)
ALL = [
    (kind, progress, reused, begun, answered, repeatable, held)
    for kind in FaultKind
    for progress in Progress
    for reused, begun, answered, repeatable, held in itertools.product(BOOL, repeat=5)
]


def decided(case: tuple[FaultKind, Progress, bool, bool, bool, bool, bool], before: frozenset[Resend]) -> object:
    kind, progress, reused, begun, answered, repeatable, held = case
    timings = Timings(0.0, reused=reused, response_bytes=7 if answered else 0)
    fault = UpstreamFault(kind, progress=progress, reused=reused, answer_begun=begun, detail="x", timings=timings)
    return after_fault(fault, repeatable=repeatable, held=held, resends=before)


def by_the_design(case: tuple[FaultKind, Progress, bool, bool, bool, bool, bool], before: frozenset[Resend]) -> object:
    """The design's rows, from the last to the first, each in its own words."""
    kind, progress, reused, begun, answered, repeatable, held = case
    ended_without_a_word = kind is FaultKind.DISCONNECTED and not begun and not answered
    # Row two: not one byte reached the socket of a connection that had come about, and there is still all to send.
    unused = progress is Progress.NOTHING and kind is FaultKind.DISCONNECTED and not begun
    if unused and held and Resend.CONNECT not in before:
        return Resend.CONNECT
    # Row four: a read, once, over a connection that had been used before and ended.
    if ended_without_a_word and repeatable and reused and held and Resend.DISCONNECTED not in before:
        return Resend.DISCONNECTED
    # A 401 of the authentication layer proves that the attempt before a resend with a token was not processed.
    may_have_been_processed = Resend.DISCONNECTED in before
    if progress is Progress.NOTHING and not may_have_been_processed:
        own = {
            FaultKind.TLS: UpstreamTlsError,
            FaultKind.POOL: OverloadedError,
            FaultKind.CLOSED: DrainingError,
        }
        return own.get(kind, UpstreamUnreachableError)
    return {FaultKind.TIMEOUT: UpstreamTimeoutError, FaultKind.MALFORMED: UpstreamMalformedError}.get(
        kind, UpstreamDisconnectedError
    )


@pytest.mark.parametrize("before", BEFORE, ids=lambda before: "+".join(sorted(before)) or "first attempt")
def test_every_case_is_decided_as_the_design_says(before: frozenset[Resend]) -> None:
    for case in ALL:
        assert decided(case, before) == by_the_design(case, before), case


def test_what_may_have_been_processed_is_sent_again_only_as_a_read_that_met_a_stale_connection() -> None:
    again = [
        (case, before)
        for case, before in itertools.product(ALL, BEFORE)
        if case[1] is not Progress.NOTHING and isinstance(decided(case, before), Resend)
    ]
    assert again
    for (kind, _, reused, begun, answered, repeatable, held), before in again:
        assert (kind, reused, repeatable, held) == (FaultKind.DISCONNECTED, True, True, True)
        assert (begun, answered, Resend.DISCONNECTED in before) == (False, False, False)


def test_503_is_said_only_when_no_attempt_at_all_can_have_been_processed() -> None:
    for case, before in itertools.product(ALL, BEFORE):
        verdict = decided(case, before)
        if isinstance(verdict, type) and issubclass(verdict, NotSentError):
            assert case[1] is Progress.NOTHING
            assert Resend.DISCONNECTED not in before, "an attempt that was sent, and got no answer"
        elif isinstance(verdict, type):
            assert issubclass(verdict, UnknownOutcomeError)


def test_nothing_is_sent_again_twice_for_the_same_reason() -> None:
    for case, before in itertools.product(ALL, BEFORE):
        assert decided(case, before) not in before


def test_not_processed_are_attempts_without_a_byte_sent_and_those_that_a_401_has_answered() -> None:
    assert [reason for reason in Resend if not_processed([reason])] == [
        Resend.TOKEN,
        Resend.SAME_TOKEN,
        Resend.CONNECT,
    ]
    assert not_processed([])
    assert not not_processed([Resend.DISCONNECTED, Resend.TOKEN])


@pytest.mark.parametrize("table", [NOT_SENT, UNKNOWN])
def test_every_kind_of_fault_has_its_error(table: dict[FaultKind, type[RelayError]]) -> None:
    assert set(table) == set(FaultKind)
