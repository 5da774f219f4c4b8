"""Which calls meet which faults; and how control commands are read."""

from __future__ import annotations

import asyncio

import pytest

from proxy.simulator.control_fields import fields_in, flag, lifetime, number, one_of, optional, text, whole
from proxy.simulator.faults import Fault, Faults, Kind


def kinds(faults: Faults, operation: str, calls: int) -> list[Kind | None]:
    return [faults.take(operation).kind for _ in range(calls)]


def test_a_fault_meets_as_many_calls_as_it_says_and_no_other_operation() -> None:
    faults = Faults()
    faults.add(Fault(Kind.HANG, "create_payin", times=2))
    assert kinds(faults, "create_payout", 2) == [None, None]
    assert kinds(faults, "create_payin", 3) == [Kind.HANG, Kind.HANG, None]
    assert faults.rules == ()


def test_a_fault_without_end_lasts_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add(Fault(Kind.STATUS, times=None))
    assert kinds(faults, "get_balance", 3) == [Kind.STATUS] * 3
    assert faults.clear() == 1
    assert kinds(faults, "get_balance", 1) == [None]


def test_the_star_spares_the_token_endpoints() -> None:
    faults = Faults()
    faults.add(Fault(Kind.HANG, "*", times=None))
    assert kinds(faults, "token", 1) == kinds(faults, "token_refresh", 1) == [None]
    assert kinds(faults, "other", 1) == [Kind.HANG]


def test_one_fault_takes_both_token_endpoints_down_and_nothing_else() -> None:
    faults = Faults()
    faults.add(Fault(Kind.STATUS, "token_endpoints", times=None))
    assert kinds(faults, "token", 1) == kinds(faults, "token_refresh", 1) == [Kind.STATUS]
    assert kinds(faults, "get_balance", 1) == kinds(faults, "other", 1) == [None]


def test_the_older_fault_comes_first_and_the_next_waits_its_turn() -> None:
    faults = Faults()
    faults.add(Fault(Kind.HANG))
    faults.add(Fault(Kind.STATUS))
    assert kinds(faults, "get_balance", 3) == [Kind.HANG, Kind.STATUS, None]


def test_latencies_add_up_and_go_with_one_other_fault() -> None:
    faults = Faults()
    for seconds in (1.0, 2.0):
        faults.add(Fault(Kind.LATENCY, seconds=seconds))
    faults.add(Fault(Kind.STATUS))
    mishap = faults.take("get_balance")
    assert (mishap.delay, mishap.kind, mishap.label) == (3.0, Kind.STATUS, Kind.STATUS)
    assert faults.take("get_balance").label is None


def test_a_latency_alone_is_named_in_the_log() -> None:
    faults = Faults()
    faults.add(Fault(Kind.LATENCY))
    assert faults.take("get_balance").label == Kind.LATENCY


def test_faults_are_numbered_and_show_only_what_matters_to_them() -> None:
    faults = Faults()
    faults.add(Fault(Kind.LATENCY, seconds=2))
    shown = faults.add(Fault(Kind.STATUS, "token", times=None, status=429, retry_after=3)).as_json()
    expected = {"number": 2, "operation": "token", "kind": "status", "status": 429, "retry_after": 3, "times": None}
    assert shown == expected
    assert "seconds" in faults.rules[0].as_json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": 0},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"seconds": 3601.0},
        {"status": 199},
        {"status": 600},
        {"retry_after": -1.0},
    ],
)
def test_a_fault_that_cannot_happen_is_refused_with_the_reason(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be"):
        Fault(Kind.STATUS, **wrong)  # type: ignore[arg-type]  # a matrix of single fields


async def test_a_pause_ends_by_itself_or_when_faults_are_cleared() -> None:
    faults = Faults()
    faults.add(Fault(Kind.HANG))
    mishap = faults.take("get_balance")
    await mishap.pause(0)
    endless = asyncio.create_task(mishap.pause(None))
    await asyncio.sleep(0)
    assert not endless.done()
    faults.clear()
    await asyncio.wait_for(endless, 5)


async def test_clearing_ends_a_pause_that_has_not_begun_yet() -> None:
    faults = Faults()
    faults.add(Fault(Kind.HANG))
    mishap = faults.take("get_balance")
    faults.clear()
    await asyncio.wait_for(mishap.pause(None), 5)


def test_faults_tell_when_they_are_used_up() -> None:
    faults = Faults()
    assert faults.used_up.is_set()
    faults.add(Fault(Kind.HANG, times=2))
    faults.take("get_balance")
    assert not faults.used_up.is_set()
    faults.take("get_balance")
    assert faults.used_up.is_set()
    faults.add(Fault(Kind.HANG, times=None))
    faults.take("get_balance")
    assert not faults.used_up.is_set()


READERS = {"n": number, "w": whole, "f": flag, "t": text, "l": lifetime, "o": optional(number), "c": one_of(["a", "b"])}


def test_fields_are_read_from_a_body_or_a_query() -> None:
    body = b'{"n": 1, "w": 2, "f": true, "t": "x", "l": 10, "o": null, "c": "a"}'
    read = fields_in(body, READERS, ("n",))
    assert read == {"n": 1.0, "w": 2, "f": True, "t": "x", "l": 10.0, "o": None, "c": "a"}
    assert fields_in({"w": "12"}, READERS, ()) == {"w": 12}
    assert fields_in(b" ", READERS, ()) == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is not JSON"),
        (b"[]", "the body must be a JSON object"),
        (b"{}", "n is required"),
        (b'{"n": 1, "secret-word": 1}', "accepted: c, f, l, n, o, t, w"),
        (b'{"n": "secret-word"}', "n must be a number"),
        (b'{"n": true}', "n must be a number"),
        (b'{"n": 1, "w": 1.5}', "w must be a whole number"),
        (b'{"n": 1, "f": 1}', "f must be true or false"),
        (b'{"n": 1, "t": ""}', "t must be a non-empty text"),
        (b'{"n": 1, "l": 0.5}', "l must be between 1 second and 366 days"),
        (b'{"n": 1, "c": "secret-word"}', "c must be one of a, b"),
        (b'{"n": 1, "o": "secret-word"}', "o must be a number"),
        (b'{"n": 1' + b"0" * 400 + b"}", "n "),
    ],
)
def test_a_wrong_command_is_told_what_is_accepted_and_never_hears_itself(body: bytes, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        fields_in(body, READERS, ("n",))
    assert message in str(refused.value)
    assert "secret-word" not in str(refused.value)
