"""Declares the commands that ask the outcome ledger what became of calls, or say it.

They open the ledger that the settings name, beside the sidecar that writes it. They read PROXY_LEDGER alone, so that
who asks the ledger needs no credential. No text quotes a database's address.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import click

from proxy.cli import option_types
from proxy.cli.admin.client import AddressError, written
from proxy.cli.admin.commands import answer_to
from proxy.cli.exits import Exit, failed
from proxy.cli.ledger_text import HEAD, as_json, csv_lines, fate, in_full, json_lines, row
from proxy.cli.operations import table
from proxy.config.ledger_place import ledger_place
from proxy.ledger.entry import UNSETTLED, LedgerError, Settled, State, Wanted, may_be_asked_about
from proxy.ledger.one_call import NotOneCallError, note_problem, one_call
from proxy.ledger.places import store_at
from proxy.ledger.store import PRUNED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.cli.admin.client import AdminAnswer
    from proxy.ledger.store import Store

VARIABLE: Final = "PROXY_LEDGER"
_SECONDS: Final = 10.0  # that a statement may take
_SETTLING: Final = 120.0  # seconds; the sidecar asks Localpayment before it answers
_NOT_SET: Final = (
    f"no ledger is configured: set {VARIABLE} as the sidecar has it, such as "
    f"{VARIABLE}=sqlite:/var/lib/localpayment-proxy/ledger.db"
)
_SINCE: Final = click.option(
    "--since", type=option_types.since, metavar="WHEN", help="Only calls begun since, such as 2h, 7d or 2026-01-31."
)
_OPERATION: Final = click.option("--operation", type=option_types.operation, help="Only calls of this operation.")
_JSON: Final = click.option("--json", "in_json", is_flag=True, help="Print JSON.")


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
def list_(  # noqa: PLR0913 - an option each
    *, in_json: bool, since: float | None, operation: str | None, limit: int, unsettled: bool, unknown: bool
) -> Exit:
    """List calls with effects, the newest first."""
    states = UNSETTLED if unknown else frozenset[State]()
    wanted = Wanted(since=since, operation=operation, states=states, unsettled=unsettled, most=limit)
    with opened() as store:
        entries = list(store.entries(wanted))
    if in_json:
        click.echo(json.dumps([as_json(entry) for entry in entries], indent=2))
    elif not entries:
        click.echo("the ledger holds no call yet" if wanted == Wanted(most=limit) else "no such call")
    else:
        now = time.time()
        click.echo("\n".join(table(HEAD, [row(entry, now) for entry in entries])))
    if len(entries) == limit:
        click.echo(f"the newest {limit}; --limit shows more", err=True)
    return Exit.FINE


@ledger.command(short_help="Show all that is known of a call.")
@click.argument("name", metavar="ID")
@_JSON
def show(name: str, *, in_json: bool) -> Exit:
    """Show all that the ledger holds of the call ID. Exit code 1 when there is none, or several."""
    with opened() as store:
        entry = one_call(store, name)
    lines = [json.dumps(as_json(entry), indent=2)] if in_json else table(None, in_full(entry, time.time()))
    click.echo("\n".join(lines))
    return Exit.FINE


@ledger.command(short_help="Have the sidecar ask Localpayment now.")
@click.argument("name", metavar="[ID]", required=False)
@_JSON
def settle(name: str | None, *, in_json: bool) -> Exit:
    """Have the running sidecar ask Localpayment now about the call ID, or all that are not settled.

    It asks by itself 30 seconds, 2 minutes, 10 minutes, 1 hour and later after a call's end. Nothing but reads is sent.

    Exit code 0 when all of it is known, else 1.
    """
    path = "/-/ledger/settle" + ("" if name is None else f"?id={quote(name, '', errors='surrogateescape')}")
    answer = answer_to(path, _SETTLING, "it goes on asking, and `ledger list` shows what it found")
    told = _json_of(answer)
    if not answer.ok or "calls" not in told:
        return failed(str(told.get("error", answer.body.decode("utf-8", "replace").strip())))
    calls = told["calls"]
    if in_json:
        click.echo(json.dumps(calls, indent=2))
    elif not calls:
        click.echo("nothing is left to find out")
    for call in () if in_json else calls:
        click.echo(f"{call['number']} {call['operation']}: {fate(call, time.time()) or call['state']}")
    if "more" in told:
        click.echo("these are the newest; the sidecar asks about the others by itself", err=True)
    unknown = [call for call in calls if call["settled"] is None and _left_open(State(call["state"]), call["status"])]
    return Exit.FAILED if unknown or "more" in told else Exit.FINE


def _left_open(state: State, status: int) -> bool:
    return state is State.OPEN or may_be_asked_about(state, status)


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
    if problem := note_problem(note):
        raise click.BadParameter(problem, param_hint="--note")
    with opened() as store:
        entry = one_call(store, name, external=external)
        store.resolve(entry.number, Settled(settled), note, time.time())
    before = entry.state if entry.settled is None else entry.settled
    click.echo(f"{entry.number} {entry.intent.operation}: {settled} (before: {before.value})")
    return Exit.FINE


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
    with opened() as store:
        entries = store.entries(Wanted(since=since, operation=operation))
        sys.stdout.writelines(csv_lines(entries) if form == "csv" else json_lines(entries))
    return Exit.FINE


@ledger.command(short_help="Check that the ledger is sound.")
def verify() -> Exit:
    """Read the whole ledger; exit code 1 when it is not sound, or cannot be read."""
    with opened() as store:
        problems = store.verify()
        unsettled = 0 if problems else store.summary().open.total()
    if problems:
        text = "\n".join(f"damaged: {problem}" for problem in problems)
        return failed(f"{text}\nkeep a copy of it; docs/runbooks/ledger-not-writable.md says what to do")
    click.echo(f"sound; calls that are not settled: {unsettled}")
    return Exit.FINE


@ledger.command(short_help="Forget old calls whose fate is known.")
@click.option(
    "--older-than", type=option_types.age, default="30d", show_default=True, help="How long ago a call began at least."
)
def prune(older_than: float) -> Exit:
    """Forget calls that began so long ago and whose fate is known.

    The sidecar does so every hour for calls older than PROXY_LEDGER_KEEP.
    """
    total, count = 0, PRUNED
    with opened() as store:
        while count == PRUNED:
            count = store.prune(time.time() - older_than)
            total += count
    click.echo(f"calls forgotten: {total}")
    return Exit.FINE


@contextmanager
def opened() -> Iterator[Store]:
    """Open the ledger; end the command, saying why, when that fails or what is done with it fails."""
    store = _store()
    try:
        store.open()
        yield store
    except (LedgerError, NotOneCallError) as error:
        raise _ended(str(error)) from None
    finally:
        store.close()


def _store() -> Store:
    try:
        folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]  # systemd.exec(5): colons part several
        place = ledger_place(written(VARIABLE, os.environ) or (f"sqlite:{folder}/ledger.db" if folder else "off"))
        if place != "off":
            return store_at(place, wall=time.time, timeout=_SECONDS, writes=False)
    except (AddressError, LedgerError) as error:
        text = str(error)
    except ValueError as error:
        text = f"{VARIABLE}: {error}"
    else:
        text = _NOT_SET
    raise _ended(text, Exit.BAD_CONFIGURATION)


def _json_of(answer: AdminAnswer) -> dict[str, Any]:
    try:
        told = json.loads(answer.body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _ended(text: str, code: Exit = Exit.FAILED) -> click.exceptions.Exit:
    return click.exceptions.Exit(failed(text, code))
