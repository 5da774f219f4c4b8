"""What Simple JWT's tokens say, and how long they live: claims, lifetimes, rotation, clocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from proxy.secret import Secret
from tests.support.simplejwt.peer import STOCK, PeerOptions
from tests.support.simplejwt.wire import assert_dead, claims

if TYPE_CHECKING:
    from tests.support.simplejwt.peer import Peer, StartPeer


async def test_rotation_brings_a_new_refresh_token_and_the_old_one_lives_on(simplejwt: StartPeer) -> None:
    peer = await simplejwt(PeerOptions(rotate=True))
    _, refresh = await peer.pair()
    rotated = await peer.wire.refresh(refresh)
    assert set(rotated.body) == {"access", "refresh"}
    assert rotated.token("refresh") != refresh
    assert (await peer.wire.refresh(refresh)).status == 200


async def test_rotation_with_blacklisting_ends_the_old_refresh_token(simplejwt: StartPeer) -> None:
    peer = await simplejwt(PeerOptions(rotate=True, blacklist=True))
    _, refresh = await peer.pair()
    rotated = await peer.wire.refresh(refresh)
    assert_dead(await peer.wire.refresh(refresh), "token_not_valid")
    assert (await peer.wire.refresh(rotated.token("refresh"))).status == 200


async def test_exp_is_a_whole_second_and_at_most_one_second_short_of_the_lifetime(peer: Peer) -> None:
    before = time.time()
    access, refresh = await peer.pair()
    after = time.time()
    for token, lifetime in ((access, STOCK.access_lifetime), (refresh, STOCK.refresh_lifetime)):
        exp = claims(token)["exp"]
        assert type(exp) is int
        assert before + lifetime - 1 < exp <= after + lifetime


async def test_there_is_no_leeway(peer: Peer) -> None:
    access, _ = await peer.pair()
    exp = claims(access)["exp"]
    await peer.put_clock(exp - 30 - time.time())
    assert (await peer.wire.call(access)).status == 200
    await peer.put_clock(exp - time.time())
    assert_dead(await peer.wire.call(access), "token_not_valid")


async def test_outer_white_space_of_username_and_password_is_trimmed(peer: Peer) -> None:
    padded = await peer.wire.log_in(Secret(f" {peer.username.reveal()}\n"), Secret(f"\t{peer.password.reveal()} "))
    assert padded.status == 200


async def test_a_token_carries_iat_and_its_user_id_as_text(simplejwt: StartPeer) -> None:
    peer = await simplejwt(PeerOptions(rotate=True))
    access, refresh = await peer.pair()
    rotated = await peer.wire.refresh(refresh)
    for token, kind in (
        (access, "access"),
        (refresh, "refresh"),
        (rotated.token("access"), "access"),
        (rotated.token("refresh"), "refresh"),
    ):
        read = claims(token)
        assert set(read) == {"token_type", "exp", "iat", "user_id"}
        assert read["token_type"] == kind
        assert type(read["iat"]) is int
        assert type(read["user_id"]) is str


async def test_a_refreshed_access_token_has_an_iat_of_its_own(peer: Peer) -> None:
    access, refresh = await peer.pair()
    await peer.put_clock(120)
    renewed = (await peer.wire.refresh(refresh)).token("access")
    assert claims(renewed)["iat"] - claims(access)["iat"] in {120, 121}


@pytest.mark.parametrize("offset", [-600.0, 600.0])
async def test_a_server_whose_clock_is_off_says_so_in_date_and_exp(simplejwt: StartPeer, offset: float) -> None:
    peer = await simplejwt(PeerOptions(clock_offset=offset))
    answer = await peer.wire.log_in(peer.username, peer.password)
    assert abs(answer.date - time.time() - offset) < 30
    assert STOCK.access_lifetime - 30 < claims(answer.token("access"))["exp"] - answer.date <= STOCK.access_lifetime
    assert (await peer.wire.call(answer.token("access"))).status == 200
