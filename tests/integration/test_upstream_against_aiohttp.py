"""A second opinion: on every valid answer, aiohttp's client and ours say the same."""

from __future__ import annotations

import asyncio

import aiohttp
import yarl
from hypothesis import HealthCheck, given, settings

from tests.integration.test_upstream_harness import At, Wire, call, origin, pool_to
from tests.property.test_upstream_segments import Sent, answers

Said = tuple[int, str, list[tuple[bytes, bytes]], bytes]


async def said_by_aiohttp(at: At, method: bytes) -> Said:
    url = yarl.URL(f"http://127.0.0.1:{at.port}/x")
    async with (
        aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.request(method.decode(), url, allow_redirects=False) as answer,
    ):
        return answer.status, answer.reason or "", list(answer.raw_headers), await answer.read()


async def said_by_us(at: At, method: bytes) -> Said:
    async with pool_to(at) as pool, await pool.send(call(method)) as answer:
        body = b"".join([piece async for piece in answer])
        return answer.status, answer.reason.decode(), answer.headers, body


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers())
def test_both_clients_read_the_same_answer(sent: Sent) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(sent.wire)
        if not sent.until_close:
            await wire.until_end()

    async def scenario() -> None:
        async with origin(script) as served:
            theirs = await said_by_aiohttp(served.at, sent.method)
            ours = await said_by_us(served.at, sent.method)
            assert ours == theirs
            assert ours[3] == sent.body

    asyncio.run(scenario())
