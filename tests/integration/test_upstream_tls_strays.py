"""A connection on which something half-read stands, or that TLS gave up, carries no further call."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from proxy.upstream.model import FaultKind, Progress
from tests.support.scripted_origin import HELLO, Wire, answering, origin, server_tls
from tests.support.tls_server import VERSIONS, at, requested, shaken
from tests.support.upstream_pool import ONE, call, fault_of, get, pool_to, seen

versions = pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
PAY = call(b"POST", b"{}", effects=True)
STRAY = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nstray"


@pytest.mark.both_loops
@versions
@pytest.mark.parametrize("size", [3, 30])
@pytest.mark.parametrize("idle", [False, True], ids=["with the answer", "while idle"])
async def test_an_answer_nobody_asked_for_that_comes_in_parts_is_nobodys(
    *, version: ssl.TLSVersion, size: int, idle: bool
) -> None:
    """Else its rest, which comes behind the next call, would be that call's answer."""

    answered: list[bytes] = []
    wires: list[Wire] = []

    async def script(wire: Wire) -> None:
        wires.append(wire)
        server = await shaken(wire, version)
        await requested(wire, server)
        answer, stray = server.seal(HELLO), server.seal(STRAY)
        if wire is wires[0]:
            if idle:
                await wire.send(answer)
                await seen(lambda: answered)
                await wire.send(stray[:size])
            else:
                await wire.send(answer + stray[:size])
            await wire.reader.read(1)
            await wire.send(stray[size:])
            await wire.until_end()
        await wire.send(answer)
        await wire.until_end()

    async with origin(script) as served, pool_to(at(served)) as pool:
        answered.append(await get(pool, PAY))
        for _ in range(50):  # turns of the loop in which the part of a record comes in
            await asyncio.sleep(0)
        answered.append(await get(pool, PAY))
        assert answered == [b"hello", b"hello"]
        assert len(wires) == 2


@pytest.mark.both_loops
async def test_a_call_that_tls_takes_no_more_is_lost_and_its_connection_with_it() -> None:
    async with origin(answering, tls=server_tls()) as served, pool_to(served.at, limits=ONE) as pool:
        assert await get(pool) == b"hello"
        channel = pool._idle[0]._wire.channel  # noqa: SLF001 - OpenSSL is brought to refuse by nothing that comes over a socket
        assert channel is not None
        with pytest.raises(ssl.SSLWantReadError):
            channel._object.unwrap()  # noqa: SLF001 - as above; from here on OpenSSL refuses to write
        fault = await fault_of(pool.send(PAY))
        assert (fault.kind, fault.progress) == (FaultKind.DISCONNECTED, Progress.SOME)
        await seen(lambda: pool.stats().open == 0)
        assert await get(pool, PAY) == b"hello"
        assert served.requests[0].count(b"POST ") == 0
