"""Calls wait for no exporter: the queue is bounded, what is lost is counted, and the end does not wait for long."""

from __future__ import annotations

import dataclasses
import io
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import Origin
from proxy.config.addresses import Collector
from proxy.ops.logs.log import open_log
from proxy.ops.tracing.exporter import BATCH, Traces, TracingError, open_traces
from proxy.ops.tracing.spans import Span, SpanEndpoints
from proxy.relay.record import Record
from proxy.relay.request.trace_context import Lineage
from tests.support.sidecars import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BOUND = 10.0  # seconds that nothing here may take; only a defect reaches it


class Held:
    """An exporter that waits at a gate; it says what it is told to say, or raises it."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.done = threading.Semaphore(0)
        self.batches: list[list[Span]] = []
        self.says: str | Exception = ""
        self.closed = False

    def export(self, batch: Sequence[Span]) -> str:
        self.entered.release()
        assert self.gate.wait(BOUND)
        self.batches.append(list(batch))
        self.done.release()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def close(self) -> None:
        self.closed = True


class Bench:
    """Traces with an exporter of the test's, and what they log."""

    def __init__(self, **options: Any) -> None:
        self.exporter = Held()
        self.stream = io.StringIO()
        log = open_log("info", "json", self.stream)
        self.traces = Traces(self.exporter, SpanEndpoints({}, {}), log.logger, delay=0.0, **options)

    def observe(self, count: int = 1) -> None:
        for number in range(count):
            place = Lineage("a" * 32, None, f"{number + 1:016x}", 1, lambda _: 1, lambda: 0.0)
            self.traces.observe(Record("r", "GET", 0.0, lineage=place), 1.0)

    def exported(self) -> list[Span]:
        """Wait for a batch; return it."""
        assert self.exporter.done.acquire(timeout=BOUND)
        return self.exporter.batches[-1]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(waiting=4)
    yield made
    made.exporter.gate.set()
    made.traces.close(BOUND)


def test_a_call_becomes_its_spans(bench: Bench) -> None:
    bench.observe()
    (span,) = bench.exported()
    assert (span.name, span.trace_id) == ("other", "a" * 32)


def test_a_call_that_is_not_traced_is_left_alone(bench: Bench) -> None:
    bench.traces.observe(Record("r", "GET", 0.0), 1.0)
    assert bench.traces.close(BOUND)
    assert bench.exporter.batches == []
    assert bench.traces.lost == 0


def test_while_the_exporter_waits_calls_queue_up_to_the_bound_and_then_are_counted(bench: Bench) -> None:
    bench.exporter.gate.clear()
    bench.observe()
    assert bench.exporter.entered.acquire(timeout=BOUND)
    bench.observe(10)
    assert bench.traces.lost == 6
    bench.exporter.gate.set()
    bench.exported()
    assert len(bench.exported()) + sum(len(batch) for batch in bench.exporter.batches[1:-1]) <= 4


def test_a_batch_is_bounded() -> None:
    bench = Bench(waiting=10 * BATCH)
    bench.exporter.gate.clear()
    bench.observe()
    assert bench.exporter.entered.acquire(timeout=BOUND)
    bench.observe(2 * BATCH)
    bench.exporter.gate.set()
    assert bench.traces.close(BOUND)
    assert max(len(batch) for batch in bench.exporter.batches) == BATCH
    assert sum(len(batch) for batch in bench.exporter.batches) == 2 * BATCH + 1
    assert bench.exporter.closed


def test_failures_are_counted_each_and_told_once_until_it_works_again(bench: Bench) -> None:
    for says in ("no answer from the collector", "the collector answered 401", "", ""):
        bench.exporter.says = says
        bench.observe()
        bench.exported()
    assert bench.traces.close(BOUND)
    assert bench.traces.lost == 2
    assert [(line["event"], line.get("reason"), line.get("lost")) for line in bench.lines] == [
        ("traces.export_failed", "no answer from the collector", None),
        ("traces.exported_again", None, 2),
    ]


def test_an_exporter_that_raises_ends_nothing_and_its_text_is_not_told(bench: Bench) -> None:
    bench.exporter.says = RuntimeError("canary")
    bench.observe()
    bench.exported()
    bench.exporter.says = ""
    bench.observe()
    bench.exported()
    assert bench.traces.close(BOUND)
    assert bench.lines[0]["reason"].startswith(f"RuntimeError in {__name__}:")
    assert "canary" not in bench.stream.getvalue()


def test_without_an_endpoint_nothing_is_opened() -> None:
    assert open_traces(DEFAULTS, open_log("info", "json", io.StringIO()), "1") is None


def test_header_fields_that_are_gone_by_now_are_told_with_their_setting(tmp_path: Path) -> None:
    there = Collector(Origin("127.0.0.1", 4318, tls=False))
    settings = dataclasses.replace(DEFAULTS, otel_endpoint=there, otel_headers_file=tmp_path / "gone")
    with pytest.raises(TracingError, match=r"^PROXY_OTEL_HEADERS_FILE=.*/gone: there is no such file"):
        open_traces(settings, open_log("info", "json", io.StringIO()), "1")


def test_the_end_waits_for_what_waits_but_not_for_long(bench: Bench) -> None:
    bench.observe(3)
    bench.exporter.gate.clear()
    assert not bench.traces.close(0.01)
    assert bench.exporter.closed
    bench.observe()
    assert bench.traces.lost == 1
