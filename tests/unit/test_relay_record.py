"""What is said about a call: its times add up, and its labels come from closed sets."""

from __future__ import annotations

import pytest

from proxy.errors import Outcome
from proxy.relay.record import METHODS, OTHER_METHOD, Record, Resend


def test_a_record_begins_with_the_worst_that_nothing_has_shown_otherwise() -> None:
    record = Record("id-1", "GET", 5.0)
    assert (record.outcome, record.status, record.attempts, record.operation) == (Outcome.REJECTED, 0, 0, "other")
    assert (record.code, record.resends, record.mesh_attempt) == ("", [], 1)


@pytest.mark.parametrize(
    ("total", "upstream", "caller", "own"),
    [(1.0, 0.25, 0.5, 0.25), (1.0, 0.0, 0.0, 1.0), (1.0, 0.75, 0.75, 0.0)],
)
def test_the_sidecars_own_share_is_what_nobody_else_took(
    total: float, upstream: float, caller: float, own: float
) -> None:
    record = Record("id-1", "GET", 0.0, total_seconds=total, upstream_seconds=upstream, caller_seconds=caller)
    assert record.own_seconds == own


def test_no_record_shares_its_list_of_resends() -> None:
    Record("a", "GET", 0.0).resends.append(Resend.TOKEN)
    assert Record("b", "GET", 0.0).resends == []


def test_methods_are_a_closed_set() -> None:
    assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} == METHODS
    assert OTHER_METHOD not in METHODS
