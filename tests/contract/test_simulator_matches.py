"""The simulator answers token calls as Simple JWT does: the same table runs against both."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Self

import pytest

from proxy.secret import Secret
from proxy.simulator.server import Simulator, SimulatorOptions
from proxy.simulator.tokens import User
from tests.support.simplejwt.token_cases import CASES, Held
from tests.support.simplejwt.wire import CHALLENGE, Wire

if TYPE_CHECKING:
    import aiohttp

    from tests.support.simplejwt.peer import PeerOptions, StartPeer
    from tests.support.simplejwt.token_cases import TokenCase, TokenServer


class SimulatedPeer:
    """The simulator with the switches of the real server."""

    username = Secret("merchant")

    def __init__(self, options: PeerOptions, http: aiohttp.ClientSession) -> None:
        self.password = Secret(secrets.token_urlsafe(24))
        self._check_revoke = options.check_revoke
        self._http = http
        self._simulator = Simulator(
            SimulatorOptions(
                username=self.username,
                password=self.password,
                access_lifetime=options.access_lifetime,
                refresh_lifetime=options.refresh_lifetime,
                rotate=options.rotate,
                blacklist=options.blacklist,
            )
        )

    async def __aenter__(self) -> Self:
        await self._simulator.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._simulator.stop()

    @property
    def wire(self) -> Wire:
        return Wire(self._simulator.url, self._http)

    async def put_clock(self, offset: float) -> None:
        self._simulator.set_clock(offset)

    async def deactivate_user(self) -> None:
        self._simulator.account.user = User.INACTIVE

    async def delete_user(self) -> None:
        self._simulator.account.user = User.DELETED

    async def change_password(self) -> None:
        self.password = Secret(secrets.token_urlsafe(24))
        self._simulator.account.change_password(self.password, revoke_check=self._check_revoke)

    async def blacklist_outstanding(self) -> int:
        return self._simulator.revoke("refresh")


async def check(case: TokenCase, server: TokenServer) -> None:
    pair = await server.wire.log_in(server.username, server.password)
    held = {
        Held.USERNAME: server.username,
        Held.PASSWORD: server.password,
        Held.PADDED_PASSWORD: Secret(f" {server.password.reveal()}\n"),
        Held.ACCESS: pair.token("access"),
        Held.REFRESH: pair.token("refresh"),
    }
    await case.before(server, pair.token("refresh"))
    answer = await case.request.send(server.wire, held)
    assert answer.status == case.status
    assert answer.challenge == (CHALLENGE if case.status == 401 else None)
    assert {name: answer.headers.get(name) for name in case.headers} == case.headers
    if case.keys is None:
        assert answer.media_type != "application/json"
    else:
        assert answer.media_type == "application/json"
        # A call's own content is the API's affair, not the authentication's.
        assert not case.keys or set(answer.body) == case.keys
        assert answer.code == case.code
        assert case.detail is None or answer.body["detail"] == case.detail


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_simple_jwt_answers_as_the_table_says(case: TokenCase, simplejwt: StartPeer) -> None:
    await check(case, await simplejwt(case.options))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_simulator_answers_as_the_table_says(case: TokenCase, http: aiohttp.ClientSession) -> None:
    async with SimulatedPeer(case.options, http) as server:
        await check(case, server)
