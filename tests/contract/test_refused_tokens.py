"""A sidecar in front of a real Simple JWT server whose tokens have all ended, whatever its 401s look like."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from proxy.config import EnvironmentSource
from tests.support.origins import until
from tests.support.sidecars import Running, settings_for, sidecar
from tests.support.simplejwt.peer import Peer, PeerOptions, StartPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BALANCE = "/api/accounts/032.840.00000001/balance"
UNUSUAL = ("bare", "envelope", "listed", "long", "compressed")


@contextlib.asynccontextmanager
async def before(peer: Peer) -> AsyncIterator[Running]:
    credentials = EnvironmentSource(peer.username, peer.password)
    async with sidecar(settings_for(peer.url, credentials=credentials)) as relay:
        yield relay


async def payout(relay: Running, number: int) -> int:
    status, _ = await relay.post("/api/payout", {"externalId": f"order-{number}"})
    return status


async def test_after_a_change_of_keys_a_payout_is_sent_once_more_with_a_newer_token(simplejwt: StartPeer) -> None:
    peer = await simplejwt()
    async with before(peer) as relay:
        await peer.replace_signing_key()
        assert await payout(relay, 1) == 201
        assert (await peer.counts()).executions == {"order-1": 1}


@pytest.mark.parametrize("errors", UNUSUAL)
async def test_a_401_that_proves_nothing_is_passed_on_and_its_token_renewed_for_the_next_call(
    simplejwt: StartPeer, errors: str
) -> None:
    peer = await simplejwt(PeerOptions(errors=errors, check_revoke=True))
    async with before(peer) as relay:
        await peer.replace_signing_key()
        assert await payout(relay, 1) == 401
        assert relay.calls[-1]["attempts"] == 1
        await until(lambda: relay.value("token_fetches_total", grant="password", result="granted") == 2)
        assert await payout(relay, 2) == 201
        assert (await peer.counts()).executions == {"order-2": 1}


async def test_where_sessions_come_first_a_403_with_a_code_renews_the_token(simplejwt: StartPeer) -> None:
    peer = await simplejwt(PeerOptions(session_first=True))
    async with before(peer) as relay:
        await peer.replace_signing_key()
        assert await payout(relay, 1) == 403
        await until(lambda: relay.value("token_fetches_total", grant="password", result="granted") == 2)
        assert await payout(relay, 2) == 201


@pytest.mark.parametrize("errors", ["", "envelope"])
async def test_a_password_that_was_changed_before_ours_was_is_told_and_seen(simplejwt: StartPeer, errors: str) -> None:
    """Simple JWT refreshes on, with tokens that are dead already; a 401 that proves nothing stays the caller's."""
    peer = await simplejwt(PeerOptions(errors=errors, check_revoke=True))
    async with before(peer) as relay:
        await peer.change_password()
        answers = {await payout(relay, number) for number in range(8)}
        assert answers == ({401} if errors else {503})
        assert (await peer.counts()).executions == {}
        if not errors:
            assert {line["code"] for line in relay.calls} == {"token_refused"}
            status, why = await relay.admin("/readyz")
            assert status == 503
            refused = "Localpayment refuses the token that is held, and gives no other: "
            assert why.startswith(f"{refused}wrong username or password")
            assert relay.value("token_refused") == 1
        forced = sum(
            relay.value("token_fetches_total", grant=grant, result="granted") for grant in ("refresh_token", "password")
        )
        assert forced <= 1 + 3


async def test_after_a_revocation_in_an_outage_of_the_token_endpoints_callers_may_repeat(simplejwt: StartPeer) -> None:
    peer = await simplejwt()
    async with before(peer) as relay:
        await peer.deactivate_user()
        assert [await payout(relay, number) for number in range(3)] == [503] * 3
        status, _ = await relay.admin("/readyz")
        assert status == 503
        await peer.activate_user()
        assert await payout(relay, 4) == 201, "the very token is accepted again"
        assert await relay.admin("/readyz") == (200, "ready\n")
        assert (await peer.counts()).executions == {"order-4": 1}
