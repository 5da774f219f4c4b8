"""The last seconds of a token: held back while a newer one can be had, used up when none can."""

from __future__ import annotations

import pytest

from proxy.tokens.lifecycle_steps import State
from tests.support.lifecycle_bench import START, Bench


def in_doubt(bench: Bench) -> bool:
    return bench.life.disputes.unreplaced


def failing() -> Bench:
    """A bench whose renewals have failed since the middle of the token's life."""
    bench = Bench().started()
    bench.fail(bench.at(180).refresh())
    return bench


def test_when_none_can_be_had_a_token_is_handed_out_until_the_server_itself_ends_it() -> None:
    bench = failing()
    assert bench.at(297).text() == "access-1"
    assert bench.life.state(bench.now) is State.EXPIRING
    assert bench.at(299.999).text() == "access-1"
    assert bench.at(300).text() is None
    assert bench.life.state(bench.now) is State.EXPIRED


def test_while_one_can_be_had_it_is_held_back_but_known_to_live() -> None:
    bench = Bench().started().at(298)
    assert bench.text() is None
    assert bench.life.living(bench.now) is bench.life.access
    assert bench.life.living(START + 300) is None


def test_a_login_that_was_refused_leaves_none_to_be_had_unless_a_refresh_token_could_serve() -> None:
    bench = Bench().started()
    bench.refuse(bench.at(180).refresh())
    bench.refuse(bench.login())
    assert bench.at(298).text() == "access-1"
    bench = Bench().started().at(100)
    bench.life.disputed(1, bench.now, "password_changed")
    bench.refuse(bench.login())
    bench.grant(bench.refresh(), bench.issued())
    assert bench.at(100 + 298).text() is None


def test_a_newer_token_takes_its_place_also_in_its_last_seconds() -> None:
    bench = failing().at(298.5)
    assert bench.grant(bench.fetch(), bench.issued())
    assert bench.text() == "access-2"
    assert bench.at(298.5 + 298).text() is None, "and nothing has failed since"


def test_the_last_seconds_give_a_fetch_all_its_time() -> None:
    bench = failing()
    assert bench.at(296).fetch().timeout == 0.5
    assert bench.at(298).fetch().timeout == 5.0


def test_a_refused_token_is_in_doubt_once_it_could_not_be_replaced() -> None:
    bench = Bench().started().at(50)
    bench.life.disputed(1, bench.now)
    bench.life.unreplaced(1, bench.now)
    assert not in_doubt(bench), "the first try is under way"
    bench.fail(bench.refresh())
    bench.life.unreplaced(0, bench.now)
    assert not in_doubt(bench), "that was another token"
    bench.life.unreplaced(1, bench.now)
    assert in_doubt(bench)
    bench.life.accepted(0)
    assert in_doubt(bench)
    bench.life.accepted(1)
    assert not in_doubt(bench)


@pytest.mark.parametrize("locked", [False, True])
def test_a_newer_token_or_a_lock_ends_the_doubt(*, locked: bool) -> None:
    bench = Bench().started().at(50)
    bench.life.disputed(1, bench.now)
    bench.fail(bench.refresh())
    bench.life.unreplaced(1, bench.now)
    if locked:
        bench.life.lock()
    else:
        bench.grant(bench.at(51).fetch(), bench.issued())
    assert not in_doubt(bench)


def test_a_token_that_no_fetch_is_forced_for_any_more_is_in_doubt_at_once() -> None:
    bench = Bench().started().at(100)
    for generation in (1, 2, 3):
        bench.life.disputed(generation, bench.now)
        bench.grant(bench.fetch(), bench.issued(refresh="next"))
    bench.life.disputed(4, bench.now)
    bench.life.unreplaced(4, bench.now)
    assert in_doubt(bench)
    assert bench.life.repeat_at(bench.now) == START + 160, "when the next may be forced"


@pytest.mark.parametrize(("disputed", "at"), [(False, 50.0), (True, 50.5)])
def test_a_call_may_be_repeated_when_the_next_fetch_is_due(at: float, *, disputed: bool) -> None:
    bench = Bench().started().at(50)
    if disputed:
        bench.life.disputed(1, bench.now)
        bench.fail(bench.refresh(), chance=1.0)
    assert bench.life.repeat_at(bench.now) == START + at
