"""Ends a command: says what there is to say, and returns the exit code that goes with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from proxy.cli.exits import Exit

if TYPE_CHECKING:
    from proxy.config import Listen


def admin() -> Listen:
    """Find the admin listener of this machine's sidecar, or end the command saying why not."""
    from proxy.cli.admin_client import AddressError, admin_address  # noqa: PLC0415 - http.client

    try:
        return admin_address(os.environ)
    except AddressError as error:
        click.echo(str(error), err=True)
    raise click.exceptions.Exit(Exit.BAD_CONFIGURATION)


def told(objection: str | None) -> Exit:
    """Say what speaks against it, or that it is ready."""
    click.echo(objection or "ready", err=objection is not None)
    return Exit.FINE if objection is None else Exit.FAILED


def failed(text: str, code: Exit = Exit.FAILED) -> Exit:
    """Say on stderr what went wrong."""
    click.echo(text, err=True)
    return code
