"""What does a file that a setting names hold? It reads a bounded part of a regular file, and never waits for one.

No error may quote a file's content.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config.secret_text import without_newline
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE = 64 * 1024  # bytes; a secret or a settings file is far smaller
MAX_CERTIFICATES = 4 * 1024 * 1024  # bytes; Mozilla's whole bundle has a quarter of a megabyte
BYTE_ORDER_MARK = "\ufeff"


class UnusableFileError(ValueError):
    """A file cannot be used; the text says why and what to do, and names neither path nor content."""


@dataclass(frozen=True, slots=True)
class FileText:
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
                message = "is not a regular file: name a file"
                raise UnusableFileError(message)
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:  # the latter for a NUL in the path
        raise _translated(error) from None
    if len(content) > limit:
        message = f"is larger than {limit // 1024} KiB: name the right file"
        raise UnusableFileError(message)
    return FileText(plain_text(content), stat.S_IMODE(status.st_mode))


def read_secret(path: Path) -> FileText:
    """Read a file that holds one secret; one newline at its end is not part of it, other white space is.

    Raises:
        UnusableFileError: it cannot be read, or holds nothing but white space.
    """
    read = read_file(path)
    text = without_newline(read.text.reveal())
    if not text.strip():
        message = "the file is empty: write the secret into it"
        raise UnusableFileError(message)
    return FileText(Secret(text), read.mode)


def checked(read: Callable[[Path], object]) -> Callable[[object], Path]:
    """Return a parser that accepts a path only if its file can be read by `read`."""

    def parse(value: object) -> Path:
        if not isinstance(value, str):
            message = "must be a path: put it in quotes"
            raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
        path = Path(value)
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
        message = "holds no certificate: name a PEM file with -----BEGIN CERTIFICATE----- in it"
        raise UnusableFileError(message)
    return read


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
        message = "is not plain UTF-8: save it as UTF-8 without a byte order mark"
        raise UnusableFileError(message)
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
            return UnusableFileError("the file may not be read: give this process's user read permission")
        case _:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path is not valid"
            return UnusableFileError(f"the file cannot be read ({reason}): check the path")
