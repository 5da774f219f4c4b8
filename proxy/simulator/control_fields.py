"""Reads the fields of control commands.

Messages say what is accepted, and repeat nothing that was sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Reader = Callable[[object], object]
# Longer lives than a year and a day leave nothing to see.
LIFETIME_LIMIT = 366 * 86400


def number(value: object) -> float:
    """A JSON number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = "must be a number"
        raise TypeError(message)
    return float(value)


def whole(value: object) -> int:
    """A JSON number without a fraction, or its text in a query."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:9])
    if isinstance(value, bool) or not isinstance(value, int):
        message = "must be a whole number"
        raise TypeError(message)
    return value


def flag(value: object) -> bool:
    """A JSON boolean."""
    if not isinstance(value, bool):
        message = "must be true or false"
        raise TypeError(message)
    return value


def text(value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        message = "must be a non-empty text"
        raise TypeError(message)
    return value


def lifetime(value: object) -> float:
    """Seconds that a token can live; `exp` is a whole second, so shorter lives could be none."""
    seconds = number(value)
    if not 1 <= seconds <= LIFETIME_LIMIT:
        message = "must be between 1 second and 366 days"
        raise ValueError(message)
    return seconds


def optional(reader: Reader) -> Reader:
    """The same, or null."""
    return lambda value: None if value is None else reader(value)


def one_of(choices: Iterable[str]) -> Reader:
    """One of a closed set of texts."""
    names = sorted(str(choice) for choice in choices)

    def read(value: object) -> str:
        if value not in names:
            message = f"must be one of {', '.join(names)}"
            raise ValueError(message)
        return str(value)

    return read


def fields_in(
    body: bytes | Mapping[str, str], readers: Mapping[str, Reader], required: tuple[str, ...]
) -> dict[str, object]:
    """The fields of a body or query, each read by its reader.

    Raises:
        TypeError: the body is no JSON object.
        ValueError: something is missing, unknown or wrong; the message says what is accepted, and repeats no value.
    """
    try:
        given = (json.loads(body) if body.strip() else {}) if isinstance(body, bytes) else dict(body)
    except (ValueError, RecursionError) as error:
        message = "the body is not JSON"
        raise ValueError(message) from error
    if not isinstance(given, dict):
        message = "the body must be a JSON object"
        raise TypeError(message)
    unknown = given.keys() - readers.keys()
    if unknown:
        message = f"{len(unknown)} field(s) not known here; accepted: {', '.join(sorted(readers)) or 'none'}"
        raise ValueError(message)
    missing = [name for name in required if name not in given]
    if missing:
        message = f"{missing[0]} is required"
        raise ValueError(message)
    found = {}
    for name, value in given.items():
        try:
            found[name] = readers[name](value)
        except (TypeError, ValueError, OverflowError) as error:
            message = f"{name} {error}"
            raise ValueError(message) from error
    return found
