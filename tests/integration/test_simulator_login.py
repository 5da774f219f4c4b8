"""The token endpoints over a real socket: the first half of the table "Simple JWT as observed"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from yarl import URL

from proxy.simulator.server import Simulator
from tests.support.simulated import CHALLENGE, NAME, WORD, OwnedClock, balance, logged_in, one_account, post, refreshed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


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


async def test_a_login_gives_a_pair_and_its_access_token_opens_the_api(client: aiohttp.ClientSession) -> None:
    pair = await logged_in(client)
    assert set(pair) == {"refresh", "access"}
    assert (await balance(client, f"Bearer {pair['access']}"))[0] == 200


async def test_white_space_around_username_and_password_is_trimmed(client: aiohttp.ClientSession) -> None:
    assert (await post(client, "/api/token/", {"username": f" {NAME} ", "password": f"\t{WORD}\n"}))[0] == 200


@pytest.mark.parametrize("body", [{"username": NAME, "password": "no"}, {"username": "no", "password": WORD}])
async def test_a_wrong_pair_is_a_401_without_a_code(client: aiohttp.ClientSession, body: Any) -> None:
    expected = {"detail": "No active account found with the given credentials"}
    assert await post(client, "/api/token/", body) == (401, expected, CHALLENGE)


async def test_without_configured_credentials_any_non_empty_pair_logs_in() -> None:
    async with Simulator() as open_door, aiohttp.ClientSession(open_door.url) as client:
        assert (await post(client, "/api/token/", {"username": "a", "password": "b"}))[0] == 200
        assert (await post(client, "/api/token/", {"username": "a", "password": " "}))[0] == 400


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "This field is required."),
        ({"refresh": None}, "This field may not be null."),
        ({"refresh": ""}, "This field may not be blank."),
        ({"refresh": [1]}, "Not a valid string."),
        ({"refresh": True}, "Not a valid string."),
    ],
)
async def test_a_missing_or_odd_field_is_a_400_that_names_it(
    client: aiohttp.ClientSession, body: Any, problem: str
) -> None:
    assert await post(client, "/api/token/refresh/", body) == (400, {"refresh": [problem]}, None)


async def test_a_body_that_is_no_json_object_is_a_400(client: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b"\xff\xfe\xfd", b"[" * 100_000, b'{"username": "\\ud800", "password": "a"}'):
        async with client.post("/api/token/", data=body, headers=headers) as answer:
            assert answer.status == 400
            assert (await answer.json())["detail"].startswith("JSON parse error - ")
    assert (await post(client, "/api/token/", [1]))[1] == {
        "non_field_errors": ["Invalid data. Expected a dictionary, but got list."]
    }


async def test_a_refresh_token_with_half_a_surrogate_pair_is_a_400(client: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json"}
    async with client.post("/api/token/refresh/", data=b'{"refresh": "\\ud800"}', headers=headers) as answer:
        assert answer.status == 400


async def test_other_content_types_methods_and_wishes_are_refused_without_a_challenge(
    client: aiohttp.ClientSession,
) -> None:
    cases = {
        415: client.post("/api/token/", data={"username": NAME, "password": WORD}),
        405: client.get("/api/token/"),
        406: client.post("/api/token/", headers={"Accept": "image/png"}),
        400: client.post("/api/token/"),
    }
    for status, request in cases.items():
        async with request as answer:
            assert answer.status == status
            assert "WWW-Authenticate" not in answer.headers
    async with client.options("/api/token/") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/json", "application/json"),
        ("text/html, application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html, */*", "text/html"),
        ("text/*;q=0.5", "text/html"),
    ],
)
async def test_the_most_precise_accepted_type_decides_between_json_and_html(
    client: aiohttp.ClientSession, accept: str, content_type: str
) -> None:
    body = {"username": NAME, "password": WORD}
    async with client.post("/api/token/", json=body, headers={"Accept": accept}) as answer:
        assert (answer.status, answer.content_type) == (200, content_type)


@pytest.mark.parametrize("target", ["/api/token", "/api/token/refresh"])
async def test_a_missing_trailing_slash_is_an_empty_301_and_followed_as_get_a_405(
    simulator: Simulator, client: aiohttp.ClientSession, target: str
) -> None:
    body = {"username": NAME, "password": WORD}
    async with client.post(target, json=body, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"], await answer.read()) == (301, f"{target}/", b"")
    async with client.post(target, json=body) as answer:
        assert answer.status == 405
    assert not simulator.token_calls


async def test_a_doubled_slash_reaches_the_token_endpoint(simulator: Simulator, client: aiohttp.ClientSession) -> None:
    target = URL(f"{simulator.url}//api/token/", encoded=True)
    async with client.post(target, json={"username": NAME, "password": WORD}) as answer:
        assert answer.status == 200
    assert simulator.token_calls == {"password": 1}


def garbage(_: Simulator, __: dict[str, str]) -> str:
    return "garbage"


def access(_: Simulator, pair: dict[str, str]) -> str:
    return pair["access"]


def expired(simulator: Simulator, pair: dict[str, str]) -> str:
    simulator.expire("refresh")
    return pair["refresh"]


def revoked(simulator: Simulator, pair: dict[str, str]) -> str:
    simulator.revoke("refresh")
    return pair["refresh"]


@pytest.mark.parametrize(
    ("spoilt", "detail"),
    [
        (garbage, "Token is invalid"),
        (access, "Token has wrong type"),
        (expired, "Token is expired"),
        (revoked, "Token is blacklisted"),
    ],
)
async def test_a_refresh_token_that_is_none_any_more_is_a_401_token_not_valid(
    simulator: Simulator,
    client: aiohttp.ClientSession,
    spoilt: Callable[[Simulator, dict[str, str]], str],
    detail: str,
) -> None:
    token = spoilt(simulator, await logged_in(client))
    expected = {"detail": detail, "code": "token_not_valid"}
    assert await refreshed(client, token) == (401, expected, CHALLENGE)


async def test_without_rotation_a_refresh_token_serves_until_its_time_is_over(
    client: aiohttp.ClientSession, clock: OwnedClock
) -> None:
    token = (await logged_in(client))["refresh"]
    clock.now += 86399
    assert set((await refreshed(client, token))[1]) == {"access"}
    clock.now += 1
    assert (await refreshed(client, token))[1]["detail"] == "Token is expired"


async def test_rotation_replaces_and_blacklists_the_refresh_token(
    simulator: Simulator, client: aiohttp.ClientSession
) -> None:
    simulator.change_settings(rotate=True)
    old = (await logged_in(client))["refresh"]
    _, content, _ = await refreshed(client, old)
    assert set(content) == {"access", "refresh"}
    assert (await refreshed(client, old))[1]["detail"] == "Token is blacklisted"
    assert (await refreshed(client, content["refresh"]))[0] == 200
