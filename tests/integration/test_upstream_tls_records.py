"""An origin whose TLS records come in odd parts, changed, or with an end that is nobody's word."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from proxy.upstream.model import FaultKind, Progress
from tests.support.scripted_origin import HELLO, Wire, origin
from tests.support.tls_server import VERSIONS, at, requested, shaken
from tests.support.upstream_pool import call, fault_of, get, pool_to, seen, whole

versions = pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
UNTIL_END = b"HTTP/1.1 200 OK\r\n\r\nhello"
PAY = call(b"POST", b"{}", effects=True)


@pytest.mark.both_loops
@versions
async def test_an_answer_byte_by_byte_and_two_records_in_one_segment(*, version: ssl.TLSVersion) -> None:
    async def script(wire: Wire) -> None:
        server = await shaken(wire, version)
        await requested(wire, server)
        for byte in server.seal(HELLO):
            await wire.send(bytes((byte,)))
            await asyncio.sleep(0)
        await requested(wire, server)
        await wire.send(server.seal(HELLO[:20]) + server.seal(HELLO[20:]))
        await wire.until_end()

    async with origin(script) as served, pool_to(at(served)) as pool:
        assert await get(pool) == b"hello"
        assert await get(pool) == b"hello"
        assert len(served.wires) == 1


@pytest.mark.both_loops
@versions
@pytest.mark.parametrize("where", ["in the answer", "in its body", "in its last bytes, in the segment of the rest"])
async def test_a_record_that_was_changed_is_no_answer(*, version: ssl.TLSVersion, where: str) -> None:
    async def script(wire: Wire) -> None:
        server = await shaken(wire, version)
        await requested(wire, server)
        head, body = server.seal(HELLO[:-5]), server.seal(HELLO[-5:])
        match where:
            case "in the answer":
                await wire.send(head[:-1] + bytes((head[-1] ^ 1,)))
            case "in its body":
                await wire.send(head)
                await asyncio.sleep(0)
                await wire.send(body[:10] + bytes((body[10] ^ 1,)) + body[11:])
            case _:
                await wire.send(head + body[:-1] + bytes((body[-1] ^ 1,)))
        await wire.until_end()

    async with origin(script) as served, pool_to(at(served)) as pool:
        fault = await fault_of(_answer(pool.send(PAY)))
        assert (fault.kind, fault.progress) == (FaultKind.DISCONNECTED, Progress.ALL)
        await served.wires[0].ended.wait()
        await seen(lambda: pool.stats().open == 0)


@pytest.mark.both_loops
@versions
@pytest.mark.parametrize(
    "behind", [b"\x17\x03\x03\x00\x05hello", b"HTTP/1.1 200 OK\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28"]
)
@pytest.mark.parametrize("at_once", [True, False], ids=["in one segment", "in two"])
async def test_a_broken_record_behind_an_answer_spoils_the_connection_and_not_the_answer(
    *, version: ssl.TLSVersion, behind: bytes, at_once: bool
) -> None:
    async def script(wire: Wire) -> None:
        server = await shaken(wire, version)
        await requested(wire, server)
        if len(served.wires) > 1 or at_once:
            await wire.send(server.seal(HELLO) + (behind if len(served.wires) == 1 else b""))
        else:
            await wire.send(server.seal(HELLO))
            await seen(go.is_set)
            await wire.send(behind)
        await wire.until_end()

    go = asyncio.Event()

    async with origin(script) as served, pool_to(at(served)) as pool:
        assert await get(pool, PAY) == b"hello"
        go.set()
        await served.wires[0].ended.wait()
        await seen(lambda: pool.stats().open == 0)
        assert await get(pool, PAY) == b"hello"
        assert len(served.wires) == 2


async def _answer(sending: Any) -> bytes:
    return await whole(await sending)


@pytest.mark.both_loops
@versions
@pytest.mark.parametrize("honest", [True, False], ids=["with a farewell", "cut"])
async def test_an_answer_that_ends_with_its_connection_needs_the_origins_word(
    *, version: ssl.TLSVersion, honest: bool
) -> None:
    async def script(wire: Wire) -> None:
        server = await shaken(wire, version)
        await requested(wire, server)
        await wire.send(server.seal(UNTIL_END))
        if honest:
            await wire.send(server.farewell())
            await wire.until_end()
        else:
            wire.writer.close()

    async with origin(script) as served, pool_to(at(served)) as pool:
        if honest:
            assert await get(pool, PAY) == b"hello"
        else:
            fault = await fault_of(_answer(pool.send(PAY)))
            assert (fault.kind, fault.answer_begun) == (FaultKind.DISCONNECTED, True)


@pytest.mark.both_loops
@versions
async def test_a_farewell_while_idle_takes_the_connection_out_of_the_pool(*, version: ssl.TLSVersion) -> None:
    async def script(wire: Wire) -> None:
        server = await shaken(wire, version)
        await requested(wire, server)
        await wire.send(server.seal(HELLO))
        await seen(go.is_set)
        await wire.send(server.farewell())
        await wire.until_end()

    go = asyncio.Event()

    async with origin(script) as served, pool_to(at(served)) as pool:
        assert await get(pool, PAY) == b"hello"
        assert pool.stats().idle == 1
        go.set()
        await served.wires[0].ended.wait()
        await seen(lambda: pool.stats().open == 0)
        assert await get(pool, PAY) == b"hello"
        assert len(served.wires) == 2


@pytest.mark.both_loops
@versions
@pytest.mark.parametrize("until_end", [False, True])
async def test_a_connection_whose_farewell_came_with_an_answer_is_not_used_again(
    *, version: ssl.TLSVersion, until_end: bool
) -> None:
    """Even by whoever is told of the answer at once: what is sent after a farewell would be unknown for no reason."""

    async def script(wire: Wire) -> None:
        server = await shaken(wire, version)
        await requested(wire, server)
        await wire.send(server.seal(UNTIL_END if until_end else HELLO) + server.farewell())
        await wire.until_end()

    async with origin(script) as served, pool_to(at(served)) as pool:
        boarded: list[object] = []
        answer = asyncio.ensure_future(pool.send(PAY))
        await seen(lambda: pool._open and next(iter(pool._open))._exchange)  # noqa: SLF001 - the moment between two callbacks shows in the exchange alone
        exchange = next(iter(pool._open))._exchange  # noqa: SLF001 - the moment between two callbacks shows in the exchange alone
        assert exchange is not None
        wake = exchange.wake
        exchange.watcher = lambda: boarded.append(pool.acquire(effects=True)) if exchange.over else None
        await seen(lambda: exchange.over)
        assert boarded == [None]
        exchange.watcher = None
        wake()
        assert await whole(await answer) == b"hello"
        await seen(lambda: pool.stats().open == 0)


@pytest.mark.both_loops
async def test_session_tickets_that_come_late_are_no_bytes_of_an_answer() -> None:
    async def script(wire: Wire) -> None:
        server = await shaken(wire)  # sends its tickets with the last of the handshake
        for _ in range(2):
            await requested(wire, server)
            await wire.send(server.seal(HELLO))
        await wire.until_end()

    async with origin(script) as served, pool_to(at(served)) as pool:
        assert [await get(pool), await get(pool)] == [b"hello", b"hello"]
        assert len(served.wires) == 1


@pytest.mark.both_loops
async def test_an_origin_that_speaks_first_gets_no_call() -> None:
    """Under TLS 1.2, where the origin has the last word of the handshake, so that it can speak in the same segment."""

    async def script(wire: Wire) -> None:
        server = await shaken(wire, ssl.TLSVersion.TLSv1_2, HELLO)
        while records := await wire.reader.read(65536):
            wire.received += server.open(records)

    async with origin(script) as served, pool_to(at(served)) as pool:
        fault = await fault_of(pool.send(PAY))
        assert (fault.kind, fault.progress) == (FaultKind.DISCONNECTED, Progress.NOTHING)
        await served.wires[0].ended.wait()
        assert served.requests == [b""]
        assert pool.stats().open == 0
