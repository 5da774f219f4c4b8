"""A second opinion: on every valid answer aiohttp's client and ours say the same; of any other ours takes no more."""

from __future__ import annotations

import asyncio

import aiohttp
import yarl
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.upstream.model import UpstreamFault
from tests.support.answer_segments import Sent, answers, segments
from tests.support.scripted_origin import At, Wire, origin
from tests.support.upstream_pool import call, pool_to

Said = tuple[int, str, list[tuple[bytes, bytes]], bytes]

generated = settings(max_examples=100)


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
        return answer.status, answer.reason.decode("latin-1"), list(answer.headers), body


@generated
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


@generated
@given(answers(), st.data())
def test_both_read_it_the_same_however_it_is_parted(sent: Sent, data: st.DataObject) -> None:
    parts = data.draw(st.composite(segments)(sent.wire))

    async def script(wire: Wire) -> None:
        await wire.request()
        for part in parts:
            await wire.send(part)
            await asyncio.sleep(0)
        if not sent.until_close:
            await wire.until_end()

    async def scenario() -> None:
        async with origin(script) as served:
            assert await said_by_us(served.at, sent.method) == await said_by_aiohttp(served.at, sent.method)

    asyncio.run(scenario())


@generated
@given(answers(), st.binary(max_size=3), st.data())
def test_of_a_damaged_answer_ours_takes_nothing_that_aiohttp_reads_otherwise(
    sent: Sent, damage: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(sent.wire)))
    end = data.draw(st.integers(at, min(len(sent.wire), at + 3)))
    damaged = sent.wire[:at] + damage + sent.wire[end:]

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(damaged)
        wire.writer.close()

    async def scenario() -> None:
        async with origin(script) as served:
            try:
                status, _, _, body = await said_by_us(served.at, sent.method)
            except UpstreamFault:
                return
            try:
                theirs = await said_by_aiohttp(served.at, sent.method)
            except aiohttp.ClientError:
                return
            assert (status, body) == (theirs[0], theirs[3])

    asyncio.run(scenario())
