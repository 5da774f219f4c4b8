"""With whom we speak TLS, and with whom never."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from proxy.http1.answer_head import AnswerHeads
from proxy.upstream.connecting.connect import Route, connect
from proxy.upstream.connecting.pace import Pace
from proxy.upstream.connecting.resumption import Resumption
from proxy.upstream.connecting.tls import tls_context
from proxy.upstream.connection import Connection
from proxy.upstream.model import ConnectResult, FaultKind, Limits
from tests.support.scripted_origin import HELLO, At, Wire, answering, authority, origin, server_tls, tunnel_to
from tests.support.upstream_pool import (
    BOUND,
    Egress,
    call,
    client_tls,
    fault_of,
    get,
    pool_to,
    refused_call,
    seen,
    whole,
)

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.upstream.connecting.channel import Channel


SHORT = Limits(connect_timeout=0.05)


@pytest.mark.both_loops
async def test_tls_carries_the_name_and_http_1_1_and_is_measured() -> None:
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    context.set_alpn_protocols(["h2", "http/1.1"])

    authority().issue_cert("localhost").configure_cert(context)
    async with origin(answering, tls=context) as served, pool_to(served.at) as pool:
        first = await pool.send(call())
        assert await whole(first) == b"hello"
        assert await get(pool) == b"hello"
        assert len(served.wires) == 1
        tls = served.wires[0].writer.get_extra_info("ssl_object")
        assert (names, tls.selected_alpn_protocol()) == (["localhost"], "http/1.1")


@pytest.mark.both_loops
async def test_a_certificate_of_an_unknown_authority_is_refused(*, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))

    async with origin(answering, tls=server_tls()) as served:
        kind, result, detail = await refused_call(served.at, ssl_context=tls_context(tmp_path / "other.pem"))
        assert (kind, result) == (FaultKind.TLS, ConnectResult.TLS)
        assert "not trusted" in detail
        assert b"".join(served.requests) == b""


async def test_without_a_private_ca_only_the_systems_authorities_are_trusted() -> None:
    async with origin(answering, tls=server_tls()) as served:
        kind, _, detail = await refused_call(served.at, ssl_context=tls_context(None))
        assert kind is FaultKind.TLS
        assert "not trusted" in detail


@pytest.mark.both_loops
async def test_a_certificate_for_another_name_is_refused() -> None:
    async with origin(answering, tls=server_tls("other.test")) as served:
        kind, result, detail = await refused_call(served.at)
        assert (kind, result) == (FaultKind.TLS, ConnectResult.TLS)
        assert "localhost" in detail
        assert b"".join(served.requests) == b""


def test_old_tls_is_not_offered_and_nothing_switches_verification_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context = tls_context(None)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.keylog_filename is None


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_file_that_holds_no_certificate_is_told_with_its_path(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"ca\.pem: no readable PEM file"):
        tls_context(path)


@pytest.mark.both_loops
@pytest.mark.parametrize("how", ["cut", "reset", "plain"])
async def test_a_handshake_that_breaks_off_is_a_fault_of_tls(*, how: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.read(5)
        match how:
            case "cut":
                wire.cut()
            case "reset":
                wire.reset()
            case _:
                await wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                await wire.until_end()

    async with origin(script) as served:
        kind, result, _ = await refused_call(At(served.at.host, served.at.port, tls=True))
        assert (kind, result) == (FaultKind.TLS, ConnectResult.TLS)
        await served.wires[0].ended.wait()


@pytest.mark.both_loops
async def test_a_handshake_that_hangs_is_given_up_in_time() -> None:
    async with origin(Wire.until_end) as served:
        at = At(served.at.host, served.at.port, tls=True)
        kind, result, detail = await refused_call(at, limits=SHORT)
        assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.TIMEOUT)
        assert "TLS handshake" in detail
        await served.wires[0].ended.wait()


@pytest.mark.both_loops
async def test_a_connection_is_closed_whose_caller_gives_up_in_the_moment_in_which_tls_is_agreed_on() -> None:
    class Agreed(Connection):
        def secured(self, transport: asyncio.Transport, channel: Channel) -> None:
            super().secured(transport, channel)
            asyncio.get_running_loop().call_soon(connecting.cancel)  # before it is told that it is connected

    connecting: asyncio.Task[None]

    async with asyncio.timeout(BOUND), origin(Wire.until_end, tls=server_tls()) as served:
        limits, now = Limits(), asyncio.get_running_loop().time
        connection = Agreed(
            limits, AnswerHeads(limits.max_headers), now, lambda _connection: None, lambda _connection: None
        )
        route = Route(served.at, client_tls(), None, limits, now, Resumption(now), Pace(now))
        connecting = asyncio.create_task(connect(route, connection, now() + BOUND))
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await served.wires[0].ended.wait()
        assert not connection.alive


@pytest.fixture
def stranger(tmp_path: Path) -> ssl.SSLContext:
    """A context that trusts another authority than the origin's."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    return tls_context(tmp_path / "other.pem")


@pytest.mark.both_loops
async def test_a_connection_of_the_context_before_ends_its_call_and_carries_no_other(stranger: ssl.SSLContext) -> None:
    go = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO[:-1])
        await go.wait()
        await wire.send(HELLO[-1:])
        await answering(wire)

    async with origin(script, tls=server_tls()) as served, pool_to(served.at) as pool:
        first = await pool.send(call())
        pool.trust(stranger)
        go.set()
        assert await whole(first) == b"hello"
        assert (await fault_of(pool.send(call()))).kind is FaultKind.TLS
        assert len(served.requests) == 1


@pytest.mark.both_loops
async def test_a_handshake_that_began_with_the_context_before_carries_nothing(stranger: ssl.SSLContext) -> None:
    go = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.head()
        await go.wait()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await tunnel_to(wire, served.at.port)

    async with (
        origin(answering, tls=server_tls()) as served,
        origin(slow) as egress,
        pool_to(served.at, egress=Egress("localhost", egress.at.port)) as pool,
    ):
        sent = asyncio.create_task(fault_of(pool.send(call())))
        await seen(lambda: egress.wires)
        pool.trust(stranger)
        go.set()
        assert (await sent).kind is FaultKind.TLS
        assert b"".join(served.requests) == b""
