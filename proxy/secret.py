"""Holds a secret so that nothing prints it by accident.

It must never show its value in repr, str, format or a pickle.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, final


@final
class Secret:
    """A text whose value is seen only by asking for it.

    Two secrets compare equal in constant time; a secret is falsy when it is empty.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself; call it only where it is put on the wire."""
        return self._value

    def __repr__(self) -> str:
        return "Secret([redacted])"

    def __str__(self) -> str:
        return "[redacted]"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        message = "a Secret is not serialised"
        raise TypeError(message)


def _bytes(value: str) -> bytes:
    """Encode any text, lone surrogates too: what a secret holds may come from outside."""
    return value.encode("utf-8", "surrogatepass")
