"""Whatever is observed: our histograms and counters are exposed as the library's are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from proxy.ops.metrics.series import FastCounter, FastHistogram

BOUNDS = (0.0, 0.005, 0.5, 2.5)
TEXT = "Seconds."
disable_created_metrics()  # type: ignore[no-untyped-call]  # for the whole process, as the registry of the product does


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([*BOUNDS, 0.001, 1.0, 99.0])), max_size=40))
def test_a_tally_is_exposed_as_the_librarys_histogram_is(observed: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    fast_histogram = FastHistogram("took_seconds", TEXT, BOUNDS, ["operation"])
    ours.register(fast_histogram)
    histogram = Histogram("took_seconds", TEXT, ["operation"], buckets=BOUNDS, registry=theirs)
    for operation, value in observed:
        fast_histogram.labels(operation).observe(value)
        histogram.labels(operation).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([200, 404]), st.integers(0, 10**12)), max_size=40))
def test_counts_are_exposed_as_the_librarys_counter_is(counted: list[tuple[str, int, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = FastCounter("calls", TEXT, ["operation", "status"])
    ours.register(counts)
    counter = Counter("calls", TEXT, ["operation", "status"], registry=theirs)
    for operation, status, amount in counted:
        counts.labels(operation, status).value += amount
        counter.labels(operation, status).inc(amount)
    assert generate_latest(ours) == generate_latest(theirs)
    assert openmetrics(ours) == openmetrics(theirs)  # type: ignore[no-untyped-call]  # the library leaves this one bare


def test_a_counter_without_labels_begins_at_0() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = FastCounter("calls", TEXT, [])
    ours.register(counts)
    counter = Counter("calls", TEXT, registry=theirs)
    assert generate_latest(ours) == generate_latest(theirs)
    counts.labels().inc()
    counter.inc()
    assert generate_latest(ours) == generate_latest(theirs)


def test_a_bucket_shows_the_trace_of_the_last_value_that_had_one() -> None:
    registry = CollectorRegistry()
    fast_histogram = FastHistogram("took_seconds", TEXT, BOUNDS, [])
    registry.register(fast_histogram)
    for value, trace_id in ((0.3, "first"), (0.4, "second"), (0.2, None), (1.0, None)):
        fast_histogram.labels().observe(value, trace_id, 1_764_000_000.5)
    text = openmetrics(registry).decode()  # type: ignore[no-untyped-call]  # the library leaves this one bare
    (shown,) = [line for line in text.splitlines() if "#" in line and "trace_id" in line]
    assert shown == 'took_seconds_bucket{le="0.5"} 3.0 # {trace_id="second"} 0.4 1764000000.5'
