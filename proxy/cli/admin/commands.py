"""The commands that ask the running sidecar, over its admin listener, how it is, or tell it what to do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from proxy import VERSION
from proxy.cli import option_types
from proxy.cli.admin.client import NoAnswerError, admin_address, admin_key, ask, readiness, wait_until_ready
from proxy.cli.admin.status_lines import status_lines
from proxy.cli.exits import Exit

if TYPE_CHECKING:
    from proxy.cli.admin.client import AdminAnswer
    from proxy.config import Listen

ANSWER_SECONDS: Final = 15.0  # a reload reads files, and asks nothing on the network before it answers
AGAIN_SECONDS: Final = 2.0  # between two looks of --watch


@click.command(short_help="Show the state of the running sidecar.")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(*, watch: bool, as_json: bool) -> Exit:
    """Show the state of the running sidecar.

    Where it is not ready, that says why and what to do. --watch leaves out what does not fit the terminal. The admin
    listener has the same as a page at /status.

    Exit code 0 when it is ready, else 1.
    """
    where = admin_address(os.environ)
    if not watch:
        text, ready = _look(where, None, as_json=as_json)
        click.echo(text)
        return Exit.FINE if ready else Exit.FAILED
    # Held back until it is waited for: an exception in the midst of a look may be swallowed by a finaliser.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    while True:
        try:
            text, _ = _look(where, shutil.get_terminal_size().lines - 1, as_json=as_json)
            click.clear()
            click.echo(text)
        except NoAnswerError as error:
            click.clear()
            error.show()
        if signal.sigtimedwait({signal.SIGINT}, AGAIN_SECONDS) is not None:
            return Exit.FINE


@click.command(short_help="Ask the running sidecar whether it is ready.")
def healthcheck() -> Exit:
    """Ask the running sidecar whether it is ready; exit code 0 if so."""
    return _reported(readiness(admin_address(os.environ)))


@click.command(short_help="Wait until the running sidecar is ready.")
@click.option(
    "--timeout", type=option_types.duration, default="30s", show_default=True, help="How long to wait at most."
)
def wait(timeout: float) -> Exit:
    """Wait until the running sidecar is ready; exit code 0 if it became so."""
    return _reported(wait_until_ready(admin_address(os.environ), timeout))


def answer_to(path: str, seconds: float, late: str) -> AdminAnswer:
    """Return what the running sidecar answers to a POST with the admin key; `late` is said when that takes too long."""
    admin = admin_address(os.environ)
    return ask(admin, "POST", path, admin_key(os.environ), seconds=seconds, late=f"; {late}")


def _commanded(name: str) -> Exit:
    answer = answer_to(f"/-/{name}", ANSWER_SECONDS, "whether the command was carried out is unknown")
    click.echo(answer.body.decode("utf-8", "replace").strip(), err=not answer.ok)
    return Exit.FINE if answer.ok else Exit.FAILED


def _command(name: str, short_help: str, text: str) -> click.Command:
    """Make a command that is one POST to the admin listener."""
    return click.Command(name, callback=partial(_commanded, name), short_help=short_help, help=text)


def _reported(objection: str | None) -> Exit:
    """Print why the sidecar is not ready, or that it is."""
    click.echo(objection or "ready", err=objection is not None)
    return Exit.FINE if objection is None else Exit.FAILED


def _look(where: Listen, height: int | None, *, as_json: bool) -> tuple[str, bool]:
    """Return the status, cut to a terminal's height if one is given, and whether the sidecar is ready."""
    answer = ask(where, "GET", "/status", {"Accept": "application/json"})
    try:
        view = json.loads(answer.body) if answer.ok else None
    except (ValueError, RecursionError):
        view = None
    if not isinstance(view, dict) or "environment" not in view:
        text = f"what answers at {where} is no sidecar's admin listener, or refuses this host: see PROXY_ADMIN_LISTEN"
        raise NoAnswerError(text)
    if as_json:
        return json.dumps(view), bool(view.get("ready"))
    try:
        lines = status_lines(view, sys.stdout.encoding, shutil.get_terminal_size().columns, height)
    except KeyError:
        text = f"the sidecar at {where} has version {view.get('version')!r}, this command {VERSION!r}: ask with --json"
        raise NoAnswerError(text) from None
    return "\n".join(lines), bool(view["ready"])


COMMANDS: Final = (
    status,
    healthcheck,
    wait,
    _command(
        "reload",
        "Have the running sidecar reload its settings.",
        """Have the running sidecar reload credentials, policy, certificates and log level, as SIGHUP does.

        A broken one is reported, and the old one stays.
        """,
    ),
    _command(
        "lock",
        "Drop the tokens and refuse every call.",
        """Drop the tokens and refuse every call with 503 `locked`, until `unlock` or a restart.

        For a credential that may be stolen.
        """,
    ),
    _command("unlock", "End `lock`.", "Let the running sidecar log in again and take calls."),
    _command(
        "drain",
        "Make the running sidecar unready.",
        """Make the running sidecar unready; it does not end.

        Only a restart makes it ready again. `quit` ends the process as well.
        """,
    ),
    _command(
        "quit",
        "End the running sidecar in an orderly way.",
        """Have the running sidecar finish the calls in flight and end.

        A supervisor may restart it.
        """,
    ),
)
