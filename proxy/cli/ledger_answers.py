"""Opens the ledger that the settings name, beside the sidecar that writes it, and answers from it.

It reads PROXY_LEDGER alone, so that who asks the ledger needs no credential. No text quotes a database's address.
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


def list_calls(wanted: Wanted, *, in_json: bool) -> Exit:
    """Print entries, the newest first."""
    with opened() as store:
        entries = list(store.entries(wanted))
    if in_json:
        click.echo(json.dumps([as_json(entry) for entry in entries], indent=2))
    elif not entries:
        click.echo("the ledger holds no call yet" if wanted == Wanted(most=wanted.most) else "no such call")
    else:
        now = time.time()
        click.echo("\n".join(table(HEAD, [row(entry, now) for entry in entries])))
    if len(entries) == wanted.most:
        click.echo(f"the newest {wanted.most}; --limit shows more", err=True)
    return Exit.FINE


def show_call(name: str, *, in_json: bool) -> Exit:
    """Print all that is known of one call."""
    with opened() as store:
        entry = one_call(store, name)
    lines = [json.dumps(as_json(entry), indent=2)] if in_json else table(None, in_full(entry, time.time()))
    click.echo("\n".join(lines))
    return Exit.FINE


def settle_calls(name: str | None, *, in_json: bool) -> Exit:
    """Have the running sidecar ask about one call, or all that are not settled."""
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


def resolve_call(name: str, settled: str, note: str, *, external: bool = False) -> Exit:
    """Note what a person knows of a call."""
    if problem := note_problem(note):
        raise click.BadParameter(problem, param_hint="--note")
    with opened() as store:
        entry = one_call(store, name, external=external)
        store.resolve(entry.number, Settled(settled), note, time.time())
    before = entry.state if entry.settled is None else entry.settled
    click.echo(f"{entry.number} {entry.intent.operation}: {settled} (before: {before.value})")
    return Exit.FINE


def export_calls(form: str, wanted: Wanted) -> Exit:
    """Write entries to stdout."""
    with opened() as store:
        entries = store.entries(wanted)
        sys.stdout.writelines(csv_lines(entries) if form == "csv" else json_lines(entries))
    return Exit.FINE


def verify_ledger() -> Exit:
    """Say whether the ledger is sound."""
    with opened() as store:
        problems = store.verify()
        unsettled = 0 if problems else store.summary().open.total()
    if problems:
        text = "\n".join(f"damaged: {problem}" for problem in problems)
        return failed(f"{text}\nkeep a copy of it; docs/runbooks/ledger-not-writable.md says what to do")
    click.echo(f"sound; calls that are not settled: {unsettled}")
    return Exit.FINE


def prune_ledger(older_than: float) -> Exit:
    """Forget old calls whose fate is known."""
    total, count = 0, PRUNED
    with opened() as store:
        while count == PRUNED:
            count = store.prune(time.time() - older_than)
            total += count
    click.echo(f"calls forgotten: {total}")
    return Exit.FINE


def wanted_calls(
    since: float | None,
    operation: str | None,
    most: int | None = None,
    *,
    unsettled: bool = False,
    unknown: bool = False,
) -> Wanted:
    """Return which entries the options ask for."""
    states = UNSETTLED if unknown else frozenset[State]()
    return Wanted(since=since, operation=operation, states=states, unsettled=unsettled, most=most)


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
