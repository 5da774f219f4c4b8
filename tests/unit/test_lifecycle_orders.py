"""What an operator may order: other credentials, the lock, its end."""

from __future__ import annotations

import pytest

from proxy.credentials.model import Credentials
from proxy.secret import Secret
from proxy.tokens.disputes import Dispute
from proxy.tokens.lifecycle_steps import State, Wait
from tests.support.fakes import CREDENTIALS, OTHERS, WRONG
from tests.support.lifecycle_bench import START, Bench


def test_offered_credentials_log_in_at_once_and_what_is_held_serves_until_then() -> None:
    bench = Bench().started().at(50)
    bench.life.credentials.offer(OTHERS)
    step = bench.login()
    assert (step.credentials, step.offered, bench.text()) == (OTHERS, True, "access-1")
    assert bench.grant(step, bench.issued(refresh="second"))
    assert (bench.text(), bench.life.credentials.held.credentials) == ("access-2", OTHERS)
    assert bench.at(230).refresh().token.reveal() == "second"


def test_offered_credentials_that_turn_out_bad_displace_nothing() -> None:
    bench = Bench().started().at(50)
    bench.life.credentials.offer(WRONG)
    bench.refuse(bench.login())
    assert (bench.text(), bench.life.credentials.rejected) == ("access-1", True)
    assert bench.waits() == 110.0
    bench.refuse(bench.at(110).login())
    assert bench.waits() == 180.0
    assert bench.grant(bench.at(180).refresh(), bench.issued())
    assert (bench.text(), bench.life.state(bench.now)) == ("access-2", State.VALID)
    bench.refuse(bench.at(230).login())
    bench.refuse(bench.at(360).refresh())
    step = bench.login()
    assert (step.credentials, step.offered) == (CREDENTIALS, False)
    assert bench.grant(step, bench.issued(refresh="second"))
    assert bench.life.credentials.rejected, "the newest ones are still bad"


def test_offered_credentials_that_meet_a_failure_leave_refreshing_alone() -> None:
    bench = Bench().started().at(50)
    bench.life.credentials.offer(OTHERS)
    bench.fail(bench.login(), retry_after=90.0)
    assert bench.waits() == 140.0
    assert bench.grant(bench.at(140).login(), bench.issued(refresh="second"))


def test_a_dead_token_for_offered_credentials_displaces_nothing() -> None:
    bench = Bench().started().at(50)
    bench.life.credentials.offer(OTHERS)
    assert not bench.grant(bench.login(), bench.issued(lifetime=1.0, sent=START + 40, refresh="second"))
    assert (bench.text(), bench.life.credentials.held.credentials) == ("access-1", CREDENTIALS)


def test_after_a_refused_login_other_credentials_are_tried_at_once_and_kept_when_refused_too() -> None:
    bench = Bench(WRONG)
    bench.refuse(bench.login())
    bench.life.credentials.offer(Credentials(Secret("user"), Secret("wrong too")))
    bench.refuse(bench.at(1).login())
    assert bench.life.credentials.offered is None
    assert bench.waits() == 61.0
    assert bench.at(61).login().credentials.password.reveal() == "wrong too"


def test_a_failure_at_the_start_does_not_hold_up_the_only_credentials_that_may_be_good() -> None:
    bench = Bench(WRONG)
    bench.refuse(bench.login())
    bench.life.credentials.offer(OTHERS)
    bench.fail(bench.login(), chance=1.0)
    assert bench.waits() == 0.5
    assert bench.at(0.5).login().credentials == OTHERS


def test_when_both_are_refused_with_a_session_alive_the_newest_are_tried_slowly() -> None:
    bench = Bench().started().at(50)
    bench.life.credentials.offer(WRONG)
    bench.refuse(bench.login())
    bench.refuse(bench.at(110).login())
    bench.refuse(bench.at(180).refresh())
    bench.refuse(bench.login())
    assert bench.life.credentials.held.credentials == WRONG
    assert bench.text() == "access-1"
    assert bench.waits() == 230.0


def test_an_answer_for_credentials_that_were_replaced_meanwhile_is_nobodys() -> None:
    bench = Bench().started().at(50)
    bench.life.credentials.offer(WRONG)
    step = bench.login()
    bench.life.credentials.offer(OTHERS)
    assert not bench.life.concerns(step)
    assert not bench.grant(step, bench.issued(refresh="second"))
    bench.refuse(step)
    bench.fail(step)
    assert (bench.text(), bench.life.credentials.rejected) == ("access-1", False)
    assert bench.login().credentials == OTHERS


def test_the_lock_drops_all_tokens_and_nothing_is_fetched() -> None:
    bench = Bench().started().at(50)
    bench.life.lock()
    assert bench.text() is None
    assert bench.life.refresh_expires_at is None
    assert bench.life.state(bench.now) is State.LOCKED
    assert bench.life.disputed(1, bench.now) is Dispute.GIVEN_UP
    assert bench.at(1e6).life.next_step(bench.now) == Wait(float("inf"))


def test_after_the_lock_it_logs_in_and_generations_go_on() -> None:
    bench = Bench().started().at(50)
    bench.life.lock()
    bench.life.unlock()
    assert bench.life.state(bench.now) is State.EXPIRED
    bench.grant(bench.login(), bench.issued(refresh="second"))
    assert bench.life.access is not None
    assert bench.life.access.generation == 2
    assert bench.life.disputed(1, bench.now) is Dispute.STALE


@pytest.mark.parametrize("grant", ["login", "refresh"])
@pytest.mark.parametrize("unlocked", [True, False])
def test_what_was_being_fetched_when_the_lock_came_is_dropped(*, grant: str, unlocked: bool) -> None:
    bench = Bench() if grant == "login" else Bench().started().at(180)
    step = bench.fetch()
    bench.life.lock()
    if unlocked:
        bench.life.unlock()
    assert not bench.grant(step, bench.issued(refresh="second"))
    bench.refuse(step)
    assert (bench.text(), bench.life.refresh_expires_at) == (None, None)
    assert not bench.life.credentials.rejected


def test_the_lock_ends_no_floor_after_a_refused_login() -> None:
    bench = Bench()
    bench.refuse(bench.login())
    bench.life.lock()
    bench.life.unlock()
    assert bench.waits() == 60.0


def test_a_pair_on_trial_is_dropped_by_the_lock_too() -> None:
    bench = Bench().started()
    bench.grant(bench.at(0.8 * 86400 - 60).refresh(), bench.issued())
    bench.grant(bench.at(0.8 * 86400).login(), bench.issued(refresh="second"))
    proof = bench.refresh()
    bench.life.lock()
    bench.life.unlock()
    assert not bench.grant(proof, bench.issued())
    bench.login()
