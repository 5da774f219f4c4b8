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


def test_one_party_alone_may_take_every_place() -> None:
    gate = ConcurrencyLimit(4)
    gate.divide(["shop"])
    for _ in range(4):
        gate.enter("shop", effects=True)
    assert gate.in_flight == 4


def test_no_party_takes_the_last_places_of_another() -> None:
    gate = ConcurrencyLimit(8)
    gate.divide(["shop", "reports"])
    for _ in range(6):
        gate.enter("reports", effects=True)
    with pytest.raises(OverloadedError, match="The caller has as many calls at once as others leave it"):
        gate.enter("reports", effects=True)
    with pytest.raises(OverloadedError):
        gate.enter("a stranger", effects=True)
    gate.enter("shop", effects=True)
    gate.enter("shop", effects=True)
    with pytest.raises(OverloadedError, match="PROXY_MAX_IN_FLIGHT"):
        gate.enter("shop", effects=True)
    gate.leave("reports", effects=True)
    gate.enter("shop", effects=True)


def test_places_are_divided_anew_while_calls_hold_some() -> None:
    gate = ConcurrencyLimit(8)
    for _ in range(7):
        gate.enter("reports", effects=True)
    gate.divide(["shop", "reports"])
    with pytest.raises(OverloadedError):
        gate.enter("reports", effects=True)
    gate.enter("shop", effects=True)
    gate.divide(["reports"])
    gate.leave("shop", effects=True)
    gate.enter("reports", effects=True)
    assert gate.in_flight == 8


@given(
    st.integers(1, 24),
    st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "c", "stranger"])), max_size=80),
)
def test_a_party_that_has_less_than_its_part_always_gets_in(limit: int, steps: list[tuple[bool, str]]) -> None:
    gate = ConcurrencyLimit(limit)
    gate.divide("abc")
    part, held = limit // 6, dict.fromkeys(["a", "b", "c", "stranger"], 0)
    for enters, party in steps:
        if enters:
            try:
                gate.enter(party, effects=True)
                held[party] += 1
            except OverloadedError:
                assert party == "stranger" or held[party] >= part
        elif held[party]:
            gate.leave(party, effects=True)
            held[party] -= 1
        assert gate.in_flight == sum(held.values())
