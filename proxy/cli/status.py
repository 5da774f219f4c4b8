"""What does the running sidecar say of itself in a terminal? Its admin listener's status, once or again and again."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from proxy.cli.exits import Exit
from proxy.cli.outcome import admin, failed

if TYPE_CHECKING:
    from proxy.config import Listen

AGAIN_SECONDS: Final = 2.0  # between two looks of --watch


@click.command(short_help="Show how the running sidecar is.")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(*, watch: bool, as_json: bool) -> Exit:
    """Show how the sidecar of this machine is: environment, token, calls, and what nobody knows the outcome of.

    Exit code 0 when it is ready, 1 when it is not or does not answer. The same as a page for a browser is at /status of
    the admin listener.
    """
    where = admin()
    if not watch:
        return _show(where, as_json=as_json)
    try:
        while True:
            click.clear()
            _show(where, as_json=as_json)
            time.sleep(AGAIN_SECONDS)
    except KeyboardInterrupt:
        return Exit.FINE


def _show(where: Listen, *, as_json: bool) -> Exit:
    from proxy.cli.asking import NoStatusError, fetched  # noqa: PLC0415 - http.client
    from proxy.cli.overview import overview  # noqa: PLC0415 - as above

    try:
        view = fetched(where)
    except NoStatusError as error:
        return failed(str(error))
    for line in [json.dumps(view)] if as_json else overview(view, sys.stdout.encoding):
        click.echo(line)
    return Exit.FINE if view["ready"] else Exit.FAILED
