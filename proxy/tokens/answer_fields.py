"""Reads the fields of a token endpoint's answer. Pure.

No field, whatever it holds, may raise an exception or make a wait without end.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def first_value(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the value of the first field of a name, which is given in lower case; None without one."""
    return next((value.decode("latin-1") for field, value in fields if field.lower() == name), None)


def http_date(value: str | None) -> float | None:
    """Read an HTTP date (RFC 9110 section 5.6.7) as seconds since the epoch; None when there is none to read."""
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def seconds_to_wait(value: str | None, server_now: float) -> float:
    """Read a Retry-After field (RFC 9110 section 10.2.3): seconds, or a date that is compared with the server's own.

    Returns:
        Seconds, 0 when the field is absent, past or unreadable.
    """
    if value is None:
        return 0.0
    if value.isascii() and value.isdigit():
        return float(value[:9])
    date = http_date(value)
    return 0.0 if date is None else max(date - server_now, 0.0)
