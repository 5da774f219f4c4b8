"""How connections come about, and that a connection that did not come about sent nothing and leaked nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.upstream.model import ConnectResult, FaultKind, Limits
from tests.support.addresses import answer_names, black_hole, free_port
from tests.support.scripted_origin import At, Wire, answering, origin
from tests.support.upstream_pool import ONE, Egress, call, check_place_is_free, get, pool_to, refused_call, seen

SHORT = Limits(connect_timeout=0.05)


@pytest.mark.both_loops
async def test_a_refused_connection_is_unreachable() -> None:
    kind, result, detail = await refused_call(At("127.0.0.1", free_port()))
    assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.UNREACHABLE)
    assert "refuses" in detail


@pytest.mark.parametrize("host", ["256.0.0.1.", "a" * 64 + ".test", "fe80::1%nosuchinterface"])
async def test_a_name_that_cannot_be_resolved_is_unreachable(host: str) -> None:
    kind, result, detail = await refused_call(At(host, 80))
    assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.UNREACHABLE)
    assert "cannot be resolved" in detail


async def test_an_address_without_a_route_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_names(monkeypatch, [("255.255.255.255", 80)])
    kind, result, detail = await refused_call(At("origin.test", 80))
    assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.UNREACHABLE)
    assert "cannot be reached" in detail


@pytest.mark.both_loops
async def test_a_connection_that_hangs_is_given_up_in_time() -> None:
    with black_hole() as (host, port):
        kind, result, detail = await refused_call(At(host, port), limits=SHORT)
    assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.TIMEOUT)
    assert "TCP connection" in detail


async def test_a_second_address_is_tried_while_the_first_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with origin(answering) as served, pool_to(At("origin.test", 80)) as pool:
        with black_hole() as hole:
            answer_names(monkeypatch, [hole, ("127.0.0.1", served.at.port)])
            assert await get(pool) == b"hello"


async def test_the_name_is_resolved_anew_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def once(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    async with origin(once) as old, origin(once) as new, pool_to(At("origin.test", 80)) as pool:
        asked = answer_names(monkeypatch, [("127.0.0.1", old.at.port)], [("127.0.0.1", new.at.port)])
        await get(pool)
        await get(pool)
        assert (len(old.wires), len(new.wires), asked) == (1, 1, ["origin.test", "origin.test"])


@pytest.mark.both_loops
async def test_an_origin_that_speaks_first_is_not_spoken_to() -> None:
    async def rude(wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await wire.until_end()

    async def proxy(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        await wire.until_end()

    async with origin(proxy) as egress:
        kind, _, _ = await refused_call(At("origin.test", 80), egress=Egress(egress.at.host, egress.at.port))
        assert kind is FaultKind.UNREACHABLE
        assert b"POST" not in egress.requests[0]
    async with origin(rude) as served:
        kind, result, _ = await refused_call(At(served.at.host, served.at.port, tls=True))
        assert (kind, result) == (FaultKind.TLS, ConnectResult.TLS)


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("through", [False, True], ids=["direct", "egress"])
async def test_a_call_that_is_given_up_while_it_connects_leaves_nothing_behind(*, tls: bool, through: bool) -> None:
    async with origin(Wire.until_end) as served:
        egress = Egress(served.at.host, served.at.port) if through else None
        connects: list[ConnectResult] = []
        at = At(served.at.host, served.at.port, tls=tls)
        # A connection that comes about all the same waits for another call, but not for long.
        async with pool_to(at, egress=egress, connects=connects, limits=replace(ONE, pool_idle=0.05)) as pool:
            sending = asyncio.create_task(pool.send(call()))
            await seen(lambda: served.wires and (tls or through or pool.stats().open))
            sending.cancel()
            await asyncio.wait([sending])
            assert sending.cancelled()
            await served.wires[0].ended.wait()
            await seen(lambda: not pool.stats().open)
            await check_place_is_free(pool, served)
