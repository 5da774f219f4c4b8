from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Outcome
from proxy.ops.call_line import call_line
from proxy.ops.events import call_facts
from proxy.ops.logs import json_line
from proxy.relay.record import METHODS, Record

SECONDS = st.floats(0, 1e5)
COUNTS = st.integers(0, 10**9)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", max_size=20)


@given(
    request_id=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128),
    trace_id=st.none() | st.text("0123456789abcdef", min_size=32, max_size=32),
    names=st.tuples(NAMES, NAMES, NAMES, NAMES),
    method=st.sampled_from(sorted(METHODS)),
    outcome=st.sampled_from(Outcome),
    seconds=st.tuples(SECONDS, SECONDS, SECONDS),
    counts=st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
)
def test_a_call_is_the_same_line_whichever_way_it_is_made(  # noqa: PLR0917 - a record has so many sides
    request_id: str,
    trace_id: str | None,
    names: tuple[str, str, str, str],
    method: str,
    outcome: Outcome,
    seconds: tuple[float, float, float],
    counts: tuple[int, int, int, int, int],
) -> None:
    caller, operation, code, policy = names
    record = Record(request_id, method, 0.0, trace_id, caller, operation, outcome=outcome, code=code, policy=policy)
    record.total_seconds, record.upstream_seconds, record.caller_seconds = seconds
    record.status, record.request_bytes, record.response_bytes, record.attempts, record.generation = counts
    facts = {"time": "then", "level": "info", "event": "request.relayed", **call_facts(record)}
    assert call_line("then", "info", "request.relayed", record, json.dumps(request_id)) == json_line(facts)
