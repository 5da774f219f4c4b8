"""The last calls and the last fifteen minutes, as the status shows them: bounded, and naming no one."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import Outcome
from proxy.ops.admin.history import CALLS, SLICE, SLICES, History, Slice, is_error, is_unsettled
from proxy.ops.diagnosis import Failure
from proxy.relay.record import Record
from proxy.tokens.events import TokenFetched
from proxy.tokens.issuer import FetchResult
from proxy.tokens.model import Grant

NOW = 1_764_000_000.0


def record(**changes: Any) -> Record:
    facts: dict[str, Any] = {"request_id": "r-1", "method": "POST", "started": 0.0, "operation": "create_payout"}
    return Record(**{**facts, "outcome": Outcome.ANSWERED, "status": 201, **changes})


def test_only_the_last_calls_are_kept() -> None:
    history = History()
    for number in range(CALLS + 5):
        history.observe(record(total_seconds=number / 1000), NOW)
    assert [call.milliseconds for call in history.calls] == [float(number) for number in range(5, CALLS + 5)]


def test_what_is_kept_of_a_call_identifies_nobody() -> None:
    history = History()
    history.observe(record(request_id="canary", trace_id="canary", caller="canary", subject="canary"), NOW)
    assert "canary" not in repr(history.calls)


def fetched(result: FetchResult, reason: str = "") -> TokenFetched:
    status = 503 if result is FetchResult.SERVER_ERROR else None
    return TokenFetched(Grant.PASSWORD, result, 0.01, 1, reason, status, None, None, 0.0)


def test_fetches_that_end_alike_are_one_until_one_ends_otherwise() -> None:
    history = History()
    for at, result in enumerate(("unreachable", "server_error", "server_error", "granted", "server_error")):
        reason = "" if result == "granted" else "it failed"
        history.fetched(fetched(FetchResult(result), reason), NOW + at)
    rows = [(fetch.result, fetch.times, fetch.since - NOW, fetch.at - NOW) for fetch in history.fetches]
    assert rows == [
        ("unreachable", 1, 0, 0),
        ("server_error", 2, 1, 2),
        ("granted", 1, 3, 3),
        ("server_error", 1, 4, 4),
    ]


def test_the_last_failure_is_known_until_a_token_is_brought() -> None:
    history = History()
    history.fetched(fetched(FetchResult.SERVER_ERROR, "it failed"), NOW)
    failure = Failure(Grant.PASSWORD, FetchResult.SERVER_ERROR, 503, "it failed")
    assert failure == history.failure
    history.fetched(fetched(FetchResult.GRANTED), NOW)
    assert history.failure is None


def test_fifteen_minutes_are_slices_and_a_silent_time_is_empty_ones() -> None:
    history = History()
    history.observe(record(), NOW - 2 * SLICE)
    history.observe(record(status=500), NOW)
    slices = history.slices(NOW)
    assert len(slices) == SLICES
    assert [(each.calls, each.errors) for each in slices[-3:]] == [(1, 0), (0, 0), (1, 1)]
    assert sum(each.calls for each in history.slices(NOW + SLICE * SLICES)) == 0


def test_a_wall_clock_that_is_set_back_loses_no_call() -> None:
    history = History()
    history.observe(record(), NOW)
    history.observe(record(), NOW - 3600)
    assert history.slices(NOW)[-1].calls == 2


def test_a_percentile_is_the_edge_below_which_so_many_calls_were() -> None:
    history = History()
    for seconds in [0.004] * 50 + [0.3] * 45 + [100.0] * 5:
        history.observe(record(total_seconds=seconds), NOW)
    (current,) = (each for each in history.slices(NOW) if each.calls)
    assert [current.percentile(share) for share in (0.5, 0.95, 0.99)] == [0.005, 0.4, 60.0]
    assert Slice(1).percentile(0.5) is None


@pytest.mark.parametrize(
    ("facts", "unsettled", "error"),
    [
        ({"status": 201}, False, False),
        ({"status": 400}, False, False),
        ({"status": 503}, False, True),
        ({"outcome": Outcome.UNKNOWN, "status": 504, "code": "upstream_timeout"}, True, True),
        ({"outcome": Outcome.ABORTED, "status": 200, "code": "upstream_disconnected"}, True, True),
        ({"outcome": Outcome.ORPHANED, "status": 201}, False, False),
        ({"outcome": Outcome.NOT_SENT, "status": 503, "code": "token_unavailable"}, False, True),
        ({"outcome": Outcome.NOT_SENT, "status": 0}, False, False),
        ({"outcome": Outcome.REJECTED, "status": 403, "code": "operation_forbidden"}, False, False),
        (
            {"outcome": Outcome.UNKNOWN, "status": 502, "code": "upstream_disconnected", "operation": "get_balance"},
            False,
            True,
        ),
    ],
)
def test_what_counts_against_the_service(facts: dict[str, Any], unsettled: bool, error: bool) -> None:  # noqa: FBT001 - a row
    assert is_unsettled(record(**facts)) is unsettled
    assert is_error(record(**facts)) is error


def test_unsettled_calls_outlast_the_calls_after_them() -> None:
    history = History()
    history.observe(record(outcome=Outcome.UNKNOWN, status=504), NOW)
    for _ in range(CALLS):
        history.observe(record(), NOW)
    assert [call.status for call in history.unsettled] == [504]
    assert history.unsettled_total == 1
