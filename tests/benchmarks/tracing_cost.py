"""Measures what tracing costs a call: `python -m tests.benchmarks.tracing_cost` prints a table in seconds.

Off, it is all that the relay does then: looking whether a call has a lineage. On, the event loop's share and the
exporting thread's are told apart; the second waits for no call, but takes the same core.
"""

from __future__ import annotations

import contextlib
import io
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from proxy.errors import Outcome
from proxy.ops.logs.log import open_log
from proxy.ops.tracing.exporter import BATCH, Traces
from proxy.ops.tracing.otlp import Otlp
from proxy.ops.tracing.spans import SpanEndpoints, spans
from proxy.relay.record import Record
from proxy.relay.request.request_fields import read_fields
from proxy.relay.request.trace_context import lineage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from proxy.ops.tracing.spans import Span

CALLS: Final = 20_000
FIELDS: Final = [
    (b"Host", b"localhost:8080"),
    (b"Accept", b"*/*"),
    (b"Content-Type", b"application/json"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    (b"tracestate", b"vendor=1"),
]
ENDS: Final = SpanEndpoints(
    {"url.scheme": "http", "server.address": "127.0.0.1", "server.port": 8080},
    {"url.scheme": "https", "server.address": "api.example", "server.port": 443},
)


class Nowhere:
    """An exporter that sends nothing."""

    def export(self, batch: Sequence[Span]) -> str:
        del batch
        return ""

    def close(self) -> None:
        pass


def record(*, traced: bool) -> Record:
    found = lineage(read_fields(FIELDS).told, random.getrandbits, time.monotonic) if traced else None
    made = Record("r-1", "GET", time.monotonic(), operation="get_balance", status=200, outcome=Outcome.ANSWERED)
    made.attempts, made.lineage = 1, found
    return made


def off(made: Record) -> None:
    """Do all that the relay does for tracing while it is off: look as a call goes out, and as it has ended."""
    if made.lineage is None:
        pass
    if made.lineage is not None:
        made.lineage.over()


def on(traces: Traces) -> None:
    """Do what the event loop does for each call while traces are on."""
    made = record(traced=True)
    assert made.lineage is not None
    made.lineage.outgoing()
    made.lineage.over()
    traces.observe(made, 1_800_000_000.0)


def microseconds(work: Callable[[], object], times: int = CALLS) -> float:
    """CPU of this thread for one call; the least of five rounds, since what else the machine does only ever adds."""
    rounds = []
    for _ in range(5):
        began = time.thread_time()
        for _ in range(times):
            work()
        rounds.append((time.thread_time() - began) / times * 1e6)
    return min(rounds)


class Receiver(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    finally:
        server.shutdown()
        server.server_close()


def cost() -> dict[str, float]:
    """Microseconds of CPU for one call that is sent once, by where they are spent."""
    plain, traces = record(traced=False), Traces(Nowhere(), ENDS, open_log("info", "json", io.StringIO()).logger)
    over = [record(traced=True) for _ in range(BATCH)]
    for made in over:
        assert made.lineage is not None
        made.lineage.outgoing()
        made.lineage.over()
    nothing = microseconds(lambda: None)
    of_record = microseconds(lambda: record(traced=False)) - nothing
    with receiver() as endpoint:
        otlp = Otlp(endpoint, (), "1", "sandbox")

        def export() -> None:
            reason = otlp.export([span for made in over for span in spans(made, 1_800_000_000.0, ENDS)])
            assert reason == ""

        found = {
            "off": microseconds(lambda: off(plain)) - nothing,
            "on, event loop": microseconds(lambda: on(traces)) - nothing - of_record,
            "on, exporting thread": microseconds(export, 40) / BATCH,
        }
        otlp.close()
    traces.close(60)
    return found


def table(found: dict[str, float]) -> str:
    return "\n".join(f"{name:<22}{value:8.2f} µs a call" for name, value in found.items())


if __name__ == "__main__":
    sys.stdout.write(table(cost()) + "\n")
