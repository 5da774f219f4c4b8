"""The policy in force is swapped without giving anybody used-up calls back."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.api.operations import OPERATIONS
from proxy.errors import OperationForbiddenError, OverloadedError
from proxy.policy.authorizer import OVER_RATE, REPORTED, Authorizer
from proxy.policy.grants import allowed_by
from proxy.policy.identity import Identity, Peer
from proxy.policy.rate_limit import Rate
from proxy.policy.rules import Caller, Mode, Policy, Verdict

OPERATION = {operation.name: operation for operation in OPERATIONS}
READ, PAY = OPERATION["get_balance"], OPERATION["create_payout"]


def policy(rate: Rate | None = None, mode: Mode = Mode.ENFORCE, name: str = "job") -> Policy:
    return Policy([Caller(name, Identity(anyone=True), allowed_by(("read",)), mode=mode, rate=rate)], mode)


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def asked(authority: Authorizer, operation: Any = READ) -> str:
    """Ask for a call of anybody; return what is only reported."""
    return authority.admit(authority.policy.caller(Peer(), ()), operation)[1]


def test_the_policy_in_force_says_who_calls() -> None:
    authority = Authorizer(Clock())
    assert asked(authority, PAY) == ""
    authority.enforce(policy())
    caller = authority.policy.caller(Peer(), ())
    assert caller is not None
    assert caller.name == authority.policy.callers[0].name == "job"


def test_a_refused_call_costs_its_caller_nothing() -> None:
    authority = Authorizer(Clock(), policy(Rate(1.0, 1)))
    for _ in range(3):
        with pytest.raises(OperationForbiddenError):
            asked(authority, PAY)
    assert asked(authority) == ""
    with pytest.raises(OverloadedError):
        asked(authority)


def test_a_report_names_the_verdict_before_the_rate() -> None:
    authority = Authorizer(Clock(), policy(Rate(1.0, 1), Mode.REPORT))
    assert asked(authority, PAY) == Verdict.NOT_ALLOWED
    assert asked(authority, PAY) == Verdict.NOT_ALLOWED
    assert asked(authority) == OVER_RATE
    assert {verdict.value for verdict in Verdict} - {"allowed"} == set(REPORTED) - {OVER_RATE}


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        (policy(Rate(1.0, 2)), True),
        (policy(Rate(1.0, 3)), False),
        (policy(Rate(2.0, 2)), False),
        (policy(Rate(1.0, 2), name="another"), False),
    ],
)
def test_only_an_unchanged_caller_keeps_what_it_has_used(after: Policy, *, kept: bool) -> None:
    clock = Clock()
    authority = Authorizer(clock, policy(Rate(1.0, 2)))
    asked(authority)
    asked(authority)
    clock.at += 0.5
    authority.enforce(after)
    if kept:
        with pytest.raises(OverloadedError):
            asked(authority)
        clock.at += 0.5
    assert asked(authority) == ""


def test_a_caller_that_was_away_for_a_while_starts_anew() -> None:
    authority = Authorizer(Clock(), policy(Rate(1.0, 1)))
    asked(authority)
    authority.enforce(policy())
    assert [asked(authority) for _ in range(3)] == [""] * 3
    authority.enforce(policy(Rate(1.0, 1)))
    assert asked(authority) == ""
