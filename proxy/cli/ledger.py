"""Declares the commands that ask the outcome ledger what became of calls, or say it.

Each imports its work when it runs: this file is read by every command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from proxy.cli import option_types

if TYPE_CHECKING:
    from proxy.cli.exits import Exit

_SINCE: Final = click.option(
    "--since", type=option_types.since, metavar="WHEN", help="Only calls begun since, such as 2h, 7d or 2026-01-31."
)
_OPERATION: Final = click.option("--operation", type=option_types.operation, help="Only calls of this operation.")
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(short_help="What became of each call with effects.")
def ledger() -> None:
    """Ask the outcome ledger what became of each call with effects, or say it.

    The ledger is the one that PROXY_LEDGER names, as for `serve`; no credential is needed. An ID is the number of an
    entry, a request id or an external id. docs/how-to/ledger-commands.md has examples.
    """


@ledger.command("list", short_help="List calls, the newest first.")
@click.option("--open", "unsettled", is_flag=True, help="Only calls whose fate is not known yet.")
@click.option("--unknown", is_flag=True, help="Only calls whose end was not seen, settled or not.")
@_SINCE
@_OPERATION
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@_JSON
def list_(*, as_json: bool, since: float | None, operation: str | None, limit: int, **only: bool) -> Exit:
    """List calls with effects, the newest first."""
    from proxy.cli.ledger_answers import list_calls, wanted_calls  # noqa: PLC0415 - json, csv, http.client

    return list_calls(wanted_calls(since, operation, limit, **only), in_json=as_json)


@ledger.command(short_help="Show all that is known of a call.")
@click.argument("name", metavar="ID")
@_JSON
def show(name: str, *, as_json: bool) -> Exit:
    """Show all that the ledger holds of the call ID. Exit code 1 when there is none, or several."""
    from proxy.cli.ledger_answers import show_call  # noqa: PLC0415 - as above

    return show_call(name, in_json=as_json)


@ledger.command(short_help="Have the sidecar ask Localpayment now.")
@click.argument("name", metavar="[ID]", required=False)
@_JSON
def settle(name: str | None, *, as_json: bool) -> Exit:
    """Have the running sidecar ask Localpayment now about the call ID, or all that are not settled.

    It asks by itself 30 seconds, 2 minutes, 10 minutes, 1 hour and later after a call's end. Nothing but reads is sent.

    Exit code 0 when all of it is known, else 1.
    """
    from proxy.cli.ledger_answers import settle_calls  # noqa: PLC0415 - as above

    return settle_calls(name, in_json=as_json)


@ledger.command(short_help="Say what became of a call.")
@click.argument("name", metavar="ID")
@click.option(
    "--as", "settled", type=click.Choice(["executed", "not_executed"]), required=True, help="What became of it."
)
@click.option("--note", default="", help="How you know, such as a ticket's number; never a name, card or account.")
@click.option("--external-id", "external", is_flag=True, help="ID is an external id.")
def resolve(name: str, settled: str, note: str, *, external: bool) -> Exit:
    """Note what a person knows of the call ID.

    It stands, whatever was known before: the sidecar asks no more. After `not_executed` the same call is no repeat. No
    sidecar needs to run; programs use `POST /-/ledger/ID/resolve` of its admin listener.
    """
    from proxy.cli.ledger_answers import resolve_call  # noqa: PLC0415 - as above

    return resolve_call(name, settled, note, external=external)


@ledger.command(short_help="Write calls to stdout, for other programs.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="JSON, an object a line, or CSV.",
)
@_SINCE
@_OPERATION
def export(form: str, since: float | None, operation: str | None) -> Exit:
    """Write calls to stdout, the newest first, with external ids in plain text.

    The sidecar goes on writing meanwhile.
    """
    from proxy.cli.ledger_answers import export_calls, wanted_calls  # noqa: PLC0415 - as above

    return export_calls(form, wanted_calls(since, operation))


@ledger.command(short_help="Check that the ledger is sound.")
def verify() -> Exit:
    """Read the whole ledger; exit code 1 when it is not sound, or cannot be read."""
    from proxy.cli.ledger_answers import verify_ledger  # noqa: PLC0415 - as above

    return verify_ledger()


@ledger.command(short_help="Forget old calls whose fate is known.")
@click.option(
    "--older-than", type=option_types.age, default="30d", show_default=True, help="How long ago a call began at least."
)
def prune(older_than: float) -> Exit:
    """Forget calls that began so long ago and whose fate is known.

    The sidecar does so every hour for calls older than PROXY_LEDGER_KEEP.
    """
    from proxy.cli.ledger_answers import prune_ledger  # noqa: PLC0415 - as above

    return prune_ledger(older_than)
