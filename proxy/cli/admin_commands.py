"""Gives the running sidecar commands from a shell; each is one POST to its admin listener."""

from __future__ import annotations

import os
from typing import Final

import click

from proxy.cli.admin_client import AddressError, AnswerTimeoutError, NoAnswerError, admin_key, ask
from proxy.cli.exits import Exit, admin_listener, failed

ANSWER_SECONDS: Final = 15.0  # a reload reads files, and asks nothing on the network before it answers
MOST_TEXT: Final = 64 * 1024  # bytes of an answer


@click.command(short_help="Have the running sidecar reload its settings.")
def reload() -> Exit:
    """Have the sidecar of this machine reload what can change while it runs, as SIGHUP does.

    That is the credentials, the policy, the CA file and the log level. A broken one is reported, and the old one stays.
    """
    return _commanded("reload")


@click.command(short_help="Drop the tokens and refuse every call.")
def lock() -> Exit:
    """Drop the tokens of the running sidecar and refuse every call with 503 `locked`, until `unlock`.

    For a credential that may be stolen. A restart ends the lock too.
    """
    return _commanded("lock")


@click.command(short_help="End `lock`.")
def unlock() -> Exit:
    """Let the running sidecar log in again and take calls."""
    return _commanded("unlock")


@click.command(short_help="Make the running sidecar unready.")
def drain() -> Exit:
    """Make the sidecar of this machine unready, so that load balancers send its calls elsewhere; it does not end.

    There is no way back but a restart. To end the process as well, use `quit`.
    """
    return _commanded("drain")


@click.command(short_help="End the running sidecar in an orderly way.")
def quit() -> Exit:  # noqa: A001 - the command's name, as in `POST /-/quit`
    """Have the sidecar of this machine finish the calls in flight and end, as SIGTERM does.

    A supervisor that restarts it on any exit will do so.
    """
    return _commanded("quit")


def _commanded(name: str) -> Exit:
    try:
        key = admin_key(os.environ)
        answer = ask(admin_listener(), "POST", f"/-/{name}", seconds=ANSWER_SECONDS, most=MOST_TEXT, headers=key)
    except AddressError as error:
        return failed(str(error), Exit.BAD_CONFIGURATION)
    except AnswerTimeoutError as error:
        return failed(f"{error}; whether the command was carried out is unknown")
    except NoAnswerError as error:
        return failed(str(error))
    click.echo(answer.body.decode("utf-8", "replace").strip(), err=not answer.ok)
    return Exit.FINE if answer.ok else Exit.FAILED


COMMANDS: Final = (reload, lock, unlock, drain, quit)
