"""What becomes of tokens and users over a real socket: the second half of the table "Simple JWT as observed"."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
import jwt
import pytest

from proxy.secret import Secret
from proxy.simulator.tokens import User
from tests.support.simulated import CHALLENGE, NAME, WORD, OwnedClock, balance, logged_in, one_account, post, refreshed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.simulator.server import Simulator


@pytest.fixture
def clock() -> OwnedClock:
    return OwnedClock()


@pytest.fixture
async def simulator(clock: OwnedClock) -> AsyncIterator[Simulator]:
    async with one_account(clock) as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(simulator.url) as session:
        yield session


async def test_an_access_token_dies_with_its_exp(client: aiohttp.ClientSession, clock: OwnedClock) -> None:
    authorization = f"Bearer {(await logged_in(client))['access']}"
    clock.now += 299.9
    assert (await balance(client, authorization))[0] == 200
    clock.now += 0.1
    status, content, challenge = await balance(client, authorization)
    assert (status, content["code"], challenge) == (401, "token_not_valid", CHALLENGE)
    message = {"token_class": "AccessToken", "token_type": "access", "message": "Token is expired"}
    assert content["messages"] == [message]


@pytest.mark.parametrize("scheme", [None, "", "Basic {}", "bearer {}", "BEARER {}", "Token {}"])
async def test_only_the_scheme_bearer_in_this_very_spelling_counts(
    simulator: Simulator, client: aiohttp.ClientSession, scheme: str | None
) -> None:
    access = (await logged_in(client))["access"]
    answer = await balance(client, None if scheme is None else scheme.format(access))
    assert answer == (401, {"detail": "Authentication credentials were not provided."}, CHALLENGE)
    assert simulator.unauthorized == 1


async def test_a_bearer_of_three_parts_is_a_bad_header(client: aiohttp.ClientSession) -> None:
    assert (await balance(client, "Bearer a b"))[1]["code"] == "bad_authorization_header"


@pytest.mark.parametrize("kind", ["refresh", "forged"])
async def test_a_token_of_another_kind_or_key_opens_nothing(client: aiohttp.ClientSession, kind: str) -> None:
    pair = await logged_in(client)
    claims = jwt.decode(pair["access"], options={"verify_signature": False})
    token = pair["refresh"] if kind == "refresh" else jwt.encode(claims, "k" * 32, algorithm="HS256")
    status, content, _ = await balance(client, f"Bearer {token}")
    assert (status, content["code"]) == (401, "token_not_valid")


async def test_authentication_comes_before_the_method_and_the_view(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    async with client.put("/api/payin", data=b"{") as answer:
        assert answer.status == 401
    assert simulator.attempts("create_payin") == 0


async def test_an_inactive_user_is_refused_everywhere_and_comes_back(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    pair = await logged_in(client)
    simulator.account.user = User.INACTIVE
    assert (await balance(client, f"Bearer {pair['access']}"))[1]["code"] == "user_inactive"
    expected = {"detail": "No active account found for the given token."}
    assert await refreshed(client, pair["refresh"]) == (401, expected, CHALLENGE)
    assert (await post(client, "/api/token/", {"username": NAME, "password": WORD}))[0] == 401
    simulator.account.user = User.ACTIVE
    assert (await balance(client, f"Bearer {pair['access']}"))[0] == 200


async def test_the_refresh_of_a_deleted_user_is_an_html_500(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    pair = await logged_in(client)
    simulator.account.user = User.DELETED
    assert (await balance(client, f"Bearer {pair['access']}"))[1]["code"] == "user_not_found"
    status, content, challenge = await refreshed(client, pair["refresh"])
    assert (status, challenge) == (500, None)
    assert content.startswith("<!doctype html>")


async def test_after_a_password_change_with_the_revoke_check_only_a_login_helps(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    pair = await logged_in(client)
    simulator.account.change_password(revoke_check=True)
    status, content, _ = await refreshed(client, pair["refresh"])
    assert status == 200
    for access in (pair["access"], content["access"]):
        assert (await balance(client, f"Bearer {access}"))[1]["code"] == "password_changed"
    assert (await balance(client, f"Bearer {(await logged_in(client))['access']}"))[0] == 200


async def test_a_password_change_without_the_check_ends_no_token(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    pair = await logged_in(client)
    simulator.account.change_password(Secret("another"))
    assert (await balance(client, f"Bearer {pair['access']}"))[0] == 200
    assert (await refreshed(client, pair["refresh"]))[0] == 200
    assert (await post(client, "/api/token/", {"username": NAME, "password": WORD}))[0] == 401


async def test_token_calls_are_counted_by_grant_whatever_came_of_them(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    await logged_in(client)
    await post(client, "/api/token/", {"username": NAME, "password": "no"})
    await refreshed(client, "garbage")
    assert simulator.token_calls == {"password": 2, "refresh": 1}
    assert simulator.unauthorized == 0


async def test_the_date_and_exp_follow_the_servers_clock(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    simulator.set_clock(3600)
    async with client.post("/api/token/", json={"username": NAME, "password": WORD}) as answer:
        date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        claims = jwt.decode((await answer.json())["access"], options={"verify_signature": False})
    assert (date, claims["exp"] - date) == (1_700_003_600, 300)


async def test_nothing_that_was_sent_or_issued_is_kept_where_it_can_be_printed(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    pair = await logged_in(client)
    await balance(client, f"Bearer {pair['access']}")
    shown = repr((simulator.tokens, simulator.account, simulator.log, simulator.stats(), simulator.options))
    for secret in (WORD, pair["access"], pair["refresh"]):
        assert secret not in shown
