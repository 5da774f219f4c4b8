"""Reads what a file that a setting names holds: a text, a secret, a username and password, certificates, header fields.

It reads a bounded part of a regular file, and never waits for one. No error may quote a content.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.config.parsing import FIELD_NAME, refuse
from proxy.secret import Secret, UnusableTextError, secret_text, without_newline

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE = 64 * 1024  # bytes; a secret or a settings file is far smaller
MAX_CERTIFICATES = 4 * 1024 * 1024  # bytes; Mozilla's whole bundle has a quarter of a megabyte
BYTE_ORDER_MARK = "\ufeff"
KEYS: Final = ("username", "password")  # of a document that holds both

_FIELD_VALUE: Final = re.compile(r"[!-~](?:[ !-~]*[!-~])?", re.ASCII)
# Header fields that the exporter of traces writes itself.
_TAKEN: Final = frozenset(
    ("host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection")
)


class UnusableFileError(ValueError):
    """A file cannot be used; the text says why and what to do, without path or content."""


class UnusableSettingError(ValueError):
    """What a setting names cannot be used.

    Attributes:
        setting: the variable.
        path: its value.
        text: what is wrong, and what to do; quotes no content.
    """

    def __init__(self, setting: str, path: Path, text: str) -> None:
        super().__init__(f"{setting}={path}: {text}")
        self.setting = setting
        self.path = path
        self.text = text


class UnusablePairError(ValueError):
    """A document holds no username and password; the text says what is missing and what to write."""


class FileText(NamedTuple):
    """A text file.

    Attributes:
        text: the whole content.
        mode: its permission bits.
    """

    text: Secret
    mode: int


def read_file(path: Path, limit: int = MAX_FILE) -> FileText:
    """Read a UTF-8 file whole.

    Raises:
        UnusableFileError: it is missing, unreadable, not a regular file, larger than `limit` bytes, or not UTF-8.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                refuse("is not a regular file: name a file", UnusableFileError)
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:  # the latter for a NUL in the path
        raise _translated(error) from None
    if len(content) > limit:
        refuse(f"is larger than {limit // 1024} KiB: name the right file", UnusableFileError)
    return FileText(plain_text(content), stat.S_IMODE(status.st_mode))


def read_secret(path: Path) -> FileText:
    """Read a file that holds one secret; one newline at its end is not part of it, other white space is.

    Raises:
        UnusableFileError: it cannot be read, or holds nothing but white space.
    """
    read = read_file(path)
    text = without_newline(read.text.reveal())
    if not text.strip():
        refuse("the file is empty: write the secret into it", UnusableFileError)
    return FileText(Secret(text), read.mode)


def checked(read: Callable[[Path], object]) -> Callable[[object], Path]:
    """Return a parser that accepts a path only if its file can be read by `read`."""

    def parse(value: object) -> Path:
        path = Path(value if isinstance(value, str) else refuse("must be a path: put it in quotes"))
        read(path)
        return path

    return parse


def read_certificates(path: Path) -> FileText:
    """Read a file of CA certificates, at most 4 MiB.

    Raises:
        UnusableFileError: it cannot be read, or holds no certificate in PEM.
    """
    read = read_file(path, MAX_CERTIFICATES)
    if "-----BEGIN CERTIFICATE-----" not in read.text.reveal():
        refuse("holds no certificate: name a PEM file with -----BEGIN CERTIFICATE----- in it", UnusableFileError)
    return read


def read_headers(path: Path) -> tuple[tuple[str, Secret], ...]:
    """Read a file of header fields, each `Name: value` on a line of its own.

    Raises:
        UnusableFileError: it cannot be read, or a line is no field that may be sent.
    """
    lines = read_secret(path).text.reveal().splitlines()
    return tuple(_header(number, line) for number, line in enumerate(lines, 1) if line.strip())


def _header(number: int, line: str) -> tuple[str, Secret]:
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or FIELD_NAME.fullmatch(name) is None or _FIELD_VALUE.fullmatch(value) is None:
        refuse(f"line {number} is no header field: write Name: value, in visible ASCII", UnusableFileError)
    if name.lower() in _TAKEN:
        refuse(f"line {number} names a field that the exporter writes itself: remove it", UnusableFileError)
    return name, Secret(value)


def read_pair(path: Path) -> tuple[Secret, Secret]:
    """Read a file that holds username and password.

    Raises:
        UnusableFileError: it cannot be read.
        UnusablePairError: it does not hold both.
    """
    return pair_in_text(read_file(path).text)


def pair_in_text(text: Secret) -> tuple[Secret, Secret]:
    """Read a JSON object, or TOML, with `username` and `password`; other keys are left alone. Pure.

    Raises:
        UnusablePairError: it is neither, or one of the two is missing, empty or no text.
    """
    if text.reveal().startswith(BYTE_ORDER_MARK):
        refuse("begins with a byte order mark: write it as UTF-8 without one", UnusablePairError)
    form, parse = ("JSON", json.loads) if text.reveal().lstrip().startswith("{") else ("TOML", tomllib.loads)
    try:
        document = parse(text.reveal())
    except (ValueError, RecursionError):
        document = None
    if document is None:
        fix = f'is no {form}: write {{"username": "…", "password": "…"}}, or two TOML lines of the same'
        refuse(fix, UnusablePairError)
    return pair_in(document)


def pair_in(document: object) -> tuple[Secret, Secret]:
    """Take `username` and `password` out of a parsed document. Pure.

    Raises:
        UnusablePairError: one of them is missing, empty or no text.
    """
    if not isinstance(document, dict):
        refuse("is no object with the keys username and password", UnusablePairError)
    username, password = (_member(document, key) for key in KEYS)
    return username, password


def _member(document: dict[object, object], key: str) -> Secret:
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        refuse(f"has no {key}: write a text that is not empty under the key {key}", UnusablePairError)
    try:
        return secret_text(value)
    except UnusableTextError as error:
        message = f"has a {key} that {error}"
        raise UnusablePairError(message) from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a FIFO too, which would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def plain_text(content: bytes) -> Secret:
    """Read bytes as UTF-8.

    Raises:
        UnusableFileError: they are in another encoding, UTF-16 for example, or begin with a byte order mark.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = BYTE_ORDER_MARK
    if text.startswith(BYTE_ORDER_MARK) or "\0" in text:
        refuse("is not plain UTF-8: save it as UTF-8 without a byte order mark", UnusableFileError)
    return Secret(text)


def _translated(error: Exception) -> UnusableFileError:
    match error:
        case UnusableFileError():
            return error
        case FileNotFoundError():
            return UnusableFileError("there is no such file: check the path and that it is mounted")
        case IsADirectoryError():
            return UnusableFileError("is a directory: name a file in it")
        case PermissionError():
            from proxy.process import landlock  # noqa: PLC0415 - ctypes, needed by this branch alone

            fix = f"give this process's user read permission{landlock.hint(error)}"
            return UnusableFileError(f"the file may not be read: {fix}")
        case _:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path is not valid"
            return UnusableFileError(f"the file cannot be read ({reason}): check the path")
