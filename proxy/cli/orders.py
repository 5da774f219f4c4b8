"""Which orders may a person give the running sidecar from a shell?"""

from __future__ import annotations

import os
from typing import Final

import click

from proxy.cli.exits import Exit
from proxy.cli.outcome import admin, failed


@click.command(short_help="Have the running sidecar read its settings anew.")
def reload() -> Exit:
    """Have the sidecar of this machine read anew what it can change while running, as SIGHUP does.

    That is the credentials, the policy, the CA file and the log level. What is broken is told, and the old one stays.
    """
    return _ordered("reload")


@click.command(short_help="Drop the tokens and refuse every call.")
def lock() -> Exit:
    """Drop the tokens of the running sidecar and refuse every call with 503 `locked`, until `unlock`.

    For a credential that may be stolen. A restart ends the lock too.
    """
    return _ordered("lock")


@click.command(short_help="End `lock`.")
def unlock() -> Exit:
    """Let the running sidecar log in again and take calls."""
    return _ordered("unlock")


def _ordered(name: str) -> Exit:
    from proxy.cli.ordering import UnreadableKeyError, ordered  # noqa: PLC0415 - http.client

    try:
        good, text = ordered(name, admin(), os.environ)
    except UnreadableKeyError as error:
        return failed(str(error), Exit.BAD_CONFIGURATION)
    click.echo(text, err=not good)
    return Exit.FINE if good else Exit.FAILED


COMMANDS: Final = (reload, lock, unlock)
