"""Formats log lines for people; a call's line fits a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from structlog.typing import EventDict

_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}
_LEADING: Final = ("time", "level", "event")
_CALLS: Final = frozenset(("request.relayed", "request.refused"))
_LEVEL_WIDTH: Final = 8  # the length of `critical`


class Console:
    """Lines for people, with ANSI colours or without."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def render(self, facts: EventDict) -> str:
        """Make a line of facts."""
        level, event = str(facts["level"]), str(facts["event"])
        time = str(facts["time"])[11:23]
        text = _call(facts) if event in _CALLS else _other(facts)
        head = f"{time} {self._painted(level, f'{level:<{_LEVEL_WIDTH}}')} {event}"
        return f"{head}  {text}".rstrip() + "\n"

    def _painted(self, level: str, text: str) -> str:
        return f"\x1b[{_COLOURS[level]}m{text}\x1b[0m" if self._colours else text


def _call(facts: EventDict) -> str:
    parts = [
        f"{facts['method']} {facts['operation']} → {facts['status'] or 'no answer'} {facts['outcome']}",
        f"{facts['total_ms']:.1f} ms (Localpayment {facts['upstream_ms']:.1f})",
        *(f"{facts[name]}" for name in ("code",) if facts[name]),
        *([f"{facts['attempts']} attempts"] if facts["attempts"] > 1 else []),
        *([f"by {facts['caller']}"] if facts["caller"] else []),
        str(facts["request_id"]),
    ]
    return ", ".join(parts)


def _other(facts: EventDict) -> str:
    return _pairs({name: value for name, value in facts.items() if name not in _LEADING})


def _pairs(facts: EventDict) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in facts.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{_pairs(value)}}}"
    text = str(value)
    return text if text and text.isprintable() and " " not in text else repr(text)
