"""Formats a call's log line fast, with the same bytes as the general formatter.

Pure. Only the request id is free text, and it is masked and quoted before it gets here. All else is from closed sets,
the policy's names, or numbers. A test compares it with the general formatter, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.relay.record import Record

_MILLI: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Form:
    """What lines of calls that are alike have in common: the text between what differs.

    Attributes:
        severity: of such a call, as `logging` numbers it.
        event: from the moment to the request id.
        call: from the trace to the bytes.
        attempts: from the durations to the token's generation.
        end: what follows that.
    """

    severity: int
    event: str
    call: str
    attempts: str
    end: str


def form(severity: int, level: str, event: str, record: Record) -> Form:
    """Return the form of a call's line, the same for all calls that are `alike`."""
    code = f'"{record.code}"' if record.code else "null"
    policy = f',"policy":"{record.policy}"' if record.policy else ""
    return Form(
        severity=severity,
        event=f'","level":"{level}","event":"{event}","request_id":',
        call=f',"caller":"{record.caller}","method":"{record.method}","operation":"{record.operation}",'
        f'"status":{record.status},"outcome":"{record.outcome}","code":{code},"request_bytes":',
        attempts=f',"attempts":{record.attempts},"token_generation":',
        end=f"{policy}}}\n",
    )


def call_line(moment: str, form: Form, record: Record, request_id: str) -> str:
    """Return a line of JSON.

    Args:
        moment: the time, as lines show it.
        form: what it shares with lines of calls like this one.
        record: of the call.
        request_id: the record's, as a JSON string in its quotes.
    """
    trace = "null" if record.trace_id is None else f'"{record.trace_id}"'
    return (
        f'{{"time":"{moment}{form.event}{request_id},"trace_id":{trace}{form.call}{record.request_bytes},'
        f'"response_bytes":{record.response_bytes},"total_ms":{milliseconds(record.total_seconds)},'
        f'"upstream_ms":{milliseconds(record.upstream_seconds)},"own_ms":{milliseconds(record.own_seconds)}'
        f"{form.attempts}{record.generation}{form.end}"
    )


def milliseconds(seconds: float) -> str:
    """Return what `repr(round(seconds * 1000, 3))` does for less than 30 years, where rounding once is exact."""
    text = f"{seconds * _MILLI:.3f}"
    if text[-1] != "0":
        return text
    return text[:-2] if text[-2:] == "00" else text[:-1]
