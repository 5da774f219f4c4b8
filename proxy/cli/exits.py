"""Declares the exit codes, and ends a command with one of them.

The codes are public: scripts, init systems and the container's health check decide by them.
"""

from __future__ import annotations

import os
from enum import IntEnum
from typing import TYPE_CHECKING

import click

from proxy.cli.admin_client import AddressError, admin_address

if TYPE_CHECKING:
    from proxy.config import Listen


class Exit(IntEnum):
    """How a command ended; 69, 77 and 78 are EX_UNAVAILABLE, EX_NOPERM and EX_CONFIG of BSD's sysexits.h."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    NO_PERMISSION = 77
    BAD_CONFIGURATION = 78


def admin_listener() -> Listen:
    """Find the admin listener of this machine's sidecar, or end the command saying why not."""
    try:
        return admin_address(os.environ)
    except AddressError as error:
        click.echo(str(error), err=True)
    raise click.exceptions.Exit(Exit.BAD_CONFIGURATION)


def report_readiness(objection: str | None) -> Exit:
    """Print why the sidecar is not ready, or that it is."""
    click.echo(objection or "ready", err=objection is not None)
    return Exit.FINE if objection is None else Exit.FAILED


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
