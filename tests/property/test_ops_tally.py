from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from proxy.ops.tally import Tallies

BOUNDS = (0.0, 0.005, 0.5, 2.5)
TEXT = "Seconds."


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([*BOUNDS, 0.001, 1.0, 99.0])), max_size=40))
def test_a_tally_is_exposed_as_the_librarys_histogram_is(observed: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tallies = Tallies("took_seconds", TEXT, BOUNDS, ["operation"])
    ours.register(tallies)
    histogram = Histogram("took_seconds", TEXT, ["operation"], buckets=BOUNDS, registry=theirs)
    for operation, value in observed:
        tallies.labels(operation).observe(value)
        histogram.labels(operation).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


def test_a_bucket_shows_the_trace_of_the_last_value_that_had_one() -> None:
    registry = CollectorRegistry()
    tallies = Tallies("took_seconds", TEXT, BOUNDS, [])
    registry.register(tallies)
    for value, trace_id in ((0.3, "first"), (0.4, "second"), (0.2, None), (1.0, None)):
        tallies.labels().observe(value, trace_id)
    text = openmetrics(registry).decode()  # type: ignore[no-untyped-call]  # the library leaves this one bare
    (shown,) = [line for line in text.splitlines() if "#" in line and "trace_id" in line]
    assert shown.startswith('took_seconds_bucket{le="0.5"} 3.0 # {trace_id="second"} 0.4 ')
