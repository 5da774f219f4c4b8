"""What is read out of the fields of a token endpoint's answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from proxy.tokens.issuer import FetchFailedError, FetchResult, http_date, seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = 1_735_732_800.0  # 2025-01-01 12:00:00 UTC


@pytest.fixture(params=["UTC", "America/Argentina/Buenos_Aires", "Asia/Tokyo"])
def anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's own zone must not matter."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize(
    "text",
    [
        "Wed, 01 Jan 2025 12:00:00 GMT",
        "Wednesday, 01-Jan-25 12:00:00 GMT",
        "Wed Jan  1 12:00:00 2025",
        "Wed, 01 Jan 2025 12:00:00 -0000",
        "Wed, 01 Jan 2025 09:00:00 -0300",
    ],
)
def test_the_date_formats_of_rfc_9110_are_read_as_utc(text: str) -> None:
    assert http_date(text) == NOON


@pytest.mark.parametrize(
    "text", [None, "", "soon", "Wed, 99 Jan 2025 12:00:00 GMT", "1735732800", "\x00", "Wed, 01 Jan 99999 12:00:00 GMT"]
)
def test_what_is_no_date_is_none(text: str | None) -> None:
    assert http_date(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0.0),
        ("0", 0.0),
        ("7", 7.0),
        ("120", 120.0),
        ("99999999999999999999", 999_999_999.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("1e9", 0.0),
        ("٣", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("Wed, 01 Jan 2025 12:00:30 GMT", 30.0),
        ("Wed, 01 Jan 2025 11:59:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(text: str | None, seconds: float) -> None:
    assert seconds_to_wait(text, NOON) == seconds


def test_failures_can_be_told_apart_by_identity_as_exceptions_are() -> None:
    first, second = (FetchFailedError(FetchResult.TLS, "no trust") for _ in range(2))
    assert len({first, second}) == 2
    assert str(first) == "no trust"
