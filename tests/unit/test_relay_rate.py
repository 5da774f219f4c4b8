"""A caller may send so many calls in a time, and learns how long to wait for the next."""

from __future__ import annotations

import pytest

from proxy.policy.rate_limit import Bucket, Rate


@pytest.mark.parametrize(
    ("text", "burst", "rate"),
    [
        ("10/s", None, Rate(10.0, 10)),
        ("600/min", None, Rate(10.0, 10)),
        ("90/min", None, Rate(1.5, 1)),
        ("36/h", None, Rate(0.01, 1)),
        ("10/s", 1, Rate(10.0, 1)),
        ("1/h", 50, Rate(1 / 3600, 50)),
    ],
)
def test_a_rate_is_read(text: str, burst: int | None, rate: Rate) -> None:
    assert Rate.parse(text, burst) == rate


@pytest.mark.parametrize("text", ["", "10", "0/s", "-1/s", "1.5/s", "10/m", "10 / s", "10/s ", "\u0661/s", "1234567/s"])
def test_anything_else_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="write 10/s"):
        Rate.parse(text)


def test_a_burst_passes_and_then_one_call_for_each_interval() -> None:
    bucket = Bucket(Rate(2.0, 3), 100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(100.25) == 0.25
    assert bucket.take(100.5) == 0.0
    assert bucket.take(100.5) == 0.5


def test_a_refused_call_costs_nothing() -> None:
    bucket = Bucket(Rate(1.0, 1), 0.0)
    bucket.take(0.0)
    for _ in range(100):
        assert bucket.take(0.5) == 0.5
    assert bucket.take(1.0) == 0.0


def test_a_long_rest_saves_up_no_more_than_a_burst() -> None:
    bucket = Bucket(Rate(1.0, 2), 0.0)
    assert [bucket.take(1e6) > 0 for _ in range(3)] == [False, False, True]


def test_a_clock_that_stands_or_steps_back_gives_nothing_away() -> None:
    bucket = Bucket(Rate(1.0, 1), 10.0)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(5.0) == 1.0
    assert bucket.take(10.5) == 0.5
