"""When which token is fetched, and the ladder from a refresh to a rejected password."""

from __future__ import annotations

import pytest

from proxy.tokens.lifecycle_steps import State
from tests.support.lifecycle_bench import DAY, START, Bench


def test_at_the_start_it_logs_in() -> None:
    bench = Bench()
    step = bench.login()
    assert (step.timeout, step.offered) == (5.0, False)
    assert bench.life.state(bench.now) is State.STARTING
    assert bench.text() is None


def test_a_background_refresh_is_due_at_45_to_60_percent_of_the_life() -> None:
    for chance, due in ((0.0, 180.0), (1.0, 135.0)):
        bench = Bench()
        assert bench.grant(bench.login(), bench.issued(refresh="first"), chance)
        assert bench.waits() == due
        assert bench.at(due).refresh().token.reveal() == "first"


def test_however_short_lived_a_token_seems_a_refresh_is_due_no_sooner_than_a_second_after_it_came() -> None:
    bench = Bench()
    assert bench.grant(bench.login(), bench.issued(1.0, refresh="first"), 1.0)
    assert bench.waits() == 1.0


def test_the_states_follow_the_points_of_the_tokens_life() -> None:
    bench = Bench().started()
    states = {at: bench.life.state(START + at) for at in (0, 180, 269.9, 270, 296.9, 297, 9999)}
    valid, expiring, expired = State.VALID, State.EXPIRING, State.EXPIRED
    assert states == {
        0: valid, 180: valid, 269.9: valid, 270: expiring, 296.9: expiring, 297: expired, 9999: expired,
    }  # fmt: skip


def test_a_token_is_never_handed_out_from_its_stop_point_on() -> None:
    bench = Bench().started()
    assert bench.at(296.999).text() == "access-1"
    assert bench.at(297.0).text() is None


def test_a_refresh_keeps_the_refresh_token_unless_another_comes_along() -> None:
    bench = Bench().started()
    assert bench.grant(bench.at(180).refresh(), bench.issued())
    assert bench.at(360).refresh().token.reveal() == "first"
    assert bench.grant(bench.refresh(), bench.issued(refresh="second"))
    assert bench.at(540).refresh().token.reveal() == "second"
    assert bench.life.refresh_expires_at == START + 360 + DAY


def test_generations_count_the_grants() -> None:
    bench = Bench().started()
    assert bench.life.access is not None
    assert bench.life.access.generation == 1
    bench.grant(bench.at(180).refresh(), bench.issued())
    assert bench.life.access.generation == 2


def test_a_failed_refresh_leaves_the_token_in_use_and_is_tried_again() -> None:
    bench = Bench().started()
    bench.fail(bench.at(180).refresh(), chance=1.0)
    assert (bench.text(), bench.waits()) == ("access-1", 180.5)
    bench.fail(bench.at(180.5).refresh(), chance=1.0)
    assert bench.waits() == 181.5
    assert bench.grant(bench.at(181.5).refresh(), bench.issued())
    bench.fail(bench.at(181.5 + 180).refresh(), chance=1.0)
    assert bench.waits() == 181.5 + 180 + 0.5, "a success begins the pauses anew"


def test_retry_after_is_honoured_for_a_refresh() -> None:
    bench = Bench().started()
    bench.fail(bench.at(180).refresh(), retry_after=42.0)
    assert bench.waits() == 222.0


def test_a_refresh_endpoint_that_fails_alone_is_left_for_a_login_at_the_join_point() -> None:
    bench = Bench().started()
    bench.fail(bench.at(180).refresh())
    bench.fail(bench.at(269.9).refresh())
    bench.fail(bench.at(270.0).login())
    bench.fail(bench.at(271.0).refresh())
    bench.fail(bench.at(329.9).refresh())
    assert bench.grant(bench.at(330.0).login(), bench.issued(refresh="second"))
    assert bench.text() == "access-2"


def test_at_the_join_point_a_refresh_is_tried_before_a_login() -> None:
    bench = Bench().started().at(280)
    bench.fail(bench.refresh())
    bench.login()


def test_a_refused_refresh_means_one_login_at_once() -> None:
    bench = Bench().started()
    bench.refuse(bench.at(180).refresh())
    assert bench.text() == "access-1"
    assert bench.grant(bench.login(), bench.issued(refresh="second"))
    assert bench.at(360).refresh().token.reveal() == "second"


