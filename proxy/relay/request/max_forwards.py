"""Counts down how often an OPTIONS request may be passed on (RFC 9110 section 7.6.2).

Pure. For other methods the field says nothing, and crosses as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import BadRequestError

if TYPE_CHECKING:
    from proxy.relay.request.request_fields import Told

_NAME: Final = b"max-forwards"
_MOST: Final = 999  # what is sent on of any larger number


def forwards_left(method: str, told: Told) -> int | None:
    """Return how often a request may still be passed on, None when that is not limited.

    Raises:
        BadRequestError: the field of an OPTIONS request is no number.
    """
    if method != "OPTIONS":
        return None
    values = told.get(_NAME, ())
    if not values:
        return None
    if len(values) != 1 or not values[0].isdigit():
        detail = "Max-Forwards is not one plain number."
        raise BadRequestError(detail)
    digits = values[0].lstrip(b"0")
    return _MOST + 1 if len(digits) > len(str(_MOST)) else int(digits or b"0")


def passed_on(lines: bytes, left: int) -> bytes:
    """Return the lines of fields as they go on, with one time less than what was left."""
    counted = [
        b"%b: %d" % (line[: len(_NAME)], left - 1) if line[: len(_NAME) + 1].lower() == _NAME + b":" else line
        for line in lines.split(b"\r\n")
    ]
    return b"\r\n".join(counted)
