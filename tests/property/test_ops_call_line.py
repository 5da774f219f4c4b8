"""Whatever a call was: its line is the same, whichever way it is made."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Outcome
from proxy.ops.logs.call_line import call_line, form, milliseconds
from proxy.ops.logs.events import call_facts
from proxy.ops.logs.log import json_line
from proxy.relay.record import METHODS, Record, call_shape

SECONDS = st.floats(0, 1e5)
COUNTS = st.integers(0, 10**9)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", max_size=20)


@st.composite
def records(draw: st.DrawFn) -> Record:
    record = Record(
        request_id=draw(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)),
        method=draw(st.sampled_from(sorted(METHODS))),
        started=0.0,
        trace_id=draw(st.none() | st.text("0123456789abcdef", min_size=32, max_size=32)),
        outcome=draw(st.sampled_from(Outcome)),
    )
    record.caller, record.operation, record.code, record.policy = draw(st.tuples(NAMES, NAMES, NAMES, NAMES))
    record.total_seconds, record.upstream_seconds = draw(SECONDS), draw(SECONDS)
    record.caller_seconds, record.generation = draw(SECONDS), draw(COUNTS)
    record.status, record.attempts = draw(COUNTS), draw(COUNTS)
    record.request_bytes, record.response_bytes = draw(COUNTS), draw(COUNTS)
    return record


@given(records())
def test_a_call_is_the_same_line_whichever_way_it_is_made(record: Record) -> None:
    shared = form(20, "info", "request.relayed", record)
    facts = {"time": "then", "level": "info", "event": "request.relayed", **call_facts(record)}
    assert call_line("then", shared, record, json.dumps(record.request_id)) == json_line(facts)


@given(records(), records())
def test_lines_of_calls_that_are_call_shape_have_one_form(one: Record, other: Record) -> None:
    other.caller, other.method, other.operation, other.status = one.caller, one.method, one.operation, one.status
    other.outcome, other.code, other.attempts, other.policy = one.outcome, one.code, one.attempts, one.policy
    assert call_shape(one) == call_shape(other)
    assert form(20, "info", "request.relayed", one) == form(20, "info", "request.relayed", other)


@given(st.floats(0, 9e8) | st.integers(0, 10**9).map(lambda micro: micro / 1e6))
def test_a_duration_is_shown_as_rounded_to_microseconds(seconds: float) -> None:
    assert milliseconds(seconds) == repr(round(seconds * 1000.0, 3))
