"""Who is given the credentials: only the origin, over TLS, through the egress proxy's tunnel if there is one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
import trustme

from proxy.config import EgressProxy, Origin
from proxy.secret import Secret
from proxy.tokens.issuer import FetchFailedError, FetchResult, Issuer
from proxy.upstream.connecting.tls import tls_context
from tests.support.addresses import free_port
from tests.support.fakes import BOUND, CREDENTIALS, FakeClock
from tests.support.scripted_origin import OPENED, Wire, origin, server_tls, tunnel_to
from tests.support.token_server import PAIR, answer
from tests.support.upstream_pool import client_tls

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

AUTHORIZATION = "Basic " + base64.b64encode(b"egress:invented").decode()
SHORT = 0.2  # real seconds


async def granting(wire: Wire) -> None:
    await wire.request()
    await wire.send(answer("200 OK", PAIR))


async def log_in(
    port: int,
    tls: ssl.SSLContext | None = None,
    egress: EgressProxy | None = None,
    timeout: float = BOUND,  # noqa: ASYNC109 - handed on
) -> float:
    """Log in to https://localhost; return the token's lifetime."""
    issuer = Issuer(Origin("localhost", port, tls=True), FakeClock(), tls or client_tls(), egress)
    return (await issuer.log_in(CREDENTIALS, timeout)).access_lifetime


async def failure(port: int, tls: ssl.SSLContext | None = None, egress: EgressProxy | None = None) -> FetchFailedError:
    with pytest.raises(FetchFailedError) as caught:
        await log_in(port, tls, egress, SHORT if egress is None else BOUND)
    return caught.value


async def test_a_login_over_tls_brings_tokens() -> None:
    async with origin(granting, tls=server_tls()) as served:
        assert await log_in(served.at.port) == 300.0


async def test_without_a_context_the_systems_authorities_decide() -> None:
    async with origin(granting, tls=server_tls()) as served:
        issuer = Issuer(Origin("localhost", served.at.port, tls=True), FakeClock(), None, None)
        with pytest.raises(FetchFailedError) as caught:
            await issuer.log_in(CREDENTIALS, BOUND)
        assert caught.value.result is FetchResult.TLS


async def test_nothing_is_sent_to_a_server_that_is_not_trusted(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    async with origin(granting, tls=server_tls()) as served:
        error = await failure(served.at.port, tls_context(tmp_path / "other.pem"))
        assert (error.result, error.status) == (FetchResult.TLS, None)
        assert b"".join(served.requests) == b""


async def test_nothing_is_sent_to_a_server_of_another_name() -> None:
    async with origin(granting, tls=server_tls("other.test")) as served:
        assert (await failure(served.at.port)).result is FetchResult.TLS
        assert b"".join(served.requests) == b""


async def test_nothing_is_sent_to_a_server_that_speaks_no_tls() -> None:
    async def plain(wire: Wire) -> None:
        await wire.read(5)
        await wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await wire.until_end()

    async with origin(plain) as served:
        assert (await failure(served.at.port)).result is FetchResult.TLS
        assert b"right" not in served.requests[0]


async def test_a_handshake_that_hangs_is_given_up_in_time() -> None:
    async with origin(Wire.until_end) as served:
        assert (await failure(served.at.port)).result is FetchResult.TIMEOUT


async def test_a_port_that_nobody_listens_on_is_unreachable() -> None:
    assert (await failure(free_port())).result is FetchResult.UNREACHABLE


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    issuer = Issuer(Origin("nowhere.invalid", 443, tls=True), FakeClock(), client_tls(), None)
    with pytest.raises(FetchFailedError) as caught:
        await issuer.log_in(CREDENTIALS, BOUND)
    assert caught.value.result is FetchResult.UNREACHABLE


async def test_through_an_egress_proxy_it_sees_its_own_credentials_and_nothing_of_ours() -> None:
    async with origin(granting, tls=server_tls()) as served:

        async def tunnel(wire: Wire) -> None:
            await wire.head()
            await wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await tunnel_to(wire, served.at.port)

        async with origin(tunnel) as proxy:
            egress = EgressProxy("127.0.0.1", proxy.at.port, Secret(AUTHORIZATION))
            assert await log_in(served.at.port, egress=egress) == 300.0
        seen, sent = proxy.requests[0], served.requests[0]
    assert seen.startswith(f"CONNECT localhost:{served.at.port} HTTP/1.1\r\n".encode())
    assert f"Proxy-Authorization: {AUTHORIZATION}".encode() in seen
    assert b"right" not in seen
    assert sent.startswith(b"POST /api/token/ HTTP/1.1\r\n")
    assert AUTHORIZATION.encode() not in sent
    assert b"proxy-authorization" not in sent.lower()


@pytest.mark.parametrize("name", OPENED)
async def test_a_tunnel_carries_a_login_whatever_its_answer_says_of_a_body(name: str) -> None:
    async with origin(granting, tls=server_tls()) as served:

        async def tunnel(wire: Wire) -> None:
            await wire.head()
            await wire.send(OPENED[name])
            await tunnel_to(wire, served.at.port)

        async with origin(tunnel) as proxy:
            assert await log_in(served.at.port, egress=EgressProxy("127.0.0.1", proxy.at.port, None)) == 300.0


async def test_without_credentials_of_its_own_an_egress_proxy_is_sent_none() -> None:
    async def refusing(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 6\r\n\r\ns3cret")

    async with origin(refusing) as proxy:
        error = await failure(1, egress=EgressProxy("127.0.0.1", proxy.at.port, None))
        assert (error.result, error.status) == (FetchResult.UNREACHABLE, None)
        assert "egress proxy" in error.reason
        assert "s3cret" not in f"{error} {error!r}"
        assert b"proxy-authorization" not in proxy.requests[0].lower()


async def test_an_egress_proxy_that_is_not_there_is_told_as_such() -> None:
    error = await failure(1, egress=EgressProxy("127.0.0.1", free_port(), None))
    assert error.result is FetchResult.UNREACHABLE
    assert "egress proxy" in error.reason


async def test_a_plain_origin_which_only_loopback_can_be_is_asked_directly() -> None:
    async with origin(granting) as served, origin(Wire.until_end) as proxy:
        egress = EgressProxy("127.0.0.1", proxy.at.port, Secret(AUTHORIZATION))
        issuer = Issuer(Origin("127.0.0.1", served.at.port, tls=False), FakeClock(), None, egress)
        assert (await issuer.log_in(CREDENTIALS, BOUND)).access_lifetime == 300.0
        assert proxy.wires == []


async def test_another_context_is_trusted_from_the_next_call_on(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    async with origin(granting, tls=server_tls()) as served:
        where = Origin("localhost", served.at.port, tls=True)
        issuer = Issuer(where, FakeClock(), tls_context(tmp_path / "other.pem"), None)
        with pytest.raises(FetchFailedError):
            await issuer.log_in(CREDENTIALS, BOUND)
        issuer.trust(client_tls())
        assert (await issuer.log_in(CREDENTIALS, BOUND)).access_lifetime == 300.0
