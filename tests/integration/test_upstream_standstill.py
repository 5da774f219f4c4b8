"""What has arrived when a time-out passes is read before anything is said to be late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.upstream.model import FaultKind, Limits, Progress
from tests.support.scripted_origin import HELLO, At, Wire, answering, origin
from tests.support.standstill import arrive, on_asyncio, on_uvloop, patience, stand_still
from tests.support.tls_server import VERSIONS, Server, at, requested, server_context, shaken
from tests.support.token_server import PAIR, answer, log_in
from tests.support.upstream_pool import Egress, call, fault_of, get, pool_to, whole

if TYPE_CHECKING:
    import ssl

    from tests.support.standstill import Run

runs = pytest.mark.parametrize("run", [pytest.param(on_asyncio, id="asyncio"), pytest.param(on_uvloop, id="uvloop")])
PAY = call(b"POST", b"{}", effects=True)


@runs
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("sent", [0, 20, len(HELLO) - 2], ids=["nothing", "part of the head", "part of the body"])
def test_an_answer_that_came_while_the_process_stood_still_is_given(*, run: Run, tls: bool, sent: int) -> None:
    async def scenario() -> None:
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def script(wire: Wire) -> None:
            server = await shaken(wire) if tls else None
            seal = bytes if server is None else server.seal
            await (wire.request() if server is None else requested(wire, server))
            await wire.send(seal(HELLO[:sent]) if sent else b"")
            asked.set_result(seal(HELLO[sent:]))
            await wire.until_end()

        limits = Limits(response_timeout=patience(run), idle_timeout=patience(run))
        async with origin(script) as served, pool_to(at(served) if tls else served.at, limits=limits) as pool:
            sending = asyncio.ensure_future(get(pool, PAY))
            rest = await asked
            await asyncio.sleep(0.01)  # what was sent before is read by then
            await stand_still(lambda: arrive(served.wires[0], rest))
            assert await sending == b"hello"

    run(scenario())


@runs
def test_an_answer_of_which_only_a_part_came_is_late(*, run: Run) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def script(wire: Wire) -> None:
            await wire.request()
            asked.set()
            await wire.until_end()

        limits = Limits(response_timeout=patience(run), idle_timeout=60.0)
        async with origin(script) as served, pool_to(served.at, limits=limits) as pool:
            sending = asyncio.ensure_future(fault_of(pool.send(PAY)))
            await asked.wait()
            await stand_still(lambda: arrive(served.wires[0], HELLO[:20]))
            fault = await sending
            assert (fault.kind, fault.progress) == (FaultKind.TIMEOUT, Progress.ALL)

    run(scenario())


@runs
@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_a_handshake_that_ended_while_the_process_stood_still_carries_the_call(
    *, run: Run, version: ssl.TLSVersion
) -> None:
    async def scenario() -> None:
        last: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def script(wire: Wire) -> None:
            server = Server(server_context(version, tickets=0))
            flight = server.shake(await wire.reader.read(65536))
            if version is VERSIONS["TLS 1.2"]:
                await wire.send(flight)
                flight = server.shake(await wire.reader.read(65536))
            last.set_result(flight)
            if not server.done:
                server.shake(await wire.reader.read(65536))
            await requested(wire, server)
            await wire.send(server.seal(HELLO))
            await wire.until_end()

        limits = Limits(connect_timeout=patience(run))
        async with origin(script) as served, pool_to(at(served), limits=limits) as pool:
            sending = asyncio.ensure_future(get(pool, PAY))
            flight = await last
            await stand_still(lambda: arrive(served.wires[0], flight))
            assert await sending == b"hello"

    run(scenario())


@runs
def test_a_tunnel_that_opened_while_the_process_stood_still_carries_the_call(*, run: Run) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def proxy(wire: Wire) -> None:
            await wire.head()
            asked.set()
            await answering(wire)

        limits = Limits(connect_timeout=patience(run))
        async with origin(proxy) as served:
            egress = Egress(served.at.host, served.at.port)
            async with pool_to(At("origin.test", 80), egress=egress, limits=limits) as pool:
                sending = asyncio.ensure_future(get(pool, PAY))
                await asked.wait()
                await stand_still(lambda: arrive(served.wires[0], b"HTTP/1.1 200 OK\r\n\r\n"))
                assert await sending == b"hello"

    run(scenario())


@runs
def test_a_call_that_waits_for_a_connection_gets_the_one_that_came_free_meanwhile(*, run: Run) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def script(wire: Wire) -> None:
            await wire.request()
            asked.set()
            await answering(wire)

        limits = Limits(connect_timeout=patience(run), max_connections=1)
        async with origin(script) as served, pool_to(served.at, limits=limits) as pool:
            first = asyncio.ensure_future(pool.send(PAY))
            await asked.wait()
            second = asyncio.ensure_future(pool.send(PAY))
            await asyncio.sleep(0)
            await stand_still(lambda: arrive(served.wires[0], HELLO))
            assert [await whole(await sent) for sent in (first, second)] == [b"hello", b"hello"]

    run(scenario())


@runs
def test_tokens_that_came_while_the_process_stood_still_are_taken(*, run: Run) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def script(wire: Wire) -> None:
            await wire.request()
            asked.set()
            await wire.until_end()

        async with origin(script) as served:
            logging_in = asyncio.ensure_future(log_in(served, patience(run)))
            await asked.wait()
            await stand_still(lambda: arrive(served.wires[0], answer("200 OK", PAIR)))
            assert (await logging_in).access_lifetime == 300.0

    run(scenario())
