"""How long a fetch may take, and how long it pauses after a failure."""

from __future__ import annotations

import math

import pytest

from proxy.tokens.backoff import Backoff, fetch_timeout


def pauses(left: float | None, chance: float, failures: int) -> list[float]:
    backoff = Backoff()
    found = []
    for _ in range(failures):
        backoff.failed(100.0, chance, left, 0.0)
        found.append(backoff.until - 100.0)
    return found


def test_pauses_double_from_half_a_second_up_to_15_s_while_a_token_lives() -> None:
    assert pauses(300.0, 1.0, 8) == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_pauses_end_at_4_s_when_no_token_lives() -> None:
    assert pauses(None, 1.0, 6) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(("left", "cap"), [(60.0, 15.0), (40.0, 10.0), (4.0, 1.0), (1.0, 0.5), (0.001, 0.5)])
def test_a_pause_is_at_most_a_quarter_of_what_is_left_but_never_shrinks_to_nothing(left: float, cap: float) -> None:
    assert pauses(left, 1.0, 20)[-1] == cap


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_the_jitter_is_full(chance: float) -> None:
    assert pauses(None, chance, 4)[-1] == pytest.approx(4.0 * chance)


def test_thousands_of_failures_overflow_nothing() -> None:
    assert pauses(None, 1.0, 5000)[-1] == 4.0


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 0.5), (0.2, 0.7), (30.0, 30.5), (300.0, 300.5), (1e9, 300.5)])
def test_retry_after_is_honoured_up_to_five_minutes_and_jitter_comes_on_top(asked: float, pause: float) -> None:
    backoff = Backoff()
    backoff.failed(100.0, 1.0, 200.0, asked)
    assert backoff.until == 100.0 + pause


def test_a_success_ends_the_pause_and_the_doubling() -> None:
    backoff = Backoff()
    backoff.failed(100.0, 1.0, None, 60.0)
    backoff.ended()
    assert (backoff.failures, backoff.until) == (0, -math.inf)
    backoff.failed(100.0, 1.0, None, 0.0)
    assert backoff.until == 100.5


@pytest.mark.parametrize(
    ("left", "seconds"), [(None, 5.0), (120.0, 5.0), (15.0, 5.0), (9.0, 3.0), (1.5, 0.5), (0.1, 0.5)]
)
def test_a_fetch_leaves_time_for_another_try_while_a_token_lives(left: float | None, seconds: float) -> None:
    assert fetch_timeout(left, 5.0) == seconds


def test_the_setting_bounds_a_fetch_whatever_is_left() -> None:
    assert fetch_timeout(0.1, 0.2) == 0.2
