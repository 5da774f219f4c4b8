"""Turns the admin listener's status into lines for a terminal. Pure."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from proxy.cli.exits import can_encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    View = Mapping[str, Any]

CALLS_SHOWN: Final = 8
_SETTLED: Final = 3  # calls that the ledger settled last
_UNDETERMINED: Final = "what became of a call is unknown: ask Localpayment, then `localpayment-proxy ledger resolve`"
_BARS: Final = ("▁▂▃▄▅▆▇█", "_.-=+*#@")  # the second for terminals that have no such characters
_WIDTH: Final = 10  # of the words at the left
_NARROWEST: Final = 20  # of what stands right of them, however narrow the terminal
_MEANS: Final = {"sandbox": ("Sandbox: play money", "green"), "production": ("Production: real money", "red")}
_UNITS: Final = (("h", 3600), ("min", 60), ("s", 1))


def status_lines(view: View, encoding: str, width: int = 80, height: int | None = None) -> list[str]:
    """Return the lines, styled.

    Args:
        view: the status.
        encoding: the terminal's.
        width: columns that a line may have.
        height: lines that there may be; None for all. Why the sidecar is not ready is never cut.
    """
    above = [*_state(view, width), *_token(view, width), *_calls(view, encoding, width)]
    unsettled = _unsettled(view["unsettled"], width) if view["ledger"] is None else _ledger(view, width)
    warnings = [line for text in view["warnings"] for line in _rows("warning", text, width, fg="yellow")]
    calls = [
        line
        for index, call in enumerate(view["last_calls"][:CALLS_SHOWN])
        for line in _call(call, width, f"{call['milliseconds']:.1f} ms", "" if index else "last")
    ]
    below = _rows("version", f"{view['version']}, running for {_span(view['now'] - view['started'])}", width)
    if height is None:
        return [*above, *unsettled, *calls, *warnings, *below]
    left = height - len(above) - len(below)
    unsettled = _cut(unsettled, left)
    warnings = _cut(warnings, left - len(unsettled))
    return [*above, *unsettled, *calls[: max(left - len(unsettled) - len(warnings), 0)], *warnings, *below]


def sparkline(values: Sequence[float | None], encoding: str) -> str:
    """Draw a value in each column, the largest highest; a space where there is none."""
    bars = _BARS[0] if can_encode(_BARS[0], encoding) else _BARS[1]
    largest = max((value for value in values if value), default=0.0)
    steps = len(bars)
    return "".join(bars[min(int(value / largest * steps), steps - 1)] if value else " " for value in values)


def _state(view: View, width: int) -> Iterator[str]:
    title, colour = _MEANS[view["environment"]]
    yield click.style(f" {title} ", fg="bright_white", bg=colour, bold=True)
    yield from _rows("origin", view["origin"], width)
    if view["ready"]:
        yield _row("state", click.style("ready", fg="green"))
        return
    yield from _rows("state", f"not ready: {view['reason']}", width, fg="red")
    yield from _why(view["why"], width)


def _why(why: View | None, width: int) -> Iterator[str]:
    if why is not None:
        yield from _rows("why", why["cause"], width, fg="red", bold=True)
        yield from _rows("to do", why["advice"], width)


def _token(view: View, width: int) -> Iterator[str]:
    token, now = view["token"], view["now"]
    refresh = f"refresh token {_left('ends', token['refresh_expires'], now)}"
    yield from _rows("token", f"{token['state']}, {_left('ends', token['expires'], now)}; {refresh}", width)
    if token["credentials_rejected"]:
        yield from _rows("", "Localpayment refuses the credentials", width, fg="red", bold=True)
    if view["ready"]:
        yield from _why(token["failing"], width)


def _calls(view: View, encoding: str, width: int) -> Iterator[str]:
    minutes, flight = view["last_15_minutes"], view["in_flight"]
    calls, errors = sum(minutes["calls"]), sum(minutes["errors"])
    text = f"{flight['now']} in flight, {flight['limit']} at most; {calls} in 15 minutes, {errors} failed"
    yield from _rows("calls", text, width, fg="red" if errors else None)
    if calls:
        slowest = max(value for value in minutes["p95_ms"] if value is not None)
        drawn = _room(width) - len("calls ")
        yield _row("", f"calls {sparkline(minutes['calls'], encoding)[-drawn:]}")
        yield _row("", f"95 %  {sparkline(minutes['p95_ms'], encoding)[-drawn:]}")
        yield from _rows("", f"95 % of the calls within {slowest:g} ms", width)


def _unsettled(unsettled: View, width: int) -> list[str]:
    total = unsettled["total"]
    if not total:
        return _rows("unknown", "no outcome since the start", width)
    lines = _rows("unknown", f"{total} outcomes since the start", width, fg="red", bold=True)
    for call in unsettled["last"]:
        lines += _call(call, width, f"request_id {call['request_id']}")
    return lines


def _ledger(view: View, width: int) -> list[str]:
    ledger, now = view["ledger"], view["now"]
    lines = []
    if ledger["fault"]:
        lines += _rows("ledger", f"cannot be written: {ledger['fault']}", width, fg="red", bold=True)
    if ledger["unsettled"]:
        text = f"calls are not settled, the oldest for {_span(now - ledger['oldest'])}"
        lines += _rows("ledger", f"{text}: `localpayment-proxy ledger list`", width, fg="red", bold=True)
    for call in ledger["unsettled"]:
        text = f"{call['operation']} {call['state']}, {_span(now - call['at'])} old"
        lines += _rows("", f"{text}  request_id {call['request_id']}", width)
    if any(call["settled"] == "undetermined" for call in ledger["settled"]):
        lines += _rows("ledger", _UNDETERMINED, width, fg="red", bold=True)
    lines = lines or _rows("ledger", "no call waits to be settled", width)
    for call in ledger["settled"][:_SETTLED]:
        found = f"{call['settled']} ({call['detail']})" if call["detail"] else call["settled"]
        text = f"{_clock(call['settled_at'])} {call['operation']} {found} after {call['state']}"
        color = "red" if call["settled"] == "undetermined" else None
        lines += _rows("", f"{text}  request_id {call['request_id']}", width, fg=color)
    return lines


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def _call(call: View, width: int, end: str, name: str = "") -> list[str]:
    at, status = _clock(call["at"]), str(call["status"] or "---")
    text = f"{at} {call['operation']:<20} {status} {call['outcome']} {call['code']}".rstrip()
    return _rows(name, f"{text}  {end}", width, fg="red" if call["wrong"] else None)


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


def _rows(name: str, text: str, width: int, **style: Any) -> list[str]:  # noqa: ANN401 - click's styles
    """Break a text into as many rows as it takes; the name stands before the first."""
    pieces = textwrap.wrap(text, _room(width), break_on_hyphens=False) or [""]
    return [_row("" if place else name, click.style(piece, **style)) for place, piece in enumerate(pieces)]


def _room(width: int) -> int:
    """Return how many columns stand right of the words."""
    return max(width - _WIDTH, _NARROWEST)


def _cut(lines: list[str], most: int) -> list[str]:
    """Leave out what does not fit, and say so."""
    if len(lines) <= max(most, 0):
        return lines
    return [*lines[: most - 1], _row("", f"… {len(lines) - most + 1} lines more: `localpayment-proxy status`")][
        : max(most, 0)
    ]
