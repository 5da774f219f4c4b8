"""Declares the exit codes, and says what went wrong.

The codes are public: scripts, init systems and the container's health check decide by them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import IO, Any, NoReturn

import click


class Exit(IntEnum):
    """How a command ended; 69, 77 and 78 are EX_UNAVAILABLE, EX_NOPERM and EX_CONFIG of BSD's sysexits.h."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    NO_PERMISSION = 77
    BAD_CONFIGURATION = 78


class CommandError(click.ClickException):
    """Ends the command: its text, which says what to do, goes to stderr."""

    exit_code = Exit.FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the text as it is, without click's `Error: `."""
        click.echo(self.message, file, err=True)


def end(text: str, kind: type[CommandError] = CommandError) -> NoReturn:
    """End the command with this text on stderr."""
    raise kind(text)


def failed(text: str, code: Exit = Exit.FAILED) -> Exit:
    """Say on stderr what went wrong."""
    click.echo(text, err=True)
    return code


def can_encode(text: str, encoding: str) -> bool:
    """Whether a terminal of this encoding can show a text."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
