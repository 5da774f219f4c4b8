"""Counts down how often an OPTIONS request may be passed on (RFC 9110 section 7.6.2).

Pure. For other methods the field says nothing, and crosses as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Field = tuple[bytes, bytes]

_NAME: Final = b"max-forwards"
_MOST: Final = 999  # what is sent on of any larger number


def forwards_left(method: str, headers: Sequence[Field]) -> int | None:
    """Return how often a request may still be passed on, None when that is not limited.

    Raises:
        BadRequestError: the field of an OPTIONS request is no number.
    """
    if method != "OPTIONS":
        return None
    values = [value for name, value in headers if name.lower() == _NAME]
    if not values:
        return None
    if len(values) != 1 or not values[0].isdigit():
        detail = "Max-Forwards is not one plain number."
        raise BadRequestError(detail)
    digits = values[0].lstrip(b"0")
    return _MOST + 1 if len(digits) > len(str(_MOST)) else int(digits or b"0")


def passed_on(headers: Sequence[Field], left: int) -> tuple[Field, ...]:
    """Return the fields as they go on, with one time less than what was left."""
    value = b"%d" % (left - 1)
    return tuple((name, value if name.lower() == _NAME else old) for name, old in headers)
