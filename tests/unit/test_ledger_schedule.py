"""When an unsettled call is asked about, and what an answer proves."""

from __future__ import annotations

import json

import pytest

from proxy.ledger.entry import Settled, State, may_have_been_done
from proxy.ledger.schedule import ASKS, business_status, next_ask, verdict

ENDED = 1_700_000_000.0


def answer(**members: object) -> bytes:
    return json.dumps({"externalId": "p-1", **members}).encode()


COMPLETED = answer(status={"code": "200", "description": "COMPLETED"})


def test_the_asks_come_after_half_a_minute_two_ten_and_then_within_a_day() -> None:
    due, times = next_ask(ENDED, ENDED), []
    while due is not None:
        times.append(due - ENDED)
        due = next_ask(ENDED, due)
    assert tuple(times) == ASKS
    assert (times[:4], times[-1]) == ([30.0, 120.0, 600.0, 3600.0], 86_400.0)


def test_asks_that_were_missed_are_not_made_up_for() -> None:
    assert next_ask(ENDED, ENDED + 700) == ENDED + 3600
    assert next_ask(ENDED, ENDED + 86_400) is None


def test_what_a_call_creates_proves_by_being_there_that_it_was_carried_out() -> None:
    assert verdict("create_payout", "p-1", 200, COMPLETED, last=False) == (Settled.EXECUTED, "COMPLETED")
    assert verdict("create_payout", "p-1", 200, answer(), last=False) == (Settled.EXECUTED, "")


@pytest.mark.parametrize(("description", "settled"), [("AUTHORIZED", None), ("COMPLETED", Settled.EXECUTED)])
def test_what_a_call_changes_was_there_before_so_that_only_the_new_state_proves_it(
    description: str, settled: Settled | None
) -> None:
    found = verdict("capture_payin", "p-1", 200, answer(status={"description": description}), last=False)
    assert (None if found is None else found[0]) == settled


def test_absent_now_is_not_absent_for_ever() -> None:
    assert verdict("create_payout", "p-1", 404, b"{}", last=False) is None
    assert verdict("create_payout", "p-1", 404, b"{}", last=True) == (Settled.NOT_FOUND, "")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[]"),
        (200, b""),
        (200, b"[" * 100_000),
        (500, COMPLETED),
        (202, COMPLETED),
        (401, b"{}"),
    ],
)
def test_any_other_answer_proves_nothing(status: int, body: bytes) -> None:
    assert verdict("create_payout", "p-1", status, body, last=False) is None
    assert verdict("create_payout", "p-1", status, body, last=True) == (Settled.UNDETERMINED, "")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"detail": "Not found."},
        {"code": "404", "description": "Transaction not found"},
        {"errors": [{"code": "801"}]},
        {"status": {"code": "404", "description": "REJECTED", "detail": "no such transaction"}},
        {"status": {"code": "404", "description": "REJECTED"}, "errors": [{"code": "404"}]},
    ],
)
def test_an_error_that_comes_with_status_200_proves_nothing(body: object) -> None:
    assert verdict("create_payout", "p-1", 200, json.dumps(body).encode(), last=False) is None
    found = verdict("create_payout", "p-1", 200, json.dumps(body).encode(), last=True)
    assert found is not None
    assert found[0] is Settled.UNDETERMINED


def test_a_payment_that_tells_nothing_but_that_it_is_completed_is_there() -> None:
    body = json.dumps({"status": {"code": "200", "description": "COMPLETED"}}).encode()
    assert verdict("create_payout", "p-1", 200, body, last=False) == (Settled.EXECUTED, "COMPLETED")


def test_an_answer_about_another_payment_proves_nothing() -> None:
    assert verdict("create_payout", "p-2", 200, COMPLETED, last=False) is None
    found = verdict("create_payout", "p-2", 200, COMPLETED, last=True)
    assert found is not None
    assert found[0] is Settled.UNDETERMINED


def test_an_answer_that_is_too_long_to_be_looked_at_proves_nothing() -> None:
    assert verdict("create_payout", "p-1", 200, answer(note="x" * 70_000), last=False) is None


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({"description": "IN PROGRESS", "code": "100"}, "IN PROGRESS"),
        ({"code": "100"}, "100"),
        ("COMPLETED", "COMPLETED"),
        ({"description": "Paid to <Ana>"}, ""),
        ({"description": "X" * 65}, ""),
        ({"description": 7}, ""),
        (None, ""),
    ],
)
def test_of_an_answer_only_a_plain_word_is_kept(told: object, word: str) -> None:
    assert business_status({"status": told}) == word


@pytest.mark.parametrize(
    ("state", "status", "settled", "repeat"),
    [
        (State.OPEN, 0, None, True),
        (State.INTERRUPTED, 0, None, True),
        (State.UNKNOWN, 0, None, True),
        (State.ORPHANED, 200, None, True),
        (State.ABORTED, 200, None, True),
        (State.ANSWERED, 201, None, True),
        (State.ANSWERED, 500, None, True),
        (State.ANSWERED, 400, None, False),
        (State.ORPHANED, 400, None, False),
        (State.NOT_SENT, 0, None, False),
        (State.REJECTED, 0, None, False),
        (State.UNKNOWN, 0, Settled.EXECUTED, True),
        (State.UNKNOWN, 0, Settled.UNDETERMINED, True),
        (State.ORPHANED, 200, Settled.UNDETERMINED, True),
        (State.ORPHANED, 400, Settled.UNDETERMINED, False),
        (State.ORPHANED, 400, Settled.EXECUTED, True),
        (State.UNKNOWN, 0, Settled.NOT_FOUND, False),
        (State.ANSWERED, 200, Settled.NOT_EXECUTED, False),
    ],
)
def test_a_call_repeats_an_earlier_one_that_may_have_been_carried_out(
    state: State, status: int, settled: Settled | None, *, repeat: bool
) -> None:
    assert may_have_been_done(state, status, settled) is repeat
