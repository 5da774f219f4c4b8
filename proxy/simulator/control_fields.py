"""Reads the fields of control commands.

Messages say what is accepted, and repeat nothing that was sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Reader = Callable[[object], object]
# Longer lives than a year and a day leave nothing to see.
LIFETIME_LIMIT = 366 * 86400


def number(value: object) -> float:
    """A JSON number."""
    return float(_typed(value, "a number", int, float))


def whole(value: object) -> int:
    """A JSON number without a fraction, or its text in a query."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:9])
    return int(_typed(value, "a whole number", int))


def flag(value: object) -> bool:
    """A JSON boolean."""
    return bool(_typed(value, "true or false", bool))


def text(value: object) -> str:
    """A text that is not empty."""
    return str(_typed(value, "a non-empty text", str))


def lifetime(value: object) -> float:
    """Seconds that a token can live; `exp` is a whole second, so shorter lives could be none."""
    seconds = number(value)
    return seconds if 1 <= seconds <= LIFETIME_LIMIT else _refuse("must be between 1 second and 366 days")


def optional(reader: Reader) -> Reader:
    """The same, or null."""
    return lambda value: None if value is None else reader(value)


def one_of(choices: Iterable[str]) -> Reader:
    """One of a closed set of texts."""
    names = sorted(str(choice) for choice in choices)
    return lambda value: value if value in names else _refuse(f"must be one of {', '.join(names)}")


def fields_in(
    body: bytes | Mapping[str, str], readers: Mapping[str, Reader], required: tuple[str, ...]
) -> dict[str, Any]:
    """The fields of a body or query, each read by its reader.

    Raises:
        ValueError: something is missing, unknown or wrong; the message says what is accepted, and repeats no value.
    """
    try:
        given = (json.loads(body) if body.strip() else {}) if isinstance(body, bytes) else dict(body)
    except (ValueError, RecursionError):
        _refuse("the body is not JSON")
    if not isinstance(given, dict):
        _refuse("the body must be a JSON object")
    if unknown := given.keys() - readers.keys():
        _refuse(f"{len(unknown)} field(s) not known here; accepted: {', '.join(sorted(readers)) or 'none'}")
    if missing := next((name for name in required if name not in given), None):
        _refuse(f"{missing} is required")
    found = {}
    for name, value in given.items():
        try:
            found[name] = readers[name](value)
        except (ValueError, OverflowError) as error:
            _refuse(f"{name} {error}")
    return found


def _typed(value: object, wanted: str, *kinds: type) -> Any:  # noqa: ANN401 - one of the kinds
    return value if type(value) in kinds and value != "" else _refuse(f"must be {wanted}")


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
