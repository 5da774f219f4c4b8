"""Tracing costs nothing while it is off, and the event loop little while it is on."""

from __future__ import annotations

import sys

from tests.benchmarks.tracing_cost import cost, table


def test_off_it_is_two_looks_and_on_it_keeps_the_loop_for_microseconds() -> None:
    found = cost()
    sys.stdout.write("\n" + table(found) + "\n")
    assert found["off"] < 1.0
    assert found["on, event loop"] < 100.0
