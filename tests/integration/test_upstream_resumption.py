"""The TLS session of one connection makes the handshake of the next one short, as long as it may be trusted."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from proxy.upstream.connecting.resumption import LASTS
from proxy.upstream.connecting.tls import tls_context
from tests.support.scripted_origin import HELLO, Wire, authority, origin
from tests.support.upstream_pool import get, pool_to, seen

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
pytestmark = [pytest.mark.both_loops, pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)]


def server(version: ssl.TLSVersion, *, tickets: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    authority().issue_cert("localhost").configure_cert(context)
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


async def once(wire: Wire) -> None:
    """Answer one request, and end the connection."""
    await wire.request()
    await wire.send(HELLO)


def resumed(wires: list[Wire]) -> list[bool]:
    return [wire.writer.get_extra_info("ssl_object").session_reused for wire in wires]


async def test_the_second_connection_resumes_the_session_of_the_first(version: ssl.TLSVersion) -> None:
    async with origin(once, tls=server(version)) as served, pool_to(served.at) as pool:
        for _ in range(3):
            assert await get(pool) == b"hello"
            await seen(lambda: pool.stats().open == 0)
        assert resumed(served.wires) == [False, True, True]


async def test_another_context_resumes_nothing_of_the_one_before(version: ssl.TLSVersion) -> None:
    async with origin(once, tls=server(version)) as served, pool_to(served.at) as pool:
        await get(pool)
        await seen(lambda: pool.stats().open == 0)
        with authority().cert_pem.tempfile() as path:
            pool.trust(tls_context(Path(path)))
        for _ in range(2):
            await get(pool)
            await seen(lambda: pool.stats().open == 0)
        assert resumed(served.wires) == [False, False, True]


async def test_a_certificate_is_shown_again_after_an_hour(version: ssl.TLSVersion) -> None:
    moment = [100.0]
    async with origin(once, tls=server(version)) as served, pool_to(served.at, now=lambda: moment[0]) as pool:
        for later in (0.0, LASTS - 1, 1.0, 1.0):
            moment[0] += later
            await get(pool)
            await seen(lambda: pool.stats().open == 0)
        assert resumed(served.wires) == [False, True, False, True]


async def test_an_origin_that_gives_no_ticket_is_asked_for_its_certificate_each_time(version: ssl.TLSVersion) -> None:
    async with origin(once, tls=server(version, tickets=False)) as served, pool_to(served.at) as pool:
        for _ in range(2):
            await get(pool)
            await seen(lambda: pool.stats().open == 0)
        assert resumed(served.wires) == [False, False]


async def test_an_origin_that_knows_the_ticket_no_more_is_met_with_a_whole_handshake(version: ssl.TLSVersion) -> None:
    async with origin(once, tls=server(version)) as old, origin(once, tls=server(version)) as new:
        async with pool_to(old.at) as pool:
            await get(pool)
            session = pool._maker._route.resumption.session  # noqa: SLF001 - whose ticket the other origin is shown
            assert session is not None
        async with pool_to(new.at) as pool:
            pool._maker._route.resumption._session = session  # noqa: SLF001 - as above
            pool._maker._route.resumption._verified_at = pool._now()  # noqa: SLF001 - as above
            assert await get(pool) == b"hello"
        assert resumed(new.wires) == [False]
