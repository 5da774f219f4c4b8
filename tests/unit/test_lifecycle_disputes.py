"""What a 401 of the API sets going, and what it must not."""

from __future__ import annotations

import math

import pytest

from proxy.tokens.disputes import Dispute
from proxy.tokens.lifecycle_steps import State, Wait
from tests.support.lifecycle_bench import START, Bench


def test_a_401_for_the_token_in_use_forces_one_refresh_at_once() -> None:
    bench = Bench().started().at(50)
    assert bench.life.disputed(1, bench.now) is Dispute.RENEWING
    assert bench.text() == "access-1", "it is all there is, and a failed fetch must not leave nothing"
    assert bench.life.state(bench.now) is State.EXPIRING
    assert bench.grant(bench.refresh(), bench.issued())
    assert bench.waits() == 230.0


def test_a_401_is_believed_whatever_the_clock_says_of_the_token() -> None:
    for at in (0.0, 100.0, 296.0, 400.0):
        bench = Bench().started().at(at)
        assert bench.life.disputed(1, bench.now) is Dispute.RENEWING
        bench.refresh()


def test_late_news_about_an_older_token_changes_nothing() -> None:
    bench = Bench().started()
    bench.grant(bench.at(180).refresh(), bench.issued())
    before = bench.life.access
    assert [bench.life.disputed(1, bench.now) for _ in range(10)] == [Dispute.STALE] * 10
    assert bench.life.access is before
    assert bench.waits() == 360.0
    assert bench.life.disputed(2, START + 200) is Dispute.RENEWING, "no forced fetch was spent on the old one"


def test_many_401s_for_one_token_are_one_dispute() -> None:
    bench = Bench().started().at(50)
    assert {bench.life.disputed(1, bench.now) for _ in range(200)} == {Dispute.RENEWING}
    bench.grant(bench.refresh(), bench.issued())
    assert isinstance(bench.life.next_step(bench.now), Wait)


def test_at_most_three_fetches_a_minute_are_forced() -> None:
    bench = Bench().started().at(100)
    for generation in (1, 2, 3):
        assert bench.life.disputed(generation, bench.now) is Dispute.RENEWING
        assert bench.grant(bench.fetch(), bench.issued(refresh="next"))
    assert bench.life.disputed(4, bench.now) is Dispute.GIVEN_UP
    assert isinstance(bench.life.next_step(bench.now), Wait)
    assert bench.life.access is not None
    assert bench.life.access.join_at > bench.now, "callers go on with what is held"
    assert bench.life.disputed(4, START + 160) is Dispute.RENEWING


def test_a_forced_refresh_that_fails_is_tried_again_at_the_pace_of_pauses_and_as_the_server_asks() -> None:
    bench = Bench().started().at(50)
    bench.life.disputed(1, bench.now)
    bench.fail(bench.refresh(), chance=1.0)
    assert bench.waits() == 50.5
    bench.fail(bench.at(50.5).login(), retry_after=20.0)
    bench.fail(bench.refresh(), retry_after=20.0)
    assert bench.life.disputed(1, bench.now) is Dispute.RENEWING
    assert bench.waits() == 70.5


def test_a_refreshed_token_that_is_refused_at_once_means_login_and_not_another_refresh() -> None:
    bench = Bench().started().at(50)
    bench.life.disputed(1, bench.now)
    bench.grant(bench.refresh(), bench.issued())
    assert bench.life.disputed(2, bench.now) is Dispute.RENEWING
    assert bench.grant(bench.login(), bench.issued(refresh="second"))
    assert bench.text() == "access-3"
    assert bench.waits() == 230.0
    assert bench.at(230).refresh().token.reveal() == "second"


def test_a_code_about_the_user_means_login_at_the_first_401() -> None:
    bench = Bench().started().at(100)
    assert bench.life.disputed(1, bench.now, "password_changed") is Dispute.RENEWING
    bench.login()


def test_when_that_login_is_refused_refreshing_goes_on_and_logins_are_slow() -> None:
    bench = Bench().started().at(100)
    bench.life.disputed(1, bench.now, "password_changed")
    bench.refuse(bench.login())
    bench.grant(bench.refresh(), bench.issued())
    assert bench.waits() == 160.0
    assert bench.grant(bench.at(160).login(), bench.issued(refresh="second"))
    assert bench.text() == "access-3", "nobody needs a proof: what was held is refused anyway"
    assert bench.waits() == 340.0


def test_a_token_handed_over_a_moment_ago_is_waited_out_and_nothing_is_fetched() -> None:
    bench = Bench().started()
    bench.grant(bench.at(180).refresh(), bench.issued())
    assert bench.life.disputed(2, START + 181.9) is Dispute.LAGGING
    assert bench.life.disputes.lag_ends_at == START + 182
    assert isinstance(bench.life.next_step(START + 181.9), Wait)
    assert bench.life.disputed(2, START + 182) is Dispute.RENEWING
    bench.at(182).login()


def test_the_first_token_and_one_after_an_outage_are_renewed_at_once() -> None:
    bench = Bench().started()
    assert bench.life.disputes.lag_ends_at == -math.inf
    bench.grant(bench.at(5000).refresh(), bench.issued())
    assert bench.life.disputed(2, bench.now) is Dispute.RENEWING


def test_without_a_token_a_401_of_an_older_one_waits_for_the_next() -> None:
    assert Bench().life.disputed(0, START) is Dispute.RENEWING


def test_no_progress_on_a_forced_refresh_ends_in_a_login() -> None:
    bench = Bench().started().at(50)
    bench.life.disputed(1, bench.now)
    assert not bench.grant(bench.refresh(), bench.issued(access="access-1"))
    bench.login()


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.99])
def test_a_dispute_moves_only_the_join_point(chance: float) -> None:
    bench = Bench()
    bench.grant(bench.login(), bench.issued(refresh="first"), chance)
    before = bench.life.access
    bench.life.disputed(1, START + 10)
    after = bench.life.access
    assert before is not None
    assert after is not None
    assert (after.header, after.generation, after.stop_at) == (before.header, before.generation, before.stop_at)
    assert after.join_at == -math.inf
