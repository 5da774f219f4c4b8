"""A call's spans hang together, and each attempt names its own span to Localpayment."""

from __future__ import annotations

import itertools
import re

import pytest

from proxy.relay.request.request_fields import read_fields, without_lines
from proxy.relay.request.trace_context import CallerSpan, Lineage, caller_span, lineage

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def traceparent(flags: str = "01") -> list[tuple[bytes, bytes]]:
    return [(b"TraceParent", f"00-{TRACE}-{PARENT}-{flags}".encode())]


def place(headers: list[tuple[bytes, bytes]]) -> Lineage:
    """A lineage whose ids count from 1, and whose clock adds a second each time that it is read."""
    numbers, seconds = itertools.count(1), itertools.count(100)
    found = lineage(read_fields(headers).told, lambda _: next(numbers), lambda: float(next(seconds)))
    assert found is not None
    return found


def test_a_sampled_caller_is_the_parent() -> None:
    found = place(traceparent())
    assert (found.trace_id, found.parent_id, found.span_id, found.flags) == (TRACE, PARENT, f"{1:016x}", 1)


def test_a_caller_that_wants_none_told_gets_none() -> None:
    assert lineage(read_fields(traceparent("00")).told, lambda _: 1, lambda: 0.0) is None
    assert lineage(read_fields(traceparent("fe")).told, lambda _: 1, lambda: 0.0) is None


def test_a_trace_without_a_caller_begins_here_and_is_sampled() -> None:
    for headers in ([], [(b"traceparent", b"nonsense")], [*traceparent(), *traceparent()]):
        found = place(headers)
        assert (found.trace_id, found.parent_id, found.span_id) == (f"{1:032x}", None, f"{2:016x}")
        assert found.flags & 1


@pytest.mark.parametrize(("sent", "goes_on"), [("01", "01"), ("03", "03"), ("ff", "03"), ("05", "01")])
def test_flags_that_are_not_known_do_not_go_on(sent: str, goes_on: str) -> None:
    assert place(traceparent(sent)).outgoing().decode().endswith(f"-{goes_on}")


def test_each_attempt_is_a_span_of_its_own_in_the_place_of_the_callers() -> None:
    found = place(traceparent())
    assert found.replaced == {b"traceparent"}
    spans = []
    for value in (found.outgoing(), found.outgoing()):
        read = TRACEPARENT.fullmatch(value)
        assert read is not None
        assert read[1].decode() == TRACE
        spans.append(read[2].decode())
    assert spans == [attempt.span_id for attempt in found.attempts]
    assert len({*spans, found.span_id, PARENT}) == 4


def test_the_state_of_a_trace_that_could_not_be_read_does_not_go_on() -> None:
    assert place([(b"traceparent", b"nonsense")]).replaced == {b"traceparent", b"tracestate"}


def test_the_fields_in_whose_place_it_goes_are_left_out_however_they_are_spelled() -> None:
    lines = b"TraceParent: x\r\nA: 1\r\nTRACE_STATE: b\r\ntracestate: c\r\nB: 2\r\n"
    assert without_lines(lines, place([]).replaced) == b"A: 1\r\nTRACE_STATE: b\r\nB: 2\r\n"


def test_an_attempt_lasts_from_its_field_to_its_end() -> None:
    found = place(traceparent())
    found.over()
    found.outgoing()
    found.over()
    found.outgoing()
    assert [(attempt.started, attempt.ended) for attempt in found.attempts] == [(100.0, 101.0), (102.0, None)]


def test_no_id_is_all_zeros() -> None:
    found = lineage(read_fields([]).told, lambda _: 0, lambda: 0.0)
    assert found is not None
    found.outgoing()
    assert all(int(text, 16) for text in (found.trace_id, found.span_id, found.attempts[0].span_id))


def test_a_span_of_the_caller_is_read_whole() -> None:
    assert caller_span(read_fields(traceparent("a5")).told) == CallerSpan(TRACE, PARENT, 0xA5)
