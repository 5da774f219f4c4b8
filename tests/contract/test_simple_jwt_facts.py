"""Simple JWT is as our documentation says: a real server's token endpoints and authentication, row by row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.secret import Secret
from tests.support.simplejwt.peer import STOCK, PeerOptions
from tests.support.simplejwt.token_cases import JSON, Request
from tests.support.simplejwt.wire import BALANCE, LOGIN, REFRESH, assert_dead, tampered

if TYPE_CHECKING:
    from tests.support.simplejwt.peer import Peer, StartPeer

NO_ACCOUNT = {"detail": "No active account found with the given credentials"}


async def test_a_login_brings_a_pair_and_nothing_else(peer: Peer) -> None:
    answer = await peer.wire.log_in(peer.username, peer.password)
    assert (answer.status, set(answer.body)) == (200, {"access", "refresh"})
    assert answer.challenge is None


async def test_a_refresh_brings_an_access_token_only(peer: Peer) -> None:
    _, refresh = await peer.pair()
    answer = await peer.wire.refresh(refresh)
    assert (answer.status, set(answer.body)) == (200, {"access"})
    assert (await peer.wire.call(answer.token("access"))).status == 200


async def test_an_access_token_opens_the_api(peer: Peer) -> None:
    access, _ = await peer.pair()
    assert (await peer.wire.call(access)).status == 200
    assert (await peer.wire.call(access, target="/api/transactions/none/status")).status == 404


async def test_a_wrong_password_and_an_unknown_and_an_inactive_user_get_the_same_401(peer: Peer) -> None:
    wrong = await peer.wire.log_in(peer.username, Secret("wrong"))
    unknown = await peer.wire.log_in(Secret("nobody"), peer.password)
    await peer.deactivate_user()
    inactive = await peer.wire.log_in(peer.username, peer.password)
    for answer in (wrong, unknown, inactive):
        assert_dead(answer, None)
        assert answer.body == NO_ACCOUNT


@pytest.mark.parametrize(("request_", "status"), [
    (Request("POST", LOGIN, b"{", JSON), 400),
    (Request("POST", LOGIN, {"username": "a"}), 400),
    (Request("POST", LOGIN, b"[]", JSON), 400),
    (Request("POST", LOGIN, b"{}", {"Content-Type": "text/plain"}), 415),
    (Request("GET", LOGIN), 405),
    (Request("PUT", LOGIN, {}), 405),
    (Request("POST", LOGIN, {}, {"Accept": "application/xml"}), 406),
])  # fmt: skip
@pytest.mark.parametrize("endpoint", [LOGIN, REFRESH])
async def test_a_malformed_token_call_is_refused_without_a_challenge(
    peer: Peer, endpoint: str, request_: Request, status: int
) -> None:
    answer = await replace(request_, target=endpoint).send(peer.wire, {})
    assert (answer.status, answer.challenge) == (status, None)


async def test_a_missing_field_is_named_in_the_400(peer: Peer) -> None:
    answer = await peer.wire.post(LOGIN, {"username": "a"})
    assert answer.body == {"password": ["This field is required."]}


async def test_garbage_and_an_access_token_are_refused_as_refresh_tokens(peer: Peer) -> None:
    access, refresh = await peer.pair()
    garbage = await peer.wire.refresh(Secret("garbage"))
    wrong_type = await peer.wire.refresh(access)
    forged = await peer.wire.refresh(tampered(refresh))
    for answer in (garbage, wrong_type, forged):
        assert_dead(answer, "token_not_valid")
    assert [it.body["detail"] for it in (garbage, wrong_type, forged)] == [
        "Token is invalid",
        "Token has wrong type",
        "Token is invalid",
    ]


async def test_an_expired_refresh_token_is_refused(peer: Peer) -> None:
    _, refresh = await peer.pair()
    await peer.put_clock(STOCK.refresh_lifetime + 1)
    answer = await peer.wire.refresh(refresh)
    assert_dead(answer, "token_not_valid")
    assert answer.body["detail"] == "Token is expired"


async def test_a_blacklisted_refresh_token_is_refused_and_its_access_token_lives_on(peer: Peer) -> None:
    access, refresh = await peer.pair()
    assert await peer.blacklist_outstanding() == 1
    answer = await peer.wire.refresh(refresh)
    assert_dead(answer, "token_not_valid")
    assert answer.body["detail"] == "Token is blacklisted"
    assert (await peer.wire.call(access)).status == 200


async def test_an_inactive_users_tokens_are_dead_and_come_alive_with_the_user(peer: Peer) -> None:
    access, refresh = await peer.pair()
    await peer.deactivate_user()
    refused = await peer.wire.refresh(refresh)
    assert_dead(refused, None)
    assert refused.body == {"detail": "No active account found for the given token."}
    assert_dead(await peer.wire.call(access), "user_inactive")
    await peer.activate_user()
    assert (await peer.wire.refresh(refresh)).status == 200
    assert (await peer.wire.call(access)).status == 200


async def test_a_deleted_users_refresh_is_a_500_page_and_its_access_token_a_401(peer: Peer) -> None:
    access, refresh = await peer.pair()
    await peer.delete_user()
    crashed = await peer.wire.refresh(refresh)
    assert (crashed.status, crashed.media_type, crashed.challenge) == (500, "text/html", None)
    assert_dead(await peer.wire.call(access), "user_not_found")
    assert_dead(await peer.wire.log_in(peer.username, peer.password), None)


async def test_an_expired_a_forged_and_a_refresh_token_are_refused_by_the_api_with_messages(peer: Peer) -> None:
    access, refresh = await peer.pair()
    forged = await peer.wire.call(tampered(access))
    wrong_type = await peer.wire.call(refresh)
    garbage = await peer.wire.call(Secret("garbage"))
    await peer.put_clock(STOCK.access_lifetime + 1)
    expired = await peer.wire.call(access)
    for answer, message in (
        (forged, "Token is invalid"),
        (wrong_type, "Token has wrong type"),
        (garbage, "Token is invalid"),
        (expired, "Token is expired"),
    ):
        assert_dead(answer, "token_not_valid")
        assert answer.body["detail"] == "Given token not valid for any token type"
        assert answer.body["messages"] == [{"token_class": "AccessToken", "token_type": "access", "message": message}]


async def test_a_token_from_the_servers_future_is_refused(peer: Peer) -> None:
    await peer.put_clock(60)
    access, refresh = await peer.pair()
    await peer.put_clock(0)
    assert_dead(await peer.wire.call(access), "token_not_valid")
    assert_dead(await peer.wire.refresh(refresh), "token_not_valid")


async def test_a_new_signing_key_ends_every_token_and_a_login_helps(peer: Peer) -> None:
    access, refresh = await peer.pair()
    await peer.replace_signing_key()
    assert_dead(await peer.wire.call(access), "token_not_valid")
    assert_dead(await peer.wire.refresh(refresh), "token_not_valid")
    renewed, _ = await peer.pair()
    assert (await peer.wire.call(renewed)).status == 200


async def test_a_password_change_ends_no_token(peer: Peer) -> None:
    access, refresh = await peer.pair()
    await peer.change_password()
    assert (await peer.wire.call(access)).status == 200
    renewed = await peer.wire.refresh(refresh)
    assert (await peer.wire.call(renewed.token("access"))).status == 200


async def test_with_the_revoke_check_a_password_change_leaves_refreshes_that_bring_dead_tokens(
    simplejwt: StartPeer,
) -> None:
    peer = await simplejwt(PeerOptions(check_revoke=True))
    access, refresh = await peer.pair()
    old_password = peer.password
    await peer.change_password()
    assert_dead(await peer.wire.call(access), "password_changed")
    renewed = await peer.wire.refresh(refresh)
    assert renewed.status == 200
    assert_dead(await peer.wire.call(renewed.token("access")), "password_changed")
    assert_dead(await peer.wire.log_in(peer.username, old_password), None)
    fresh, _ = await peer.pair()
    assert (await peer.wire.call(fresh)).status == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "JWT"])
async def test_the_scheme_is_case_sensitive(peer: Peer, scheme: str) -> None:
    access, _ = await peer.pair()
    answer = await peer.wire.send("GET", BALANCE, headers={"Authorization": f"{scheme} {access.reveal()}"})
    assert_dead(answer, None)


@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "Basic YTpi"}])
async def test_a_call_without_a_bearer_token_gets_a_401_without_a_code(peer: Peer, headers: dict[str, str]) -> None:
    answer = await peer.wire.send("GET", BALANCE, headers=headers)
    assert_dead(answer, None)
    assert answer.body == {"detail": "Authentication credentials were not provided."}


@pytest.mark.parametrize("value", ["Bearer", "Bearer one two"])
async def test_a_bearer_header_of_another_shape_has_a_code_of_its_own(peer: Peer, value: str) -> None:
    assert_dead(await peer.wire.send("GET", BALANCE, headers={"Authorization": value}), "bad_authorization_header")


@pytest.mark.parametrize("endpoint", [LOGIN, REFRESH])
async def test_a_token_call_without_its_slash_is_redirected_and_following_it_as_get_ends_in_405(
    peer: Peer, endpoint: str
) -> None:
    moved = await peer.wire.post(endpoint.rstrip("/"), {})
    assert (moved.status, moved.length, moved.headers["Location"]) == (301, 0, endpoint)
    followed = await peer.wire.send("GET", moved.headers["Location"])
    assert (followed.status, followed.challenge) == (405, None)
    assert "POST" in followed.headers["Allow"]


async def test_a_token_call_that_accepts_html_gets_a_page(peer: Peer) -> None:
    body = json.dumps({"username": peer.username.reveal(), "password": peer.password.reveal()}).encode()
    answer = await peer.wire.send("POST", LOGIN, headers={**JSON, "Accept": "text/html"}, body=body)
    assert (answer.status, answer.media_type) == (200, "text/html")


async def test_a_doubled_leading_slash_reaches_the_token_view_behind_this_server(peer: Peer) -> None:
    content = {"username": peer.username.reveal(), "password": peer.password.reveal()}
    assert (await peer.wire.post("//api/token/", content)).status == 200
    assert (await peer.wire.post("/api//token/", content)).status == 404
