"""The keeper in front of the real Simple JWT server: what happens to the account, and to its passwords and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.secret import Secret
from proxy.tokens.issuer import FetchResult
from proxy.tokens.lifecycle_steps import State
from proxy.tokens.model import Grant
from tests.support.simplejwt.keeping import credentials, keeping
from tests.support.simplejwt.peer import PeerOptions

if TYPE_CHECKING:
    from tests.support.simplejwt.peer import Peer, StartPeer

LOGIN, REFRESH = Grant.PASSWORD, Grant.REFRESH
GRANTED, REFUSED, BROKEN = FetchResult.GRANTED, FetchResult.REFUSED, FetchResult.SERVER_ERROR
REVOKE = PeerOptions(check_revoke=True)


async def test_an_inactive_user_is_rejected_tried_slowly_and_served_again_when_active(peer: Peer) -> None:
    async with keeping(peer) as pair:
        await peer.deactivate_user()
        await pair.pass_time(180)
        assert pair.results()[1:] == [(REFRESH, REFUSED), (LOGIN, REFUSED)]
        assert (pair.keeper.state, pair.keeper.rejected) == (State.VALID, True)
        await pair.pass_time(150)
        assert (pair.keeper.state, pair.keeper.ready) == (State.REJECTED, False)
        assert (await peer.counts()).logins_refused == 2, "60 s after the first"
        await peer.activate_user()
        await pair.pass_time(30)
        assert (pair.keeper.state, pair.keeper.rejected) == (State.VALID, False)
        assert (await pair.call(pair.keeper.current())).status == 200
    counts = await peer.counts()
    assert (counts.logins, counts.logins_refused, counts.refreshes_refused) == (2, 2, 1)


async def test_a_deleted_users_500s_end_in_a_login_at_the_join_point(peer: Peer) -> None:
    async with keeping(peer, chance=0.9) as pair:
        await peer.delete_user()
        await pair.pass_time(240)
        assert {result for grant, result in pair.results()[1:]} == {BROKEN}
        assert {grant for grant, result in pair.results()[1:]} == {REFRESH}
        await pair.pass_time(60)
        assert (LOGIN, REFUSED) in pair.results()
        assert pair.keeper.state is State.REJECTED
    assert (await peer.counts()).logins_refused == 1


async def test_a_password_change_alone_is_not_noticed_until_a_login_is_needed(peer: Peer) -> None:
    async with keeping(peer) as pair:
        await peer.change_password()
        await pair.pass_time(600)
        assert await pair.call_after_401s() == (200, 1)
        pair.keeper.replace_credentials(credentials(peer))
        await pair.quiet()
        assert pair.results()[-1] == (LOGIN, GRANTED)
        assert await pair.call_after_401s() == (200, 1)
    counts = await peer.counts()
    assert (counts.logins, counts.logins_refused, counts.unauthorized) == (2, 0, 0)


async def test_credentials_that_are_wrong_displace_no_working_session(peer: Peer) -> None:
    async with keeping(peer) as pair:
        pair.keeper.replace_credentials(credentials(peer, Secret("a typing mistake")))
        await pair.pass_time(3600)
        assert (pair.keeper.state, pair.keeper.rejected) == (State.VALID, True)
        assert await pair.call_after_401s() == (200, 1)
        assert 5 <= (await peer.counts()).logins_refused <= 8
        pair.keeper.replace_credentials(credentials(peer))
        await pair.pass_time(3600)
        assert not pair.keeper.rejected
    assert (await peer.counts()).logins == 1


async def test_with_the_revoke_check_the_caller_that_meets_it_is_served_by_one_login(simplejwt: StartPeer) -> None:
    peer = await simplejwt(REVOKE)
    async with keeping(peer) as pair:
        old = peer.password
        await peer.change_password()
        pair.keeper._lifecycle.credentials.held.credentials = credentials(peer)  # noqa: SLF001 - as if it had always had it
        assert await pair.call_after_401s() == (200, 2)
        assert pair.results()[1:] == [(LOGIN, GRANTED)]
        assert old != peer.password
    counts = await peer.counts()
    assert (counts.logins, counts.refreshes, counts.unauthorized) == (2, 0, 1)


async def test_with_the_revoke_check_a_relay_that_knows_no_code_gets_there_by_a_refresh_and_a_login(
    simplejwt: StartPeer,
) -> None:
    peer = await simplejwt(REVOKE)
    async with keeping(peer) as pair:
        await peer.change_password()
        pair.keeper._lifecycle.credentials.held.credentials = credentials(peer)  # noqa: SLF001 - as if it had had the new password all along
        refreshed = await pair.keeper.replacement(1)
        assert (await pair.call(refreshed)).code == "password_changed"
        assert (await pair.call(await pair.keeper.replacement(2))).status == 200
        assert pair.results()[1:] == [(REFRESH, GRANTED), (LOGIN, GRANTED)]


async def test_with_the_revoke_check_and_the_old_password_logins_stay_few_until_the_new_one_comes(
    simplejwt: StartPeer,
) -> None:
    peer = await simplejwt(REVOKE)
    async with keeping(peer) as pair:
        await peer.change_password()
        for _ in range(20):
            assert (await pair.call_after_401s())[0] == 401
        counts = await peer.counts()
        assert (counts.logins, counts.logins_refused) == (1, 1)
        assert counts.refreshes <= 3
        assert pair.keeper.rejected
        pair.keeper.replace_credentials(credentials(peer))
        await pair.quiet()
        assert await pair.call_after_401s() == (200, 1)
        assert not pair.keeper.rejected


async def test_new_signing_keys_cost_the_caller_that_meets_them_one_more_call(peer: Peer) -> None:
    async with keeping(peer) as pair:
        await peer.replace_signing_key()
        assert await pair.call_after_401s() == (200, 2)
        assert pair.results()[1:] == [(REFRESH, REFUSED), (LOGIN, GRANTED)]
    assert (await peer.counts()).unauthorized == 1


async def test_a_wrong_password_from_the_start_costs_one_login_a_minute_at_first(simplejwt: StartPeer) -> None:
    peer = await simplejwt()
    await peer.deactivate_user()
    async with keeping(peer, ready=False) as pair:
        await pair.pass_time(59)
        assert (await peer.counts()).logins_refused == 1
        assert pair.keeper.state is State.REJECTED
        await peer.activate_user()
        await pair.pass_time(2)
        assert await pair.call_after_401s() == (200, 1)


async def test_the_lock_ends_all_token_calls_and_a_login_ends_the_lock(peer: Peer) -> None:
    async with keeping(peer) as pair:
        pair.keeper.lock()
        await pair.pass_time(900)
        counts = await peer.counts()
        assert (counts.logins, counts.refreshes) == (1, 0)
        pair.keeper.unlock()
        assert (await pair.call(await pair.keeper.obtain())).status == 200
    assert (await peer.counts()).logins == 2