def test_a_refused_refresh_lifts_the_floor_that_a_failed_login_had_set() -> None:
    bench = Bench().started()
    bench.fail(bench.at(280).refresh())
    bench.fail(bench.login())
    bench.refuse(bench.refresh())
    bench.login()


def test_a_refused_login_is_tried_again_after_60_s_doubling_to_15_min() -> None:
    bench = Bench()
    bench.refuse(bench.login())
    assert bench.life.state(bench.now) is State.REJECTED
    moments = []
    for _ in range(7):
        moments.append(bench.waits())
        bench.refuse(bench.at(moments[-1]).login())
    assert moments == [60.0, 180.0, 420.0, 900.0, 1800.0, 2700.0, 3600.0]
    assert bench.grant(bench.at(bench.waits()).login(), bench.issued(refresh="first"))
    assert bench.life.state(bench.now) is State.VALID
    assert not bench.life.credentials.rejected


def test_a_refused_login_leaves_the_token_in_use_until_its_end() -> None:
    bench = Bench().started()
    bench.refuse(bench.at(180).refresh())
    bench.refuse(bench.login())
    assert (bench.text(), bench.waits(), bench.life.state(bench.now)) == ("access-1", 240.0, State.VALID)
    assert bench.life.credentials.rejected
    assert bench.life.state(START + 299.9) is State.EXPIRING
    assert bench.life.state(START + 300) is State.REJECTED


def test_a_refused_login_waits_even_when_nothing_else_is_left() -> None:
    bench = Bench().started()
    bench.refuse(bench.at(180).refresh())
    bench.refuse(bench.login())
    bench.refuse(bench.at(240).login())
    assert bench.at(300).waits() == 360.0


def test_at_the_start_failed_logins_are_tried_again_at_the_pace_of_pauses() -> None:
    bench = Bench()
    for pause in (0.5, 1.0, 2.0, 4.0, 4.0):
        before = bench.now - START
        bench.fail(bench.login(), chance=1.0)
        assert bench.waits() == before + pause
        bench.at(before + pause)


def test_at_the_start_the_login_waits_as_long_as_the_server_asks() -> None:
    bench = Bench()
    bench.fail(bench.login(), retry_after=30.0)
    assert bench.waits() == 30.0
    bench.at(30).login()


def test_the_same_token_again_is_no_progress_and_ends_in_a_login() -> None:
    bench = Bench().started()
    assert not bench.grant(bench.at(180).refresh(), bench.issued(access="access-1"), chance=1.0)
    assert (bench.waits(), bench.text()) == (180.5, "access-1")
    assert bench.life.access is not None
    assert bench.life.access.generation == 1
    bench.at(270).login()


def test_the_same_token_again_may_still_bring_the_refresh_token_that_counts_now() -> None:
    bench = Bench().started()
    assert not bench.grant(bench.at(180).refresh(), bench.issued(access="access-1", refresh="second"))
    assert bench.refresh().token.reveal() == "second"


@pytest.mark.parametrize("took", [240.0, 300.0, 5000.0])
def test_a_token_that_is_past_its_stop_when_it_arrives_is_no_progress(took: float) -> None:
    bench = Bench()
    step = bench.login()
    late = bench.issued(lifetime=300.0, refresh="first", sent=START)
    assert bench.at(took).grant(step, late) is (took < 297)
    assert bench.text() == ("access-1" if took < 297 else None)


def test_a_token_past_its_stop_never_takes_the_place_of_one_that_lives() -> None:
    bench = Bench().started()
    dead = bench.issued(lifetime=5.0, sent=START + 170)
    assert not bench.grant(bench.at(180).refresh(), dead)
    assert bench.text() == "access-1"


def test_an_expired_refresh_token_is_not_sent() -> None:
    bench = Bench().started()
    bench.at(DAY - 0.1)
    bench.life.credentials.held.refused(bench.now)
    bench.refresh()
    assert bench.at(DAY).waits() == DAY - 0.1 + 60


def test_a_login_without_a_refresh_token_is_followed_by_logins() -> None:
    bench = Bench()
    bench.grant(bench.login(), bench.issued())
    assert bench.life.refresh_expires_at is None
    bench.at(180).login()


def test_a_fetch_leaves_time_for_another_before_the_token_stops() -> None:
    bench = Bench().started(lifetime=30.0)
    assert bench.at(18).refresh().timeout == pytest.approx(3.0)
    assert bench.at(27).refresh().timeout == 5.0
