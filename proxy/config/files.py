"""Reads what a file that a setting names holds: a text, a secret, a username and password, certificates, header fields.

It reads a bounded part of a regular file, and never waits for one. No error may quote a content.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from proxy.config.parsing import FIELD
from proxy.secret import Secret, UnusableTextError, secret_text, without_newline

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE = 64 * 1024  # bytes; a secret or a settings file is far smaller
MAX_CERTIFICATES = 4 * 1024 * 1024  # bytes; Mozilla's whole bundle has a quarter of a megabyte
BYTE_ORDER_MARK = "\ufeff"
KEYS: Final = ("username", "password")  # of a document that holds both

# Header fields that the exporter of traces writes itself.
_TAKEN: Final = frozenset(
    ("host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection")
)


class UnusableContentError(ValueError):
    """A file, or a document, cannot be used; the text says why and what to do, without path or content."""


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
        UnusableContentError: it is missing, unreadable, not a regular file, larger than `limit` bytes, or not UTF-8.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(limit + 1) if stat.S_ISREG(mode) else b""
    except (OSError, ValueError) as error:  # the latter for a NUL in the path
        raise UnusableContentError(why_unreadable(error)) from None
    if not stat.S_ISREG(mode):
        _refuse("is not a regular file: name a file")
    if len(content) > limit:
        _refuse(f"is larger than {limit // 1024} KiB: name the right file")
    return FileText(plain_text(content), stat.S_IMODE(mode))


def read_secret(path: Path) -> FileText:
    """Read a file that holds one secret; one newline at its end is not part of it, other white space is.

    Raises:
        UnusableContentError: it cannot be read, or holds nothing but white space.
    """
    read = read_file(path)
    text = without_newline(read.text.reveal())
    if not text.strip():
        _refuse("the file is empty: write the secret into it")
    return FileText(Secret(text), read.mode)


def checked(read: Callable[[Path], object]) -> Callable[[object], Path]:
    """Return a parser that accepts a path only if its file can be read by `read`."""

    def parse(value: object) -> Path:
        path = Path(value if isinstance(value, str) else _refuse("must be a path: put it in quotes"))
        read(path)
        return path

    return parse


def read_certificates(path: Path) -> FileText:
    """Read a file of CA certificates, at most 4 MiB.

    Raises:
        UnusableContentError: it cannot be read, or holds no certificate in PEM.
    """
    read = read_file(path, MAX_CERTIFICATES)
    if "-----BEGIN CERTIFICATE-----" not in read.text.reveal():
        _refuse("holds no certificate: name a PEM file with -----BEGIN CERTIFICATE----- in it")
    return read


def read_headers(path: Path) -> tuple[tuple[str, Secret], ...]:
    """Read a file of header fields, each `Name: value` on a line of its own.

    Raises:
        UnusableContentError: it cannot be read, or a line is no field that may be sent.
    """
    lines = read_secret(path).text.reveal().splitlines()
    return tuple(_header(number, line) for number, line in enumerate(lines, 1) if line.strip())


def _header(number: int, line: str) -> tuple[str, Secret]:
    field = FIELD.fullmatch(line.strip())
    if field is None:
        _refuse(f"line {number} is no header field: write Name: value, in visible ASCII")
    name, value = field.groups()
    if name.lower() in _TAKEN:
        _refuse(f"line {number} names a field that the exporter writes itself: remove it")
    return name, Secret(value)


def pair_in_text(text: Secret) -> tuple[Secret, Secret]:
    """Read a JSON object, or TOML, with `username` and `password`; other keys are left alone. Pure.

    Raises:
        UnusableContentError: it is neither, or one of the two is missing, empty or no text.
    """
    if text.reveal().startswith(BYTE_ORDER_MARK):
        _refuse("begins with a byte order mark: write it as UTF-8 without one")
    form, parse = ("JSON", json.loads) if text.reveal().lstrip().startswith("{") else ("TOML", tomllib.loads)
    try:
        document = parse(text.reveal())
    except (ValueError, RecursionError):
        document = None
    if document is None:
        _refuse(f'is no {form}: write {{"username": "…", "password": "…"}}, or two TOML lines of the same')
    return pair_in(document)


def pair_in(document: object) -> tuple[Secret, Secret]:
    """Take `username` and `password` out of a parsed document. Pure.

    Raises:
        UnusableContentError: one of them is missing, empty or no text.
    """
    if not isinstance(document, dict):
        _refuse("is no object with the keys username and password")
    username, password = (_member(document, key) for key in KEYS)
    return username, password


def _member(document: dict[object, object], key: str) -> Secret:
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        _refuse(f"has no {key}: write a text that is not empty under the key {key}")
    try:
        return secret_text(value)
    except UnusableTextError as error:
        reason = str(error)
    return _refuse(f"has a {key} that {reason}")


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a FIFO too, which would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def plain_text(content: bytes) -> Secret:
    """Read bytes as UTF-8.

    Raises:
        UnusableContentError: they are in another encoding, UTF-16 for example, or begin with a byte order mark.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = BYTE_ORDER_MARK
    if text.startswith(BYTE_ORDER_MARK) or "\0" in text:
        _refuse("is not plain UTF-8: write it as UTF-8 without a byte order mark")
    return Secret(text)


def _refuse(text: str) -> NoReturn:
    raise UnusableContentError(text)


def why_unreadable(error: Exception) -> str:
    """Say why a file cannot be opened or read, and what to do."""
    match error:
        case FileNotFoundError():
            return "there is no such file: check the path and that it is mounted"
        case IsADirectoryError():
            return "is a directory: name a file in it"
        case PermissionError():
            from proxy.process import landlock  # noqa: PLC0415 - ctypes, needed by this branch alone

            return f"the file may not be read: give this process's user read permission{landlock.hint(error)}"
        case _:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path is not valid"
            return f"the file cannot be read ({reason}): check the path"
