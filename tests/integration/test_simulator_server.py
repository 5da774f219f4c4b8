"""Where the simulator listens, and where it refuses to."""

from __future__ import annotations

import socket
import ssl

import aiohttp
import pytest

from proxy.secret import Secret
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator, SimulatorOptions
from proxy.simulator.service import LoggedCall


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])  # noqa: S104 - that it is refused is the point
def test_no_host_beyond_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(ValueError, match=r"listens on loopback only.*use 127\.0\.0\.1"):
        Simulator(SimulatorOptions(host=host))


async def test_localhost_means_the_ipv4_loopback() -> None:
    async with Simulator(SimulatorOptions(host="localhost")) as simulator:
        assert simulator.url.startswith("http://127.0.0.1:")
        assert simulator.url != simulator.control_url


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_an_ipv6_address_is_bracketed_in_the_urls() -> None:
    assert Simulator(SimulatorOptions(host="::1", port=8443)).url == "http://[::1]:8443"


@pytest.mark.parametrize("port", ["port", "control_port"])
async def test_a_port_in_use_is_an_oserror_and_leaves_nothing_listening(port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        simulator = Simulator(SimulatorOptions(**{port: number}))
        with pytest.raises(OSError, match="in use"):
            await simulator.start()
    await simulator.stop()
    async with Simulator(SimulatorOptions(**{port: number})) as again:
        assert str(number) in again.url + again.control_url


async def test_a_restart_keeps_tokens_and_transactions() -> None:
    simulator = Simulator()
    await simulator.start()
    async with aiohttp.ClientSession() as client:
        async with client.post(f"{simulator.url}/api/token/", json={"username": "a", "password": "b"}) as answer:
            headers = {"Authorization": f"Bearer {(await answer.json())['access']}"}
        body = {"externalId": "payin", "amount": 1, "currency": "USD"}
        async with client.post(f"{simulator.url}/api/payin", json=body, headers=headers) as answer:
            assert answer.status == 201
        await simulator.stop()
        async with simulator, client.get(f"{simulator.url}/api/transactions/payin", headers=headers) as answer:
            assert answer.status == 200


async def test_whoever_listens_is_told_of_each_call_when_it_is_over() -> None:
    heard: list[LoggedCall] = []
    async with Simulator(SimulatorOptions(on_call=heard.append)) as simulator, aiohttp.ClientSession() as client:
        async with client.get(f"{simulator.url}/api/payin") as answer:
            assert answer.status == 401
        simulator.add_fault(Fault(Kind.DROP_AFTER_READ))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.post(f"{simulator.url}/nothing")
    assert heard == [LoggedCall("GET", "other", 401), LoggedCall("POST", "other", None, "drop_after_read")]


def test_a_tls_context_makes_the_url_https() -> None:
    options = SimulatorOptions(ssl_context=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), port=1, control_port=2)
    simulator = Simulator(options)
    assert (simulator.url, simulator.control_url) == ("https://127.0.0.1:1", "http://127.0.0.1:2")


def test_options_show_no_password() -> None:
    options = SimulatorOptions(username=Secret("the-name"), password=Secret("the-word"))
    assert "the-" not in repr(options)
