"""Holds a secret so that nothing prints it by accident, reads one from a text, and knows a card number.

It must never show its value in repr, str, format, a pickle or an error.
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


class UnusableTextError(ValueError):
    """A text cannot be a secret; the text of the error says why and what to do."""


def secret_text(text: str) -> Secret:
    """Return the secret that a text holds: one newline at its end is not part of it, other white space is.

    Raises:
        UnusableTextError: it is empty, or holds what no UTF-8 text does.
    """
    text = without_newline(text)
    if not text.strip():
        message = "holds nothing but white space: write the value"
        raise UnusableTextError(message)
    if any("\ud800" <= character <= "\udfff" for character in text):  # how Python and JSON spell other bytes
        message = "is not UTF-8: write it in UTF-8"
        raise UnusableTextError(message)
    if "\0" in text:
        message = "holds a NUL character: write it as plain UTF-8 text"
        raise UnusableTextError(message)
    return Secret(text)


def without_newline(text: str) -> str:
    """Return a text without the one newline, LF or CR LF, that editors, `echo` and secret managers end it with."""
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def is_card_number(text: str) -> bool:
    """Whether a number's last digit is right by Luhn's formula (ISO/IEC 7812-1 annex B)."""
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _bytes(value: str) -> bytes:
    """Encode any text, lone surrogates too: what a secret holds may come from outside."""
    return value.encode("utf-8", "surrogatepass")
