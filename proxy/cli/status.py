"""Shows the running sidecar's status in a terminal, once or repeatedly."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from proxy.cli.admin_client import NoAnswerError, ask
from proxy.cli.exits import Exit, admin_listener, failed
from proxy.cli.status_lines import status_lines

if TYPE_CHECKING:
    from proxy.config import Listen

AGAIN_SECONDS: Final = 2.0  # between two looks of --watch
ANSWER_SECONDS: Final = 2.0  # the listener answers from memory
MOST_STATUS: Final = 4 * 1024 * 1024  # bytes; a status has some ten thousand


@click.command(short_help="Show the state of the running sidecar.")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(*, watch: bool, as_json: bool) -> Exit:
    """Show the state of the running sidecar: environment, token, calls, and unknown outcomes.

    Where it is not ready, that says why and what to do. --watch leaves out what does not fit the terminal. The admin
    listener has the same as a page at /status.

    Exit code 0 when it is ready, 1 when it is not or does not answer.
    """
    where = admin_listener()
    if not watch:
        return _show(where, as_json=as_json)
    # Held back until it is waited for: an exception in the midst of a look may be swallowed by a finaliser.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    _show(where, as_json=as_json, watched=True)
    while signal.sigtimedwait({signal.SIGINT}, AGAIN_SECONDS) is None:
        _show(where, as_json=as_json, watched=True)
    return Exit.FINE


def _show(where: Listen, *, as_json: bool, watched: bool = False) -> Exit:
    try:
        view = _view(where)
    except NoAnswerError as error:
        _cleared(watched=watched)
        return failed(str(error))
    size = shutil.get_terminal_size()
    shown = status_lines(view, sys.stdout.encoding, size.columns, size.lines - 1 if watched else None)
    _cleared(watched=watched)
    click.echo(json.dumps(view) if as_json else "\n".join(shown))
    return Exit.FINE if view["ready"] else Exit.FAILED


def _cleared(*, watched: bool) -> None:
    """Clear the screen once there is something to show in its place."""
    if watched:
        click.clear()


def _view(where: Listen) -> dict[str, Any]:
    """Return the status as the admin listener's JSON gives it; raises NoAnswerError."""
    json_only = {"Accept": "application/json"}
    answer = ask(where, "GET", "/status", seconds=ANSWER_SECONDS, most=MOST_STATUS, headers=json_only)
    try:
        view = json.loads(answer.body) if answer.ok else None
    except ValueError:
        view = None
    if not isinstance(view, dict) or "environment" not in view:
        message = (
            f"what answers at {where} is no sidecar's admin listener, or refuses this host: see PROXY_ADMIN_LISTEN"
        )
        raise NoAnswerError(message)
    return view
