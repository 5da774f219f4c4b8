"""The keeper in front of the real Simple JWT server: renewals, rotation, lifetimes, clocks that disagree."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from proxy.clock import SystemClock
from proxy.config import Origin
from proxy.tokens.issuer import FetchResult, Issuer
from proxy.tokens.keeper import Keeper
from proxy.tokens.lifecycle_steps import State
from proxy.tokens.model import Grant
from tests.support.fakes import Reports
from tests.support.simplejwt.keeping import credentials, keeping
from tests.support.simplejwt.peer import PeerOptions

if TYPE_CHECKING:
    from tests.support.simplejwt.peer import Peer, StartPeer

LOGIN, REFRESH = Grant.PASSWORD, Grant.REFRESH
GRANTED, REFUSED = FetchResult.GRANTED, FetchResult.REFUSED


async def test_without_rotation_one_login_serves_an_hour_and_every_call_is_answered(peer: Peer) -> None:
    async with keeping(peer, chance=0.5) as pair:
        for _ in range(120):
            await pair.pass_time(30)
            assert (await pair.call(pair.keeper.current())).status == 200
    counts = await peer.counts()
    assert (counts.logins, counts.logins_refused, counts.refreshes_refused, counts.unauthorized) == (1, 0, 0, 0)
    assert 20 <= counts.refreshes <= 25


@pytest.mark.parametrize("blacklist", [True, False])
async def test_with_rotation_each_refresh_uses_the_token_that_the_last_one_brought(
    simplejwt: StartPeer, *, blacklist: bool
) -> None:
    peer = await simplejwt(PeerOptions(rotate=True, blacklist=blacklist))
    async with keeping(peer) as pair:
        await pair.pass_time(1800)
        assert (await pair.call(pair.keeper.current())).status == 200
    counts = await peer.counts()
    assert (counts.logins, counts.refreshes, counts.refreshes_refused) == (1, 10, 0)


async def test_a_rotation_whose_answer_was_lost_is_recovered_by_one_login(simplejwt: StartPeer) -> None:
    peer = await simplejwt(PeerOptions(rotate=True, blacklist=True))
    async with keeping(peer) as pair:
        held = pair.keeper._lifecycle._refresh  # noqa: SLF001 - the pair that the server knows is shown to no one
        assert held is not None
        assert (await peer.wire.refresh(held.value)).status == 200  # as our own call whose answer never came
        await pair.pass_time(180)
        assert pair.results()[1:] == [(REFRESH, REFUSED), (LOGIN, GRANTED)]
        assert (await pair.call(pair.keeper.current())).status == 200
        await pair.pass_time(180)
        assert pair.results()[3:] == [(REFRESH, GRANTED)]


async def test_a_blacklisted_refresh_token_costs_one_login_and_no_caller_a_401(simplejwt: StartPeer) -> None:
    peer = await simplejwt(PeerOptions(rotate=True, blacklist=True))
    async with keeping(peer) as pair:
        assert await peer.blacklist_outstanding() == 1
        await pair.pass_time(180)
        assert await pair.call_after_401s() == (200, 1)
    counts = await peer.counts()
    assert (counts.logins, counts.logins_refused, counts.refreshes_refused) == (2, 0, 1)


async def test_before_the_refresh_token_ends_a_new_pair_is_fetched_and_proven(simplejwt: StartPeer) -> None:
    peer = await simplejwt(PeerOptions(access_lifetime=60.0, refresh_lifetime=600.0))
    async with keeping(peer) as pair:
        await pair.pass_time(476)
        assert (await peer.counts()).logins == 1
        await pair.pass_time(6)
        assert pair.results()[-2:] == [(LOGIN, GRANTED), (REFRESH, GRANTED)]
        refresh_left = pair.keeper.expiries[1]
        assert refresh_left is not None
        assert refresh_left == pytest.approx(600, abs=10)
        assert (await pair.call(pair.keeper.current())).status == 200
    assert (await peer.counts()).refreshes_refused == 0


async def test_a_refresh_token_that_ended_in_a_suspend_is_not_sent_but_replaced_by_a_login(
    simplejwt: StartPeer,
) -> None:
    peer = await simplejwt(PeerOptions(access_lifetime=60.0, refresh_lifetime=600.0))
    async with keeping(peer) as pair:
        pair.clock.sleep_through(3600)
        await peer.put_clock(3600)
        assert pair.keeper.current() is None
        assert (await pair.call(await pair.keeper.obtain())).status == 200
    counts = await peer.counts()
    assert (counts.logins, counts.refreshes, counts.refreshes_refused, counts.unauthorized) == (2, 0, 0, 0)


@pytest.mark.parametrize("ahead", [-600.0, 600.0, -86400.0])
async def test_a_server_whose_clock_is_off_is_served_by_its_own_date(peer: Peer, ahead: float) -> None:
    async with keeping(peer, ahead=ahead) as pair:
        assert pair.reports.fetched[0].skew == pytest.approx(ahead, abs=2)
        for _ in range(20):
            await pair.pass_time(30)
            assert pair.keeper.state is State.VALID
            assert (await pair.call(pair.keeper.current())).status == 200
    counts = await peer.counts()
    assert (counts.logins, counts.unauthorized) == (1, 0)
    assert counts.refreshes == 3


async def test_what_is_handed_out_last_is_still_accepted_by_the_server(peer: Peer) -> None:
    async with keeping(peer) as pair:
        stop = pair.keeper._lifecycle.access  # noqa: SLF001 - the pair that the server knows is shown to no one
        assert stop is not None
        await peer.put_clock(stop.stop_at - pair.clock.now())
        assert (await pair.call(stop)).status == 200
        await peer.put_clock(stop.expires_at - pair.clock.now() + 1)
        assert (await pair.call(stop)).status == 401


async def test_a_token_from_a_nodes_future_is_waited_out_and_tried_again(peer: Peer) -> None:
    async with keeping(peer) as pair:
        pair.ahead = 1.9
        await pair.pass_time(180)
        await peer.put_clock(180.0)  # another node, whose clock is behind
        token = pair.keeper.current()
        assert token is not None
        refused = await pair.call(token)
        assert (refused.status, refused.code) == (401, "token_not_valid")
        waiting = asyncio.create_task(pair.keeper.replacement(token.generation, "token_not_valid"))
        await pair.clock.advance(2)
        await peer.put_clock(182.0)
        assert await waiting is token
        assert (await pair.call(token)).status == 200
    counts = await peer.counts()
    assert (counts.logins, counts.refreshes) == (1, 1)


@pytest.mark.slow
async def test_in_real_time_tokens_of_five_seconds_never_show_a_caller_a_401(simplejwt: StartPeer) -> None:
    # Shorter ones cannot be used safely: exp and Date are whole seconds, and only a fifth of the life is held back.
    peer = await simplejwt(PeerOptions(access_lifetime=5.0, refresh_lifetime=8.0))
    where, clock = urlsplit(peer.url), SystemClock()
    assert where.hostname is not None
    assert where.port is not None
    issuer = Issuer(Origin(where.hostname, where.port, tls=False), clock, None, None)
    keeper = Keeper(
        issuer=issuer,
        credentials=credentials(peer),
        clock=clock,
        chance=lambda: 0.5,
        report=Reports(),
        token_wait=2.5,
        fetch_timeout=5.0,
    )
    loop = asyncio.create_task(keeper.run())
    statuses, until = [], time.monotonic() + 10
    while time.monotonic() < until:
        token = keeper.current() or await keeper.obtain()
        statuses.append((await peer.wire.send("GET", "/api/accounts/1/balance", headers=bearer(token.header))).status)
        await asyncio.sleep(0.02)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert set(statuses) == {200}
    assert (await peer.counts()).logins >= 2


def bearer(header: bytes) -> dict[str, str]:
    return {"Authorization": header.decode()}
