"""Through an egress proxy: the tunnel, its credentials, and what becomes of a call when there is no tunnel."""

from __future__ import annotations

import asyncio
import base64

import pytest

from proxy.secret import Secret
from proxy.upstream.connecting.tunnel import Tunnel
from proxy.upstream.model import MAX_FIELDS, ConnectError, ConnectResult, FaultKind, Limits
from tests.support.addresses import free_port
from tests.support.scripted_origin import OPENED, At, Wire, answering, origin, server_tls, tunnel_to
from tests.support.upstream_pool import Egress, call, get, pool_to, refused_call, whole

SHORT = Limits(connect_timeout=0.05)


CREDENTIALS = "Basic " + base64.b64encode(b"user:invented").decode()


@pytest.mark.both_loops
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_through_an_egress_proxy_its_credentials_go_to_it_alone(*, tls: bool) -> None:
    async with origin(answering, tls=server_tls() if tls else None) as served:

        async def tunnel(wire: Wire) -> None:
            await wire.head()
            await wire.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection ", b"established\r\nVia: x\r\n\r\n")
            await tunnel_to(wire, served.at.port)

        async with (
            origin(tunnel) as proxy,
            pool_to(served.at, egress=Egress("localhost", proxy.at.port, Secret(CREDENTIALS))) as pool,
        ):
            first = await pool.send(call())
            assert await whole(first) == b"hello"
            assert await get(pool) == b"hello"
            authority = f"localhost:{served.at.port}"
            assert proxy.requests[0].startswith(
                f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
                f"Proxy-Authorization: {CREDENTIALS}\r\n\r\n".encode()
            )
            assert CREDENTIALS.encode() not in served.requests[0]
            assert (b"GET /x" in proxy.requests[0]) != tls
            assert served.requests[0].count(b"GET /x") == 2


async def test_without_credentials_none_are_sent_and_an_ipv6_origin_is_bracketed() -> None:
    async def tunnel(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    async with origin(tunnel) as proxy:
        await refused_call(At("::1", 80), egress=Egress("localhost", proxy.at.port))
        assert proxy.requests == [b"CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"]


# RFC 9110 section 9.3.6 has a client ignore Content-Length and Transfer-Encoding in a 2xx answer to CONNECT.


@pytest.mark.both_loops
@pytest.mark.parametrize("step", [1, 1000], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("name", OPENED)
async def test_a_tunnel_stands_with_any_success_whatever_it_says_of_a_body(*, name: str, step: int) -> None:
    async def tunnel(wire: Wire) -> None:
        await wire.head()
        for at in range(0, len(OPENED[name]), step):
            await wire.send(OPENED[name][at : at + step])
            await asyncio.sleep(0)
        await answering(wire)

    async with (
        origin(tunnel) as proxy,
        pool_to(At("origin.test", 80), egress=Egress("localhost", proxy.at.port)) as pool,
    ):
        assert await get(pool) == b"hello"
        assert await get(pool) == b"hello"
        assert len(proxy.wires) == 1


@pytest.mark.both_loops
@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 6\r\n\r\nsecret", "status 407"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "status 502"),
        (b"HTTP/1.0 403 Forbidden\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nsecret", "status 403"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "status 304"),
        (b"SSH-2.0-x\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.2 200 OK\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 099 x\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 a\x00b\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: b\nc\r\n\r\n", "not valid HTTP"),
        (b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 101 Now\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 102 x\r\n\r\n" * 9, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 65536, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n\x16\x03", "more than its answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "more than its answer"),
        (b"HTTP/1.1 200", "without an answer"),
        (b"", "without an answer"),
    ],
)
async def test_an_egress_proxy_that_opens_no_tunnel_makes_the_origin_unreachable(*, answer: bytes, detail: str) -> None:
    async def tunnel(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer)

    async with origin(tunnel) as proxy:
        at = At("localhost", 1, tls=True)
        kind, result, told = await refused_call(at, egress=Egress("localhost", proxy.at.port, Secret(CREDENTIALS)))
        assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.UNREACHABLE)
        assert detail in told
        assert "secret" not in told
        await proxy.wires[0].ended.wait()


async def test_an_egress_proxy_that_hangs_or_is_not_there_makes_the_origin_unreachable() -> None:
    kind, result, detail = await refused_call(At("localhost", 1), egress=Egress("127.0.0.1", free_port()))
    assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.UNREACHABLE)
    async with origin(Wire.until_end) as proxy:
        egress = Egress("localhost", proxy.at.port)
        kind, result, detail = await refused_call(At("localhost", 1), egress=egress, limits=SHORT)
        assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.TIMEOUT)
        assert "egress proxy" in detail
        await proxy.wires[0].ended.wait()


async def test_a_refusal_stands_whatever_comes_behind_it() -> None:
    tunnel = Tunnel(Limits(), asyncio.Protocol())  # without a transport: nothing may be handed over
    for answer in (b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
        tunnel.data_received(answer)
    with pytest.raises(ConnectError, match="status 403"):
        await tunnel.opened
