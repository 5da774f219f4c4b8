"""Reads option values with the settings' own parsers, and shows what they refuse beside the option."""

from __future__ import annotations

import difflib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from proxy.config import TcpAddress, parsing, units

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

# `exp` is a whole second, so a shorter life could be none.
SHORTEST_LIFETIME = 1.0


def duration(text: str) -> float:
    """Read a length of time with its unit as seconds."""
    return _read(units.positive_duration, text)


def age(text: str) -> float:
    """Read a length of time, days included, as seconds."""
    return _read(units.age, text)


def since(text: str) -> float:
    """Read how long ago, or an ISO 8601 date with or without a time, UTC unless it says otherwise; as a Unix time."""
    try:
        return time.time() - units.age(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        message = "write how long ago, such as 2h or 7d, or a date or time, such as 2026-01-31 or 2026-01-31T08:00"
        raise click.BadParameter(message) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def operation(text: str) -> str:
    """Read the name of an operation of the catalogue."""
    from proxy.api.operations import NAMES, OTHER  # noqa: PLC0415 - builds the catalogue

    if text in NAMES or text == OTHER.name:
        return text
    near = difflib.get_close_matches(text, NAMES, 1)
    hint = f"did you mean {near[0]}?" if near else "`localpayment-proxy operations` lists them"
    message = f"no such operation; {hint}"
    raise click.BadParameter(message)


def lifetime(text: str) -> float:
    """Read a token's life as seconds."""
    seconds = duration(text)
    if seconds < SHORTEST_LIFETIME:
        message = "a token lives for at least 1s"
        raise click.BadParameter(message)
    return seconds


def country(text: str) -> str:
    """Read an ISO 3166-1 alpha-3 code."""
    code = text.strip().upper()
    if len(code) != len("ARG") or not (code.isascii() and code.isalpha()):
        message = "write three letters, such as ARG, BRA or MEX"
        raise click.BadParameter(message)
    return code


def loopback_address(text: str) -> TcpAddress:
    """Read `host:port` of this machine; port 0 is any free one."""
    address = _read(parsing.listen, text)
    if not isinstance(address, TcpAddress) or not address.is_loopback:
        message = "write host:port of this machine, such as 127.0.0.1:8080"
        raise click.BadParameter(message)
    return address


def _read(reader: Callable[[str], Value], text: str) -> Value:
    try:
        return reader(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
