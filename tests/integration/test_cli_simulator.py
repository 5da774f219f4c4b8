"""How the local Localpayment runs as a command."""

from __future__ import annotations

import asyncio
import re
import signal
import socket

import aiohttp
import pytest

from tests.support.processes import Running, ran, running

ANY_PORTS = ("--port", "0", "--control-port", "0")
NAME, WORD = "someone", "something-invented"


async def addresses(simulator: Running) -> tuple[str, str]:
    """Where the API and the controls are; all of the introduction has been said then."""
    await simulator.says("localpayment-proxy serve")
    origin, control = re.findall(r"^\S.* (http://127\.0\.0\.1:\d+)", simulator.said, re.MULTILINE)
    return origin, control


async def status_of_login(origin: str, username: str, password: str) -> int:
    body = {"username": username, "password": password}
    async with aiohttp.ClientSession() as client, client.post(f"{origin}/api/token/", json=body) as answer:
        return answer.status


async def faults(client: aiohttp.ClientSession, control: str) -> list[object]:
    async with client.get(f"{control}/faults") as answer:
        return list((await answer.json())["faults"])


async def test_it_says_where_it_is_and_how_serve_is_pointed_at_it() -> None:
    async with running("simulator", *ANY_PORTS) as simulator:
        origin, control = await addresses(simulator)
        assert f"export LOCALPAYMENT_BASE_URL={origin}\n" in simulator.said
        assert "export LOCALPAYMENT_USERNAME=anything\n" in simulator.said
        assert await status_of_login(origin, "anything", "anything") == 200
        async with aiohttp.ClientSession() as client, client.get(control) as answer:
            assert "commands" in await answer.json()
        finished = await simulator.stopped()
    assert (finished.code, finished.err) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_even_while_a_call_waits(number: signal.Signals) -> None:
    async with running("simulator", *ANY_PORTS, "--log-calls") as simulator, aiohttp.ClientSession() as client:
        origin, control = await addresses(simulator)
        await client.post(f"{control}/faults", json={"kind": "latency", "seconds": 3600, "operation": "token"})
        login = asyncio.create_task(status_of_login(origin, NAME, WORD))
        while await faults(client, control):  # noqa: ASYNC110 - it is seen over HTTP that the call waits
            await asyncio.sleep(0)
        assert (await simulator.stopped(number)).code == 0
        assert await login == 200


async def test_only_the_account_it_was_given_logs_in_and_its_password_is_not_said() -> None:
    async with running("simulator", *ANY_PORTS, "--username", NAME, "--password", WORD) as simulator:
        origin, _ = await addresses(simulator)
        assert await status_of_login(origin, NAME, WORD) == 200
        assert await status_of_login(origin, NAME, "another") == 401
        finished = await simulator.stopped()
    assert WORD not in finished.out + finished.err
    assert "export LOCALPAYMENT_PASSWORD='the one you gave to --password'" in finished.out


async def test_lifetimes_and_rotation_are_options() -> None:
    options = ("--access-lifetime", "10s", "--refresh-lifetime", "1h", "--rotate", "--no-blacklist")
    async with running("simulator", *ANY_PORTS, *options) as simulator, aiohttp.ClientSession() as client:
        _, control = await addresses(simulator)
        async with client.post(f"{control}/settings", json={}) as answer:
            expected = {"access_lifetime": 10, "refresh_lifetime": 3600, "rotate": True, "blacklist": False}
            assert await answer.json() == expected


async def test_calls_are_told_on_a_line_each_only_if_asked_for() -> None:
    async with running("simulator", *ANY_PORTS, "--log-calls") as simulator:
        origin, control = await addresses(simulator)
        await status_of_login(origin, NAME, WORD)
        assert (await simulator.says("token")).split() == ["POST", "token", "200"]
        async with aiohttp.ClientSession() as client:
            await client.post(f"{control}/faults", json={"kind": "drop_before_read"})
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await client.post(f"{origin}/api/payin/very-private/refund")
        assert (await simulator.says("drop")).split() == ["POST", "other", "no", "answer", "(drop_before_read)"]
        finished = await simulator.stopped()
    assert "very-private" not in finished.out
    async with running("simulator", *ANY_PORTS) as quiet:
        origin, _ = await addresses(quiet)
        said = quiet.said
        await status_of_login(origin, NAME, WORD)
        assert (await quiet.stopped()).out.rstrip() == said.rstrip()


@pytest.mark.parametrize("option", ["--port", "--control-port"])
async def test_a_port_in_use_is_one_line_with_the_fix(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        finished = await ran("simulator", *ANY_PORTS, option, port)
    assert (finished.code, finished.out) == (1, "")
    assert re.fullmatch(rf"cannot listen: .*{port}.*in use: choose other ports with --port.*\n", finished.err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "0.0.0.0"), "listens on loopback only"),  # noqa: S104 - that it is refused is the point
        (("--access-lifetime", "500ms"), "a token lives for at least 1s"),
        (("--refresh-lifetime", "24"), "a duration carries its unit"),
        (("--port", "65536"), "is not in the range"),
    ],
)
async def test_what_cannot_be_is_wrong_usage(options: tuple[str, ...], message: str) -> None:
    finished = await ran("simulator", *options)
    assert (finished.code, finished.out) == (2, "")
    assert message in finished.err
