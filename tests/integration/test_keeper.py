"""The keeper's loop over time: renewals, outages, suspends, and what becomes visible when the loop dies."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from proxy.errors import CredentialsRejectedError, TokenUnavailableError
from proxy.tokens.issuer import FetchFailedError, FetchResult
from proxy.tokens.lifecycle_steps import State
from proxy.tokens.model import Grant
from tests.support.fakes import BROKEN, LOST, WRONG, FakeClock, ScriptedEndpoints, settle
from tests.support.running_keeper import TOKEN_WAIT, running, started

HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def endpoints(clock: FakeClock) -> ScriptedEndpoints:
    return ScriptedEndpoints(clock)


async def test_it_logs_in_at_the_start_and_is_ready(endpoints: ScriptedEndpoints) -> None:
    async with running(endpoints, endpoints.clock) as stand:
        assert (stand.keeper.ready, stand.keeper.state, stand.keeper.current()) == (False, State.STARTING, None)
        await settle()
        assert (stand.keeper.ready, stand.keeper.state) == (True, State.VALID)
        token = stand.keeper.current()
        assert token is not None
        assert (token.header, token.generation) == (b"Bearer access-1", 1)
        assert stand.keeper.expiries == (300.0, DAY)


async def test_a_day_of_renewals_never_shows_a_caller_an_expired_token(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints, chance=0.5) as stand:
        for _ in range(int(DAY / 60)):
            await stand.clock.advance(60)
            assert stand.keeper.current() is not None
            assert stand.keeper.state is State.VALID
    assert endpoints.logins() == 2, "one at the start, one before the refresh token ended"
    assert endpoints.most_in_flight == 1
    assert 500 < len(endpoints.asked) < 600
    assert {report.result for report in stand.reports.fetched} == {FetchResult.GRANTED}


@pytest.mark.parametrize(("rotate", "logins"), [(True, 1), (False, 3)])
async def test_two_days_cost_a_login_every_19_hours_without_rotation_and_one_with_it(
    endpoints: ScriptedEndpoints, *, rotate: bool, logins: int
) -> None:
    endpoints.rotate = rotate
    endpoints.lifetime = 6 * HOUR
    async with started(endpoints) as stand:
        await stand.clock.advance(2 * DAY)
        assert stand.keeper.ready
    assert endpoints.logins() == logins


async def test_what_is_reported_of_a_renewal(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        await stand.clock.advance(200)
    first, second = stand.reports.fetched
    assert (first.grant, first.generation, first.headroom, first.retry_in) == (Grant.PASSWORD, 1, None, 180.0)
    assert (second.grant, second.generation, second.headroom, second.skew) == (Grant.REFRESH, 2, 117.0, 0.0)
    assert (second.reason, second.status, second.offered) == ("", None, False)


async def test_an_outage_shorter_than_the_tokens_life_is_not_noticed(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints, chance=0.9) as stand:
        endpoints.failing = {Grant.REFRESH: LOST, Grant.PASSWORD: LOST}
        await stand.clock.advance(260)
        assert stand.keeper.state is State.VALID
        endpoints.failing = {}
        await stand.clock.advance(15)
        assert stand.keeper.state is State.VALID
        assert len(stand.reports.fetched) > 5
    assert endpoints.logins() == 1


async def test_a_long_outage_ends_with_the_first_answer_within_4_s(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints, chance=0.999) as stand:
        endpoints.failing = {Grant.REFRESH: BROKEN, Grant.PASSWORD: BROKEN}
        await stand.clock.advance(2 * HOUR)
        assert (stand.keeper.ready, stand.keeper.state) == (False, State.EXPIRED)
        asked = len(endpoints.asked)
        assert asked < 2 * HOUR / 3, "the pauses hold"
        endpoints.failing = {}
        await stand.clock.advance(4)
        assert stand.keeper.ready
        assert len(endpoints.asked) == asked + 1


async def test_a_deleted_users_500s_end_in_one_login_a_minute_at_most(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints, chance=0.9) as stand:
        endpoints.failing = {Grant.REFRESH: BROKEN}
        endpoints.accepted = set()
        await stand.clock.advance(HOUR)
        assert (stand.keeper.state, stand.keeper.rejected) == (State.REJECTED, True)
    moments = [asked.at for asked in endpoints.asked if asked.grant is Grant.PASSWORD]
    assert 270.0 <= moments[1] - moments[0] <= 280.0
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(moments))
    assert len(moments) <= 8


async def test_a_wrong_password_costs_two_logins_in_the_first_minute_at_most(clock: FakeClock) -> None:
    endpoints = ScriptedEndpoints(clock)
    async with running(endpoints, clock, credentials=WRONG) as stand:
        for _ in range(20):
            obtaining = asyncio.create_task(stand.keeper.obtain())
            await clock.advance(3)
            with pytest.raises(CredentialsRejectedError) as caught:
                await obtaining
            assert caught.value.retry_after is not None
            assert 1.0 <= caught.value.retry_after <= 120.0
        assert endpoints.logins() <= 2
        await clock.advance(HOUR)
        assert endpoints.logins() <= 9
        assert not stand.loop.done(), "a wrong password is an answer and no crash"


async def test_a_lost_rotation_answer_is_recovered_by_one_login(endpoints: ScriptedEndpoints) -> None:
    endpoints.rotate = True
    async with started(endpoints) as stand:
        endpoints.alive.clear()  # the refresh that was never answered had its effect
        endpoints.script.append(None)
        await stand.clock.advance(195)
        assert stand.keeper.ready
    assert stand.reports.results()[1:] == [
        (Grant.REFRESH, FetchResult.TIMEOUT),
        (Grant.REFRESH, FetchResult.REFUSED),
        (Grant.PASSWORD, FetchResult.GRANTED),
    ]


async def test_retry_after_keeps_the_loop_quiet(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        endpoints.script.append(FetchFailedError(FetchResult.THROTTLED, "slow down", 429, retry_after=60.0))
        await stand.clock.advance(239.9)
        assert [asked.at - 10_000 for asked in endpoints.asked] == [0.0, 180.0]
        assert stand.reports.fetched[-1].retry_in == 60.0
        await stand.clock.advance(0.1)
        assert stand.reports.fetched[-1].result is FetchResult.GRANTED


async def test_after_a_suspend_the_first_look_knows_that_the_token_aged(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        stand.clock.sleep_through(HOUR)
        assert (stand.keeper.current(), stand.keeper.ready) == (None, False)
        obtaining = asyncio.create_task(stand.keeper.obtain())
        await settle()
        assert (await obtaining).generation == 2, "the caller woke the loop, whose own timer had stood still"


async def test_after_a_suspend_without_callers_the_loop_looks_within_15_s(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        await stand.clock.advance(1)
        stand.clock.sleep_through(2 * DAY)
        await stand.clock.advance(15)
        assert stand.keeper.ready
    assert endpoints.grants() == [Grant.PASSWORD, Grant.PASSWORD]


async def test_a_jump_of_the_wall_clock_changes_nothing(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        stand.clock.wall_offset -= 10 * DAY
        await stand.clock.advance(170)
        assert stand.keeper.state is State.VALID
        assert len(endpoints.asked) == 1


async def test_an_answer_that_slept_through_a_suspend_is_not_used(endpoints: ScriptedEndpoints) -> None:
    slow = asyncio.Event()
    endpoints.script.append(slow)
    async with running(endpoints, endpoints.clock) as stand:
        await settle()
        asleep = endpoints.issued(with_refresh=True)
        endpoints.script.append(asleep)
        stand.clock.sleep_through(DAY)
        await stand.clock.advance(5)
        assert stand.reports.results()[:2] == [
            (Grant.PASSWORD, FetchResult.TIMEOUT),
            (Grant.PASSWORD, FetchResult.NO_PROGRESS),
        ]
        assert stand.keeper.ready


async def test_a_defect_ends_the_loop_visibly_and_no_caller_hangs(endpoints: ScriptedEndpoints) -> None:
    clock = endpoints.clock
    async with running(endpoints, clock, chance=lambda: 1 / 0) as stand:  # outside of what a fetch meets
        waiting = asyncio.create_task(stand.keeper.obtain())
        await settle()
        assert isinstance(stand.loop.exception(), ZeroDivisionError)
        assert not waiting.done()
        await clock.advance(TOKEN_WAIT)
        with pytest.raises(TokenUnavailableError):
            await waiting
        assert not stand.keeper.ready


async def test_a_dead_loop_leaves_what_is_held_in_use_until_its_end(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        stand.loop.cancel()
        await settle()
        assert stand.loop.cancelled()
        await stand.clock.advance(269)
        assert stand.keeper.current() is not None
        await stand.clock.advance(10)
        joining = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(TOKEN_WAIT)
        assert (await joining).generation == 1
        await stand.clock.advance(30)
        hopeless = asyncio.create_task(stand.keeper.obtain())
        replacing = asyncio.create_task(stand.keeper.replacement(1))
        await stand.clock.advance(TOKEN_WAIT)
        with pytest.raises(TokenUnavailableError):
            await hopeless
        assert await replacing is None
