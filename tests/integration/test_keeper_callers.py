"""How callers get a token from the keeper: at once, after a bounded wait, or not; and that none can hurt another."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import LockedError, TokenUnavailableError
from proxy.tokens.issuer import FetchFailedError, FetchResult
from proxy.tokens.lifecycle_steps import State
from proxy.tokens.model import Grant
from tests.support.fakes import BROKEN, LOST, FakeClock, ScriptedEndpoints, settle
from tests.support.running_keeper import TOKEN_WAIT, running, started


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def endpoints(clock: FakeClock) -> ScriptedEndpoints:
    return ScriptedEndpoints(clock)


async def test_200_callers_at_a_cold_start_cost_one_login(endpoints: ScriptedEndpoints) -> None:
    answer = asyncio.Event()
    endpoints.script.append(answer)
    async with running(endpoints, endpoints.clock) as stand:
        callers = [asyncio.create_task(stand.keeper.obtain()) for _ in range(200)]
        await settle()
        answer.set()
        assert {token.generation for token in await asyncio.gather(*callers)} == {1}
    assert endpoints.grants() == [Grant.PASSWORD]


async def test_200_callers_with_the_same_refused_token_cost_one_refresh(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        callers = [asyncio.create_task(stand.keeper.replacement(1)) for _ in range(200)]
        tokens = await asyncio.gather(*callers)
        assert {None if token is None else token.generation for token in tokens} == {2}
        assert await stand.keeper.replacement(1) is stand.keeper.current(), "one who comes late gets the newer one"
    assert endpoints.grants() == [Grant.PASSWORD, Grant.REFRESH]
    assert len(stand.reports.disputed) == 201
    assert all(report.renewing for report in stand.reports.disputed)


async def test_a_caller_waits_no_longer_than_the_token_wait(endpoints: ScriptedEndpoints) -> None:
    endpoints.script.append(None)
    async with running(endpoints, endpoints.clock) as stand:
        waiting = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(TOKEN_WAIT - 0.01)
        assert not waiting.done()
        await stand.clock.advance(0.01)
        with pytest.raises(TokenUnavailableError):
            await waiting


async def test_when_nothing_is_fetched_within_the_token_wait_nobody_waits_for_it(endpoints: ScriptedEndpoints) -> None:
    endpoints.script.append(FetchFailedError(FetchResult.THROTTLED, "slow down", 429, retry_after=40.0))
    async with running(endpoints, endpoints.clock) as stand:
        await settle()
        with pytest.raises(TokenUnavailableError) as caught:
            await stand.keeper.obtain()
        assert caught.value.retry_after == 40.0
        await stand.clock.advance(38)
        waiting = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(2)
        assert (await waiting).generation == 1


async def test_the_least_retry_after_is_a_second(endpoints: ScriptedEndpoints) -> None:
    endpoints.script.append(None)
    async with running(endpoints, endpoints.clock) as stand:
        waiting = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(TOKEN_WAIT)
        with pytest.raises(TokenUnavailableError) as caught:
            await waiting
        assert caught.value.retry_after == 1.0


async def test_a_refresh_in_flight_is_joined_from_the_join_point_on_only(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        answer = asyncio.Event()
        endpoints.failing = {Grant.REFRESH: LOST, Grant.PASSWORD: LOST}
        await stand.clock.advance(179)
        endpoints.failing = {}
        stand.clock.sleep_through(90)
        endpoints.script.append(answer)
        await stand.clock.advance(0.5)
        held = stand.keeper.current()
        assert held is not None
        assert await stand.keeper.obtain() is held, "before the join point nobody waits"
        await stand.clock.advance(0.5)
        assert (stand.keeper.current(), stand.keeper.state) == (None, State.EXPIRING)
        joining = asyncio.create_task(stand.keeper.obtain())
        await settle()
        assert not joining.done()
        answer.set()
        assert (await joining).generation == 2


async def test_past_the_join_point_what_is_held_is_used_when_the_refresh_does_not_come_in_time(
    endpoints: ScriptedEndpoints,
) -> None:
    async with started(endpoints) as stand:
        stand.clock.sleep_through(280)
        endpoints.script.append(None)
        joining = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(TOKEN_WAIT)
        assert (await joining).generation == 1


async def test_between_two_tries_what_is_held_is_used_at_once(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints, chance=0.9) as stand:
        endpoints.failing = {Grant.REFRESH: BROKEN, Grant.PASSWORD: BROKEN}
        await stand.clock.advance(280)
        assert stand.reports.fetched[-1].retry_in > 0
        assert stand.keeper.current() is None
        assert (await stand.keeper.obtain()).generation == 1


@pytest.mark.parametrize("turns", range(12))
async def test_a_caller_that_is_cancelled_at_any_await_cancels_nothing_for_others(
    endpoints: ScriptedEndpoints, turns: int
) -> None:
    answer = asyncio.Event()
    endpoints.script.append(answer)
    async with running(endpoints, endpoints.clock) as stand:
        first = asyncio.create_task(stand.keeper.obtain())
        others = [asyncio.create_task(stand.keeper.obtain()) for _ in range(3)]
        for turn in range(turns):
            if turn == turns // 2:
                answer.set()
            await asyncio.sleep(0)
        first.cancel()
        answer.set()
        assert {token.generation for token in await asyncio.gather(*others)} == {1}
        assert first.cancelled() or first.result().generation == 1
    assert endpoints.grants() == [Grant.PASSWORD]


@pytest.mark.parametrize("turns", range(12))
async def test_one_who_disputes_and_is_cancelled_leaves_the_refresh_to_the_others(
    endpoints: ScriptedEndpoints, turns: int
) -> None:
    async with started(endpoints) as stand:
        first = asyncio.create_task(stand.keeper.replacement(1))
        other = asyncio.create_task(stand.keeper.replacement(1))
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()
        newer = await other
        assert newer is not None
        assert newer.generation == 2
        await settle()
    assert endpoints.grants() == [Grant.PASSWORD, Grant.REFRESH]
    assert stand.clock.waiting == 0, "nobody waits for what is over"


async def test_no_newer_token_in_time_is_told_and_the_old_one_stays(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        endpoints.script.append(None)
        waiting = asyncio.create_task(stand.keeper.replacement(1))
        await stand.clock.advance(TOKEN_WAIT)
        assert await waiting is None
        late = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(TOKEN_WAIT)
        assert (await late).generation == 2, "the retry brought it"


async def test_a_fourth_dispute_within_a_minute_is_given_up_at_once(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        for generation in (1, 2, 3):
            newer = await stand.keeper.replacement(generation)
            assert newer is not None
            assert newer.generation == generation + 1
        assert await stand.keeper.replacement(4) is None
        assert not stand.reports.disputed[-1].renewing
        assert stand.keeper.current() is not None
        assert len(endpoints.asked) == 4
        await stand.clock.advance(60)
        assert await stand.keeper.replacement(4) is not None


async def test_a_token_that_lags_behind_is_waited_out_and_tried_again(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        await stand.clock.advance(180)
        waiting = [asyncio.create_task(stand.keeper.replacement(2, "token_not_valid")) for _ in range(20)]
        await stand.clock.advance(1.9)
        assert not any(task.done() for task in waiting)
        await stand.clock.advance(0.1)
        assert set(await asyncio.gather(*waiting)) == {stand.keeper.current()}
        assert len(endpoints.asked) == 2, "nothing was fetched for it"
        assert (stand.reports.disputed[0].lagging, stand.reports.disputed[0].renewing) == (True, False)
        assert stand.keeper.dispute(2) is True
        await settle()
    assert endpoints.grants()[2:] == [Grant.PASSWORD], "a refreshed token that is still refused needs a login"


async def test_one_who_waits_for_a_lagging_node_gets_a_newer_token_as_soon_as_there_is_one(
    endpoints: ScriptedEndpoints,
) -> None:
    async with started(endpoints) as stand:
        await stand.clock.advance(180)
        waiting = asyncio.create_task(stand.keeper.replacement(2))
        await settle()
        newer = await stand.keeper.replacement(2, "password_changed")
        assert newer is not None
        assert newer.generation == 3
        assert await waiting is newer


async def test_a_dispute_that_nobody_waits_for_renews_for_the_calls_to_come(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        assert stand.keeper.dispute(1)
        await settle()
        assert (await stand.keeper.obtain()).generation == 2
        assert stand.keeper.dispute(1), "a newer one is held"
    assert endpoints.grants() == [Grant.PASSWORD, Grant.REFRESH]


async def test_a_dispute_while_a_refresh_fails_replaces_no_token(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        endpoints.script.append(None)
        await stand.clock.advance(180)
        assert stand.keeper.dispute(1)
        await stand.clock.advance(5)
        failed, renewed = stand.reports.fetched[1:3]
        assert (failed.result, failed.headroom) == (FetchResult.TIMEOUT, None)
        assert (renewed.result, renewed.headroom) == (FetchResult.GRANTED, 112.0)


async def test_callers_who_wait_are_refused_as_soon_as_the_lock_comes(endpoints: ScriptedEndpoints) -> None:
    endpoints.script.append(None)
    async with running(endpoints, endpoints.clock) as stand:
        waiting = asyncio.create_task(stand.keeper.obtain())
        replacing = asyncio.create_task(stand.keeper.replacement(0))
        await settle()
        stand.keeper.lock()
        with pytest.raises(LockedError) as caught:
            await waiting
        assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "locked", 30.0)
        assert await replacing is None


async def test_in_an_outage_a_token_that_lives_is_used_until_its_end(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints, chance=0.9) as stand:
        endpoints.failing = {Grant.REFRESH: BROKEN, Grant.PASSWORD: BROKEN}
        for at in (250.0, 296.0, 297.5, 299.0, 299.9):
            await stand.clock.advance(10_000 + at - stand.clock.now())
            obtaining = asyncio.create_task(stand.keeper.obtain())
            await stand.clock.advance(0.05)
            assert (await obtaining).generation == 1
            assert stand.keeper.ready
        await stand.clock.advance(0.1)
        assert not stand.keeper.ready
        obtaining = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(TOKEN_WAIT)
        with pytest.raises(TokenUnavailableError):
            await obtaining


@pytest.mark.parametrize("at", [293.0, 296.9, 297.1, 298.5, 299.9])
async def test_a_caller_that_waits_for_a_fetch_that_hangs_still_goes_with_the_token_that_lives(
    endpoints: ScriptedEndpoints, at: float
) -> None:
    async with started(endpoints) as stand:
        stand.clock.sleep_through(at)
        endpoints.script.extend([None, None, None])
        obtaining = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(min(TOKEN_WAIT, (300 - at) / 2) + 0.001)
        assert (await obtaining).generation == 1


async def test_a_newer_token_that_comes_in_the_last_seconds_is_waited_for(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        stand.clock.sleep_through(298)
        answer = asyncio.Event()
        endpoints.script.append(answer)
        obtaining = asyncio.create_task(stand.keeper.obtain())
        await stand.clock.advance(0.5)
        assert not obtaining.done()
        answer.set()
        assert (await obtaining).generation == 2


async def test_a_token_that_could_not_be_replaced_is_no_good_until_a_call_succeeds_or_another_comes(
    endpoints: ScriptedEndpoints,
) -> None:
    async with started(endpoints, chance=0.9) as stand:
        endpoints.failing = {Grant.REFRESH: BROKEN, Grant.PASSWORD: BROKEN}
        waiting = asyncio.create_task(stand.keeper.replacement(1, "token_not_valid"))
        await stand.clock.advance(TOKEN_WAIT)
        assert await waiting is None
        error = stand.keeper.refused(1)
        assert (error.status, error.code) == (503, "token_refused")
        assert (stand.keeper.unreplaced, stand.keeper.ready) == (True, False)
        stand.keeper.accepted(1)
        assert (stand.keeper.unreplaced, stand.keeper.ready) == (False, True)
        stand.keeper.refused(1)
        endpoints.failing = {}
        await stand.clock.advance(60)
        assert (stand.keeper.unreplaced, stand.keeper.ready) == (False, True)
        assert (await stand.keeper.obtain()).generation == 2


async def test_a_refused_token_that_has_ended_is_told_as_one_that_has_ended(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints, chance=0.9) as stand:
        endpoints.failing = {Grant.REFRESH: BROKEN, Grant.PASSWORD: BROKEN}
        assert stand.keeper.dispute(1)
        await stand.clock.advance(1)
        stand.keeper.refused(1)
        assert stand.keeper.unreplaced
        await stand.clock.advance(300)
        assert (stand.keeper.unreplaced, stand.keeper.ready, stand.keeper.state) == (False, False, State.EXPIRED)


async def test_a_caller_whose_token_was_refused_is_told_when_another_may_be_had(endpoints: ScriptedEndpoints) -> None:
    async with started(endpoints) as stand:
        for generation in (1, 2, 3):
            await stand.keeper.replacement(generation)
            await stand.clock.advance(5)
        assert await stand.keeper.replacement(4) is None
        assert stand.keeper.refused(4).retry_after == 45.0
        assert stand.keeper.refused(3).retry_after == 45.0
