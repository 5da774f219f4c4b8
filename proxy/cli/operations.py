"""Prints the catalogue of operations, or the operation that a request means. It sends nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from proxy.cli.exits import Exit, failed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.api.operations import Match, Operation

    Row = dict[str, object]


@click.command(short_help="List Localpayment's operations, as policies and metrics name them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--match", "request", nargs=2, metavar="METHOD PATH", help="Explain one request instead of listing all.")
def operations(*, as_json: bool, request: tuple[str, str] | None) -> Exit:
    """List Localpayment's operations, as policies and metrics name them.

    What fits no row is `other`, and counts as a call with effects.

    Exit code 1 when the sidecar refuses the path of --match, as in `operations --match POST /api/payin`.
    """
    from proxy.api.operations import OPERATIONS  # noqa: PLC0415 - builds the catalogue

    if request is not None:
        return _explained(*request, as_json=as_json)
    if as_json:
        click.echo(json.dumps([_row(operation) for operation in OPERATIONS], indent=2))
    else:
        click.echo("\n".join(table(("OPERATION", "KIND", "METHOD", "PATH", "ID IN"), _cells(OPERATIONS))))
    return Exit.FINE


def matched(method: str, path: str) -> Match | str:
    """Return what a request means, or why it would be refused under any policy."""
    from proxy.api.target import read_target  # noqa: PLC0415 - as above
    from proxy.errors import RelayError  # noqa: PLC0415 - as above
    from proxy.relay.request.admission import check_method  # noqa: PLC0415 - as above

    try:
        check_method(method)
        return read_target(path.encode("utf-8", "surrogateescape"), method)
    except RelayError as error:
        return f"{error.status} {error.code}: {error.detail}"


def _explained(method: str, path: str, *, as_json: bool) -> Exit:
    match = matched(method, path)
    if isinstance(match, str):
        return failed(f"refused, {match}")
    facts = _facts(match)
    rows = [(name.replace("_", " "), _shown(value)) for name, value in facts.items()]
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(table(None, rows)))
    return Exit.FINE


def _row(operation: Operation) -> Row:
    return {
        "operation": operation.name,
        "kind": operation.kind.value,
        "methods": list(operation.methods),
        "paths": list(operation.templates),
        "id_in": operation.duplicate_key,
        "check": operation.check,
    }


def _facts(match: Match) -> Row:
    from proxy.api.external_id import check_path_of  # noqa: PLC0415 - as above
    from proxy.policy.grants import PRESETS  # noqa: PLC0415 - as above

    operation = match.operation
    return {
        "operation": operation.name,
        "kind": operation.kind.value,
        "presets": [name for name, held in PRESETS.items() if operation.name in held],
        "has_effects": operation.has_effects,
        "moves_money": operation.moves_money,
        "id_in": operation.duplicate_key,
        "id_in_path": match.external_id,
        "check": check_path_of(match, None) if operation.has_effects else None,
    }


def _cells(listed: Sequence[Operation]) -> Iterator[tuple[str, ...]]:
    """Give a line for each path, the operation's name on its first only."""
    for operation in listed:
        first = (operation.name, operation.kind.value, " ".join(operation.methods))
        for place, path in enumerate(operation.templates):
            yield (*(first if place == 0 else ("", "", "")), path, operation.duplicate_key or "")


def table(head: tuple[str, ...] | None, rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Format rows in columns."""
    lines = [*([head] if head else []), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _shown(value: object) -> str:
    match value:
        case None | []:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value)
        case _:
            return str(value)
