"""Gives the running sidecar commands from a shell; each is one POST to its admin listener."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from proxy.cli.admin_client import AddressError, AnswerTimeoutError, NoAnswerError, admin_key, ask
from proxy.cli.exits import Exit, admin_listener, failed

if TYPE_CHECKING:
    from proxy.cli.admin_client import AdminAnswer

ANSWER_SECONDS: Final = 15.0  # a reload reads files, and asks nothing on the network before it answers
MOST_TEXT: Final = 1024 * 1024  # bytes of an answer


@click.command(short_help="Have the running sidecar reload its settings.")
def reload() -> Exit:
    """Have the running sidecar reload credentials, policy, CA file and log level, as SIGHUP does.

    A broken one is reported, and the old one stays.
    """
    return _commanded("reload")


@click.command(short_help="Drop the tokens and refuse every call.")
def lock() -> Exit:
    """Drop the tokens of the running sidecar and refuse every call with 503 `locked`, until `unlock` or a restart.

    For a credential that may be stolen.
    """
    return _commanded("lock")


@click.command(short_help="End `lock`.")
def unlock() -> Exit:
    """Let the running sidecar log in again and take calls."""
    return _commanded("unlock")


@click.command(short_help="Make the running sidecar unready.")
def drain() -> Exit:
    """Make the running sidecar unready, so that load balancers send its calls elsewhere; it does not end.

    Only a restart makes it ready again. `quit` ends the process as well.
    """
    return _commanded("drain")


@click.command(short_help="End the running sidecar in an orderly way.")
def quit() -> Exit:  # noqa: A001 - the command's name, as in `POST /-/quit`
    """Have the running sidecar finish the calls in flight and end, as SIGTERM does.

    A supervisor may restart it.
    """
    return _commanded("quit")


def _commanded(name: str) -> Exit:
    answer = answer_to(f"/-/{name}", ANSWER_SECONDS, "whether the command was carried out is unknown")
    if isinstance(answer, Exit):
        return answer
    click.echo(answer.body.decode("utf-8", "replace").strip(), err=not answer.ok)
    return Exit.FINE if answer.ok else Exit.FAILED


def answer_to(path: str, seconds: float, late: str) -> AdminAnswer | Exit:
    """Return what the running sidecar answers to a POST; without an answer say why, and return the exit code.

    Args:
        path: of the request.
        seconds: that any single wait may take.
        late: said when no answer came in time.
    """
    try:
        return ask(admin_listener(), "POST", path, seconds=seconds, most=MOST_TEXT, headers=admin_key(os.environ))
    except AddressError as error:
        return failed(str(error), Exit.BAD_CONFIGURATION)
    except AnswerTimeoutError as error:
        return failed(f"{error}; {late}")
    except NoAnswerError as error:
        return failed(str(error))


COMMANDS: Final = (reload, lock, unlock, drain, quit)
