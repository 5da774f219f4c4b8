"""Times what is told of a call that is over. Run by `make bench-micro`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from proxy.ops.admin.history import History
from proxy.ops.logs.events import Events
from proxy.ops.logs.log import open_log
from proxy.ops.logs.redaction import KnownSecrets
from proxy.ops.metrics.metrics import Metrics
from proxy.ops.observers import Observers
from proxy.secret import Secret
from tests.benchmarks.samples import AUTHORIZATION, REQUEST_ID, record
from tests.benchmarks.workload import Nowhere

if TYPE_CHECKING:
    from collections.abc import Callable

    Benchmark = Callable[..., Any]


NOW = 1_800_000_000.0


class Last(Nowhere):
    """A stream that keeps what was written last."""

    text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def test_a_call_is_counted(benchmark: Benchmark) -> None:
    metrics, call = Metrics("0", "sandbox"), record()
    benchmark(metrics.observe, call, NOW)
    value = metrics.registry.get_sample_value("localpayment_proxy_own_duration_seconds_count")
    assert value is not None
    assert value >= 1


def test_a_line_is_written(benchmark: Benchmark) -> None:
    stream = Last()
    log = open_log("info", "json", stream)
    log.known.learn(Secret(AUTHORIZATION.decode()), Secret("another-secret"), Secret("a-third-secret"))
    events, call = Events(log), record()
    benchmark(events.observe, call, NOW)
    assert json.loads(stream.text)["event"] == "request.relayed"


def test_a_line_is_looked_through_for_secrets(benchmark: Benchmark) -> None:
    known = KnownSecrets()
    known.learn(*(Secret(f"secret-{number}" * 10) for number in range(6)))
    line = '{"event":"request.relayed","request_id":"019ab4c2-7a10-7c3e-9d5a-0123456789ab","total_ms":81.234}' * 4
    assert benchmark(known.redacted, line) == line


def test_a_call_goes_down_in_history(benchmark: Benchmark) -> None:
    history, call = History(), record()
    assert benchmark(history.observe, call, NOW) is None


def test_all_that_look_on_see_a_call(benchmark: Benchmark) -> None:
    stream = Last()
    log, metrics = open_log("info", "json", stream), Metrics("0", "sandbox")
    observers = Observers(log, metrics, Events(log), History(), audit=None, traces=None, wall=time.time)
    benchmark(observers.observe, record())
    assert json.loads(stream.text)["request_id"] == REQUEST_ID.decode()
