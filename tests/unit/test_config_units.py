"""Durations and sizes carry their units."""

from __future__ import annotations

import pytest

from proxy.config import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5.0), ("250ms", 0.25), ("2m", 120.0), ("1.5h", 5400.0), (" 2.5s ", 2.5), ("0s", 0.0), ("24h", 86400.0)],
)
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: float) -> None:
    assert units.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    ["5", "5 s", "s", "-5s", "5S", "1_000s", "\N{ARABIC-INDIC DIGIT FIVE}s", "5sec", "1h30m", "", 5, True, "1e3s"],
)
def test_anything_else_is_refused_with_the_way_to_write_it(value: object) -> None:
    with pytest.raises(ValueError, match=r"a duration carries its unit: write 5s, 5ms, 5m or 5h"):
        units.duration(value)


def test_a_bare_number_comes_back_with_units_to_choose_from() -> None:
    with pytest.raises(ValueError, match="write 30s, 30ms, 30m or 30h"):
        units.duration("30")
    with pytest.raises(ValueError, match="write 64MiB, 64KiB or 64B"):
        units.size("64")


def test_more_than_a_day_is_a_typing_error() -> None:
    with pytest.raises(ValueError, match="more than a day"):
        units.duration("25h")


def test_what_may_be_days_is_never_answered_with_hours_alone() -> None:
    with pytest.raises(ValueError, match="write 30d, 30h, 30m or 30s"):
        units.age("30")
    with pytest.raises(ValueError, match="more than a day is written in days, such as 30d"):
        units.age("48h")


def test_a_timeout_of_zero_is_refused() -> None:
    assert units.positive_duration("1ms") == pytest.approx(0.001)
    with pytest.raises(ValueError, match="longer than zero"):
        units.positive_duration("0ms")


@pytest.mark.parametrize(
    ("text", "count"), [("32MiB", 32 << 20), ("512KiB", 512 << 10), ("1GiB", 1 << 30), ("7B", 7), ("0B", 0)]
)
def test_a_size_counts_in_powers_of_1024(text: str, count: int) -> None:
    assert units.size(text) == count


@pytest.mark.parametrize(
    ("text", "meant"),
    [("10M", "10MiB"), ("10MB", "10MiB"), ("10m", "10MiB"), ("512K", "512KiB"), ("2gb", "2GiB"), ("1 MiB", "1MiB"),
     ("64Ki", "64KiB"), ("10mib", "10MiB")],
)  # fmt: skip
def test_a_size_that_could_mean_two_is_answered_with_the_one_to_write(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"in powers of 1024: write {meant}$"):
        units.size(text)


@pytest.mark.parametrize("value", ["32", "32MB", "32M", "1.5MiB", "-1B", "32 MiB", "", 32])
def test_a_size_in_other_units_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a size carries its unit, in powers of 1024"):
        units.size(value)


def test_a_body_limit_of_zero_is_refused() -> None:
    assert units.positive_size("1B") == 1
    with pytest.raises(ValueError, match="larger than zero"):
        units.positive_size("0KiB")


@pytest.mark.parametrize("text", ["0s", "1ms", "250ms", "2.5s", "5s", "90s", "2m", "1h", "24h"])
def test_a_duration_survives_being_written(text: str) -> None:
    seconds = units.duration(text)
    assert units.duration(units.duration_text(seconds)) == pytest.approx(seconds)


def test_units_are_written_as_a_person_would() -> None:
    assert [units.duration_text(seconds) for seconds in (0, 0.25, 2.5, 5, 90, 120, 3600)] == [
        "0s", "250ms", "2.5s", "5s", "90s", "2m", "1h",
    ]  # fmt: skip
    assert units.duration_text(0.00025) == "0.00025s"
    assert [units.size_text(count) for count in (0, 7, 1536, 1 << 20, 32 << 20)] == [
        "0B",
        "7B",
        "1536B",
        "1MiB",
        "32MiB",
    ]
