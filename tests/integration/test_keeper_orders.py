"""Other credentials and the lock, while the keeper runs."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from proxy.errors import CredentialsRejectedError, LockedError
from proxy.tokens.issuer import FetchResult
from proxy.tokens.lifecycle_steps import State
from proxy.tokens.model import Grant
from tests.support.fakes import BROKEN, CREDENTIALS, OTHERS, WRONG, FakeClock, ScriptedEndpoints, settle
from tests.support.running_keeper import running, started

HOUR = 3600.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def endpoints(clock: FakeClock) -> ScriptedEndpoints:
    return ScriptedEndpoints(clock)


def passwords(endpoints: ScriptedEndpoints) -> list[str]:
    return [asked.secret for asked in endpoints.asked if asked.grant is Grant.PASSWORD]


async def test_other_credentials_log_in_at_once_without_a_gap_for_callers(endpoints: ScriptedEndpoints) -> None:
    endpoints.accepted.add("newer")
    async with started(endpoints) as stand:
        answer = asyncio.Event()
        endpoints.script.append(answer)
        stand.keeper.replace_credentials(OTHERS)
        await settle()
        held = stand.keeper.current()
        assert held is not None
        assert held.generation == 1
        answer.set()
        await settle()
        newer = stand.keeper.current()
        assert newer is not None
        assert newer.generation == 2
        assert stand.reports.fetched[-1].offered
    assert passwords(endpoints) == ["right", "newer"]


async def test_bad_credentials_displace_no_session_and_are_reported_and_tried_slowly(
    endpoints: ScriptedEndpoints,
) -> None:
    async with started(endpoints) as stand:
        stand.keeper.replace_credentials(WRONG)
        for _ in range(60):
            await stand.clock.advance(60)
            assert stand.keeper.current() is not None
        assert (stand.keeper.rejected, stand.keeper.state) == (True, State.VALID)
        refused = [report for report in stand.reports.fetched if report.result is FetchResult.REFUSED]
        assert all(report.offered for report in refused)
        assert 5 <= len(refused) <= 8, "60 s, doubling to 15 min"
        endpoints.alive.clear()
        await stand.clock.advance(300)
        assert stand.keeper.ready
    assert passwords(endpoints)[-1] == "right", "the old credentials still recover the session"


async def test_credentials_that_become_right_later_are_taken_over_by_the_next_try(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        stand.keeper.replace_credentials(OTHERS)
        await stand.clock.advance(30)
        endpoints.accepted = {"newer"}
        await stand.clock.advance(30)
        assert not stand.keeper.rejected
        assert stand.reports.fetched[-1].result is FetchResult.GRANTED
    assert passwords(endpoints) == ["right", "newer", "newer"]


async def test_after_a_wrong_password_the_right_one_is_tried_at_once(endpoints: ScriptedEndpoints) -> None:
    async with running(endpoints, endpoints.clock, credentials=WRONG) as stand:
        await settle()
        with pytest.raises(CredentialsRejectedError):
            await stand.keeper.obtain()
        stand.keeper.replace_credentials(CREDENTIALS)
        assert (await stand.keeper.obtain()).generation == 1
        assert not stand.keeper.rejected


async def test_the_same_credentials_again_cost_no_login_before_its_time(endpoints: ScriptedEndpoints) -> None:
    async with running(endpoints, endpoints.clock, credentials=WRONG) as stand:
        for _ in range(10):
            stand.keeper.replace_credentials(WRONG)
            await stand.clock.advance(5)
    assert endpoints.logins() == 1


async def test_an_offer_while_a_login_is_under_way_is_tried_next(endpoints: ScriptedEndpoints) -> None:
    endpoints.accepted.add("newer")
    answer = asyncio.Event()
    endpoints.script.append(answer)
    async with running(endpoints, endpoints.clock) as stand:
        await settle()
        stand.keeper.replace_credentials(OTHERS)
        answer.set()
        await settle()
        assert stand.reports.results() == [(Grant.PASSWORD, FetchResult.GRANTED)] * 2
    assert passwords(endpoints) == ["right", "newer"]
    assert endpoints.most_in_flight == 1


async def test_the_lock_drops_every_token_and_refuses_until_it_is_unlocked(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        stand.keeper.lock()
        assert (stand.keeper.current(), stand.keeper.ready, stand.keeper.locked) == (None, False, True)
        assert (stand.keeper.state, stand.keeper.expiries) == (State.LOCKED, (None, None))
        with pytest.raises(LockedError):
            await stand.keeper.obtain()
        assert await stand.keeper.replacement(1) is None
        assert not stand.keeper.dispute(1)
        await stand.clock.advance(2 * HOUR)
        assert len(endpoints.asked) == 1
        stand.keeper.unlock()
        token = await stand.keeper.obtain()
        assert token.generation == 2
        assert stand.keeper.state is State.VALID
    assert endpoints.grants() == [Grant.PASSWORD, Grant.PASSWORD]


async def test_a_login_under_way_when_the_lock_comes_brings_no_token(endpoints: ScriptedEndpoints) -> None:
    answer = asyncio.Event()
    endpoints.script.append(answer)
    async with running(endpoints, endpoints.clock) as stand:
        await settle()
        stand.keeper.lock()
        answer.set()
        await settle()
        assert not stand.keeper.ready
        report = stand.reports.fetched[-1]
        assert (report.result, report.generation, report.retry_in) == (FetchResult.NO_PROGRESS, 0, 0.0)
        assert "no token" in report.reason


async def test_credentials_offered_under_the_lock_are_used_after_it(endpoints: ScriptedEndpoints) -> None:
    endpoints.accepted = {"newer"}
    async with running(endpoints, endpoints.clock, credentials=WRONG) as stand:
        await settle()
        stand.keeper.lock()
        stand.keeper.replace_credentials(OTHERS)
        await stand.clock.advance(10)
        assert endpoints.logins() == 1
        stand.keeper.unlock()
        assert (await stand.keeper.obtain()).generation == 1
    assert passwords(endpoints) == ["wrong", "newer"]


async def test_an_early_login_is_invisible_whatever_becomes_of_it(endpoints: ScriptedEndpoints) -> None:
    endpoints.lifetime = HOUR
    async with started(endpoints, chance=0.5) as stand:
        await stand.clock.advance(0.85 * 86400)
        endpoints.failing = {Grant.PASSWORD: BROKEN}
        await stand.clock.advance(0.05 * 86400)
        assert (stand.keeper.state, endpoints.logins() > 10) == (State.VALID, True)
        endpoints.failing = {}
        await stand.clock.advance(120)
        assert stand.keeper.expiries[1] == pytest.approx(86400, abs=120)
    generations = [report.generation for report in stand.reports.fetched]
    assert generations == sorted(generations)
    assert {after - before for before, after in itertools.pairwise(generations)} <= {0, 1}
