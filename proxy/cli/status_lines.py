"""Turns the admin listener's status into lines for a terminal. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from proxy.cli.exits import can_encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    View = Mapping[str, Any]

CALLS_SHOWN: Final = 8
_BARS: Final = ("▁▂▃▄▅▆▇█", "_.-=+*#@")  # the second for terminals that have no such characters
_WIDTH: Final = 10  # of the words at the left
_MEANS: Final = {"sandbox": ("Sandbox: play money", "green"), "production": ("Production: real money", "red")}
_UNITS: Final = (("h", 3600), ("min", 60), ("s", 1))


def status_lines(view: View, encoding: str) -> Iterator[str]:
    """Return the lines, styled; `encoding` is the terminal's."""
    title, colour = _MEANS[view["environment"]]
    state = click.style("ready", fg="green") if view["ready"] else click.style(f"not ready: {view['reason']}", fg="red")
    yield f"{click.style(f' {title} ', fg='bright_white', bg=colour, bold=True)}  {view['origin']}  {state}"
    token, now = view["token"], view["now"]
    yield _row("token", f"{token['state']}, {_left('ends', token['expires'], now)}")
    yield _row("", f"refresh token {_left('ends', token['refresh_expires'], now)}")
    if token["credentials_rejected"]:
        yield _row("", click.style("Localpayment refuses the credentials", fg="red", bold=True))
    yield _row("calls", f"{view['in_flight']['now']} in flight, {view['in_flight']['limit']} at most")
    yield from _minutes(view["last_15_minutes"], encoding)
    yield from _unsettled(view["unsettled"])
    for call in view["last_calls"][:CALLS_SHOWN]:
        yield _row("", _call(call))
    for text in view["warnings"]:
        yield _row("warning", click.style(text, fg="yellow"))
    yield _row("version", f"{view['version']}, running for {_span(now - view['started'])}")


def sparkline(values: Sequence[float | None], encoding: str) -> str:
    """Draw a value in each column, the largest highest; a space where there is none."""
    bars = _BARS[0] if can_encode(_BARS[0], encoding) else _BARS[1]
    largest = max((value for value in values if value), default=0.0)
    return "".join(bars[_step(value, largest, len(bars))] if value else " " for value in values)


def _minutes(minutes: View, encoding: str) -> Iterator[str]:
    calls, errors = sum(minutes["calls"]), sum(minutes["errors"])
    text = f"{calls} in 15 minutes, {errors} failed"
    yield _row("", click.style(text, fg="red") if errors else text)
    if calls:
        slowest = max(value for value in minutes["p95_ms"] if value is not None)
        yield _row("", f"calls {sparkline(minutes['calls'], encoding)}")
        yield _row("", f"95 %  {sparkline(minutes['p95_ms'], encoding)} at most {slowest:g} ms")


def _unsettled(unsettled: View) -> Iterator[str]:
    total = unsettled["total"]
    if not total:
        yield _row("unknown", "no outcome since the start")
        return
    yield _row("unknown", click.style(f"{total} outcomes since the start", fg="red", bold=True))
    for call in unsettled["last"]:
        yield _row("", _call(call))


def _call(call: View) -> str:
    at = datetime.fromtimestamp(call["at"], UTC)
    code = f" {call['code']}" if call["code"] else ""
    text = f"{at:%H:%M:%S} {call['operation']:<24} {call['status'] or '---'} {call['outcome']}{code}"
    return f"{text}  {call['milliseconds']:.1f} ms"


def _left(word: str, moment: float | None, now: float) -> str:
    if moment is None:
        return "none held"
    return f"{word} in {_span(moment - now)}" if moment > now else "at its end"


def _span(seconds: float) -> str:
    rest, parts = int(max(seconds, 0)), list[str]()
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _row(name: str, text: str) -> str:
    return f"{click.style(f'{name:<{_WIDTH}}', dim=True)}{text}"


def _step(value: float, largest: float, steps: int) -> int:
    return min(int(value / largest * steps), steps - 1)
