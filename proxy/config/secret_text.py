"""Reads a text as a secret, the same from the environment, a file, a command and a secret manager. Pure.

No error may quote the text.
"""

from __future__ import annotations

from proxy.secret import Secret


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
