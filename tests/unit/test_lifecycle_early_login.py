"""The login that comes before the refresh token ends: the pair held is dropped for one that has proven itself."""

from __future__ import annotations

import pytest

from proxy.tokens.lifecycle_steps import LogIn, Refresh
from tests.support.lifecycle_bench import DAY, START, Bench

EARLY = 0.8 * DAY  # with chance 0


def at_the_early_login() -> Bench:
    """A session whose access token is a minute old when 80 % of the refresh token's life are over."""
    bench = Bench().started()
    assert bench.grant(bench.at(EARLY - 60).refresh(), bench.issued())
    assert bench.waits() == EARLY
    return bench.at(EARLY)


def test_at_80_percent_of_the_refresh_tokens_life_it_logs_in_and_at_92_at_the_latest() -> None:
    assert not at_the_early_login().login().offered
    late = Bench()
    late.grant(late.login(), late.issued(refresh="first"), chance=1.0)
    late.grant(late.at(0.92 * DAY - 60).refresh(), late.issued())
    assert late.waits() == pytest.approx(0.92 * DAY)


def test_a_new_pair_must_buy_a_token_before_the_old_one_is_dropped() -> None:
    bench = at_the_early_login()
    assert bench.grant(bench.login(), bench.issued(refresh="second"))
    assert bench.text() == "access-2"
    assert bench.life.refresh_expires_at == START + DAY
    proof = bench.refresh()
    assert proof.token.reveal() == "second"
    assert bench.grant(proof, bench.issued())
    assert bench.text() == "access-4"
    assert bench.life.refresh_expires_at == START + EARLY + DAY
    assert bench.waits() == EARLY + 180
    assert bench.at(EARLY + 180).refresh().token.reveal() == "second"


def test_a_rotating_proof_leaves_the_rotated_refresh_token() -> None:
    bench = at_the_early_login()
    bench.grant(bench.login(), bench.issued(refresh="second"))
    bench.grant(bench.refresh(), bench.issued(refresh="third"))
    assert bench.at(EARLY + 180).refresh().token.reveal() == "third"


@pytest.mark.parametrize("how", ["refused", "failed", "no progress"])
def test_a_pair_that_does_not_prove_itself_changes_nothing(how: str) -> None:
    bench = at_the_early_login()
    bench.grant(bench.login(), bench.issued(refresh="second"))
    proof = bench.refresh()
    match how:
        case "refused":
            bench.refuse(proof)
        case "failed":
            bench.fail(proof)
        case _:
            assert not bench.grant(proof, bench.issued(access="access-2", refresh="junk"))
    assert (bench.text(), bench.life.refresh_expires_at) == ("access-2", START + DAY)
    assert bench.waits() == EARLY + 60
    assert isinstance(bench.at(EARLY + 60).fetch(), LogIn)


def test_pairs_that_never_prove_themselves_are_asked_for_less_and_less_often() -> None:
    bench = at_the_early_login()
    gaps = []
    for _ in range(6):
        began = bench.now
        assert bench.grant(bench.login(), bench.issued(refresh="bad"))
        bench.refuse(bench.refresh())
        while not isinstance(step := bench.life.next_step(bench.now), LogIn):
            if isinstance(step, Refresh):
                assert bench.grant(step, bench.issued())
            bench.at(bench.waits())
        gaps.append(round(bench.now - began))
    assert gaps == [60, 120, 240, 480, 900, 900]


def test_a_pair_that_proves_itself_forgets_those_that_did_not() -> None:
    bench = at_the_early_login()
    bench.grant(bench.login(), bench.issued(refresh="bad"))
    bench.refuse(bench.refresh())
    bench.at(EARLY + 60)
    bench.grant(bench.login(), bench.issued(refresh="second"))
    bench.grant(bench.refresh(), bench.issued())
    assert bench.life.credentials.login_from(alive=True) < START
    bench.life.credentials.held.postpone(bench.now)
    assert bench.life.credentials.login_from(alive=True) == bench.now + 60


def test_a_401_during_the_trial_needs_no_login_after_it() -> None:
    bench = at_the_early_login()
    bench.grant(bench.login(), bench.issued(refresh="second"))
    proof = bench.refresh()
    bench.life.disputed(2, bench.now, "password_changed")
    assert bench.grant(proof, bench.issued())
    assert bench.waits() == EARLY + 180


def test_when_the_old_refresh_token_ends_the_new_pair_is_taken_as_it_is() -> None:
    bench = at_the_early_login()
    for _ in range(3):
        bench.life.credentials.held.postpone(DAY + START)
    bench.grant(bench.at(DAY - 1).refresh(), bench.issued())
    step = bench.at(DAY + 200).login()
    assert bench.grant(step, bench.issued(refresh="second"))
    assert bench.life.refresh_expires_at == START + DAY + 200 + DAY
    assert bench.text() == "access-4"


def test_a_login_without_a_refresh_token_takes_no_place_of_one_that_lives() -> None:
    bench = at_the_early_login()
    assert not bench.grant(bench.login(), bench.issued())
    assert (bench.text(), bench.life.refresh_expires_at) == ("access-2", START + DAY)
    assert bench.waits() == EARLY + 60


def test_an_early_login_that_fails_leaves_refreshing_alone_and_waits_a_minute() -> None:
    bench = at_the_early_login()
    bench.fail(bench.login(), chance=1.0, retry_after=300.0)
    assert bench.waits() == EARLY + 120, "the access token is due before the login may be tried again"
    assert bench.grant(bench.at(EARLY + 120).refresh(), bench.issued())
    assert bench.waits() == EARLY + 300


def test_an_early_login_that_is_refused_leaves_refreshing_alone_and_is_tried_slowly() -> None:
    bench = at_the_early_login()
    bench.refuse(bench.login())
    assert bench.life.credentials.rejected
    bench.refuse(bench.at(bench.waits()).login())
    assert bench.waits() == EARLY + 120
    bench.grant(bench.at(EARLY + 120).refresh(), bench.issued())
    assert bench.text() == "access-3"
    bench.at(EARLY + 180)
    assert bench.grant(bench.login(), bench.issued(refresh="second"))
    assert not bench.life.credentials.rejected


def test_past_the_join_point_there_is_no_time_for_proofs() -> None:
    bench = at_the_early_login().at(EARLY + 215)
    assert bench.grant(bench.login(), bench.issued(refresh="second"))
    assert bench.text() == "access-3"
    assert bench.life.refresh_expires_at == START + EARLY + 215 + DAY
