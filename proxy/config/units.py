"""Reads and writes durations and sizes with their units.

A unit is never guessed: 5 could be seconds or minutes, and 10M could count in powers of 1000 or of 1024.
"""

from __future__ import annotations

import re

from proxy.config.parsing import refuse

MAX_SECONDS = 86400.0  # a day; longer waits are typing errors

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
_DAYS = re.compile(r"(\d{1,4})d", re.ASCII)
_MOST_DAYS = 3653
_SIZE = re.compile(r"(\d{1,12})(B|KiB|MiB|GiB)", re.ASCII)
_ALMOST_SIZE = re.compile(r"(\d{1,12})\s?([KMG])(?:i?B?)", re.ASCII | re.IGNORECASE)
_BARE = re.compile(r"\d{1,5}", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}


def duration(value: object) -> float:
    """Read `5s`, `250ms`, `2m`, `1.5h` as seconds, at most a day.

    Raises:
        ValueError: it is none; the text says how to write one.
    """
    text = str(value).strip()
    found = _DURATION.fullmatch(text)
    if found is None:
        number = _meant(text, "5")
        refuse(f"a duration carries its unit: write {number}s, {number}ms, {number}m or {number}h")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds > MAX_SECONDS:
        refuse("more than a day is not supported: write 24h or less")
    return seconds


def size(value: object) -> int:
    """Read `32MiB`, `512KiB`, `0B` as bytes.

    Raises:
        ValueError: it is none; the text says how to write one.
    """
    text = str(value).strip()
    found = _SIZE.fullmatch(text)
    if found is None:
        if almost := _ALMOST_SIZE.fullmatch(text):
            refuse(f"a size carries its unit, in powers of 1024: write {almost[1]}{almost[2].upper()}iB")
        number = _meant(text, "32")
        refuse(f"a size carries its unit, in powers of 1024: write {number}MiB, {number}KiB or {number}B")
    return int(found[1]) * _BYTES[found[2]]


def _meant(text: str, otherwise: str) -> str:
    """Return the number that lacks its unit, to be written with one; another if it is none, or a long one."""
    return text if _BARE.fullmatch(text) else otherwise


def positive_duration(value: object) -> float:
    """Read a duration, and refuse zero."""
    return duration(value) or refuse("must be longer than zero, such as 5s or 250ms")


def positive_size(value: object) -> int:
    """Read a size, and refuse zero."""
    return size(value) or refuse("must be larger than zero, such as 32MiB")


def age(value: object) -> float:
    """Read how long something is kept, such as `30d`; at most ten years, and never zero.

    Raises:
        ValueError: it is none; the text says how to write one.
    """
    text = str(value).strip()
    found = _DAYS.fullmatch(text)
    if found is None:
        span = _DURATION.fullmatch(text)
        if span is None:
            number = _meant(text, "30")
            refuse(f"a duration carries its unit: write {number}d, {number}h, {number}m or {number}s")
        if float(span[1]) * _SECONDS[span[2]] > MAX_SECONDS:
            refuse("more than a day is written in days, such as 30d")
        return positive_duration(value)
    if not 1 <= int(found[1]) <= _MOST_DAYS:
        refuse(f"must be from 1d to {_MOST_DAYS}d")
    return int(found[1]) * MAX_SECONDS


def age_text(seconds: float) -> str:
    """Write it in days if it is some whole ones."""
    return duration_text(seconds) if seconds % MAX_SECONDS else f"{int(seconds // MAX_SECONDS)}d"


def duration_text(seconds: float) -> str:
    """Write seconds as a person would: with the largest unit that leaves a whole number, else `2.5s` or `0.00025s`."""
    for unit, length in _SECONDS.items():
        count = round(seconds / length, 6)
        if count >= 1 and count.is_integer() and (unit != "ms" or seconds < 1):
            return f"{int(count)}{unit}"
    return f"{seconds:.9g}s"


def size_text(count: int) -> str:
    """Write bytes with the largest unit that leaves a whole number."""
    for unit, length in _BYTES.items():
        if count and count % length == 0:
            return f"{count // length}{unit}"
    return f"{count}B"
