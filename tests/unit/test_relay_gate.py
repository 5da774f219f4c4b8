"""Counts calls in flight: there is room for one more, or there is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import DrainingError, OverloadedError
from proxy.relay.concurrency import ConcurrencyLimit


def entered(gate: ConcurrencyLimit, *, effects: bool) -> bool:
    try:
        gate.enter(effects=effects)
    except OverloadedError:
        return False
    return True


@pytest.mark.parametrize(("limit", "reads"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6), (512, 384)])
def test_reads_get_three_quarters_of_the_places_and_calls_with_effects_all(limit: int, reads: int) -> None:
    gate = ConcurrencyLimit(limit)
    assert [entered(gate, effects=False) for _ in range(limit)] == [True] * reads + [False] * (limit - reads)
    assert [entered(gate, effects=True) for _ in range(limit - reads + 1)] == [True] * (limit - reads) + [False]
    assert gate.in_flight == limit


def test_calls_with_effects_may_take_every_place() -> None:
    gate = ConcurrencyLimit(4)
    assert all(entered(gate, effects=True) for _ in range(4))
    assert not entered(gate, effects=True)
    assert not entered(gate, effects=False)


def test_a_place_given_back_is_free() -> None:
    gate = ConcurrencyLimit(2)
    gate.enter(effects=False)
    gate.leave(effects=False)
    assert entered(gate, effects=False)
    assert not entered(gate, effects=False)


def test_the_refusal_says_what_to_raise() -> None:
    gate = ConcurrencyLimit(1)
    gate.enter(effects=True)
    with pytest.raises(OverloadedError, match=r"PROXY_MAX_IN_FLIGHT \(1\)"):
        gate.enter(effects=True)


def test_a_closed_gate_lets_nobody_in_and_everybody_out() -> None:
    gate = ConcurrencyLimit(2)
    gate.enter(effects=True)
    gate.close()
    with pytest.raises(DrainingError):
        gate.enter(effects=True)
    gate.leave(effects=True)
    assert (gate.in_flight, gate.empty.is_set()) == (0, True)


@given(st.integers(1, 12), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_counts_are_never_wrong(limit: int, steps: list[tuple[bool, bool]]) -> None:
    gate = ConcurrencyLimit(limit)
    inside: list[bool] = []
    for enters, effects in steps:
        if enters:
            if entered(gate, effects=effects):
                inside.append(effects)
        elif inside:
            gate.leave(effects=inside.pop())
        assert gate.in_flight == len(inside) <= limit
        assert gate.empty.is_set() == (not inside)
        assert inside.count(False) <= max(limit - max(limit // 4, 1), 1)
