"""Which username and password does a document hold? JSON or TOML, from a file, a command or a secret manager. Pure.

No error may quote the document.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from proxy.config.files import BYTE_ORDER_MARK, read_file
from proxy.config.secret_text import UnusableTextError, secret_text

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.secret import Secret

KEYS = ("username", "password")


class UnusablePairError(ValueError):
    """A document holds no username and password; the text says what is missing and what to write."""


def pair_in_text(text: Secret) -> tuple[Secret, Secret]:
    """Read a JSON object, or TOML, with `username` and `password`; other keys are left alone.

    Raises:
        UnusablePairError: it is neither, or one of the two is missing, empty or no text.
    """
    if text.reveal().startswith(BYTE_ORDER_MARK):
        message = "begins with a byte order mark: write it as UTF-8 without one"
        raise UnusablePairError(message)
    form, parse = ("JSON", json.loads) if text.reveal().lstrip().startswith("{") else ("TOML", tomllib.loads)
    try:
        document = parse(text.reveal())
    except (ValueError, RecursionError):
        document = None
    if document is None:
        message = f'is no {form}: write {{"username": "…", "password": "…"}}, or two TOML lines of the same'
        raise UnusablePairError(message)
    return pair_in(document)


def pair_in(document: object) -> tuple[Secret, Secret]:
    """Take `username` and `password` out of a parsed document.

    Raises:
        UnusablePairError: one of them is missing, empty or no text.
    """
    if not isinstance(document, dict):
        message = "is no object with the keys username and password"
        raise UnusablePairError(message)
    username, password = (_value(document.get(key), key) for key in KEYS)
    return username, password


def read_pair(path: Path) -> tuple[Secret, Secret]:
    """Read a file that holds both.

    Raises:
        UnusableFileError: it cannot be read.
        UnusablePairError: it does not hold both.
    """
    return pair_in_text(read_file(path).text)


def _value(value: object, key: str) -> Secret:
    if not isinstance(value, str) or not value.strip():
        message = f"has no {key}: write a text that is not empty under the key {key}"
        raise UnusablePairError(message)
    try:
        return secret_text(value)
    except UnusableTextError as error:
        message = f"has a {key} that {error}"
        raise UnusablePairError(message) from None
