"""Reads option values with the settings' own parsers, and shows what they refuse beside the option."""

from __future__ import annotations

import difflib
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from proxy.config import TcpAddress, parsing, units

if TYPE_CHECKING:
    from collections.abc import Callable


class OptionType(click.ParamType):  # type: ignore[type-arg]  # older versions of click have it without
    """Reads an option's value; what the reader refuses with a ValueError, click shows beside the option."""

    def __init__(self, read: Callable[[str], object], name: str = "") -> None:
        self.read, self.name = read, name or read.__name__

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Read a value as it was typed."""
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


duration = OptionType(units.positive_duration, "duration")
age = OptionType(units.age, "age")


@OptionType
def lifetime(text: str) -> float:
    """Read a token's life as seconds; `exp` is a whole second, so a shorter one could be none."""
    seconds = units.positive_duration(text)
    return seconds if seconds >= 1 else parsing.refuse("a token lives for at least 1s")


@OptionType
def since(text: str) -> float:
    """Read how long ago, or an ISO 8601 date with or without a time, UTC unless it says otherwise; as a Unix time."""
    with suppress(ValueError):
        return time.time() - units.age(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        parsing.refuse(
            "write how long ago, such as 2h or 7d, or a date or time, such as 2026-01-31 or 2026-01-31T08:00"
        )
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@OptionType
def operation(text: str) -> str:
    """Read the name of an operation of the catalogue."""
    from proxy.api.operations import NAMED  # noqa: PLC0415 - builds the catalogue

    if text in NAMED:
        return text
    near = difflib.get_close_matches(text, NAMED, 1)
    hint = f"did you mean {near[0]}?" if near else "`localpayment-proxy operations` lists them"
    return parsing.refuse(f"no such operation; {hint}")


@OptionType
def country(text: str) -> str:
    """Read an ISO 3166-1 alpha-3 code."""
    code = text.strip().upper()
    if len(code) != len("ARG") or not (code.isascii() and code.isalpha()):
        parsing.refuse("write three letters, such as ARG, BRA or MEX")
    return code


@OptionType
def loopback_address(text: str) -> TcpAddress:
    """Read `host:port` of this machine; port 0 is any free one."""
    address = parsing.listen(text)
    if not isinstance(address, TcpAddress) or not address.is_loopback:
        parsing.refuse("write host:port of this machine, such as 127.0.0.1:8080")
    return address
