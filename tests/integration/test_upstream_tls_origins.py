"""Origins with which no call gets as far as a byte, straight and through an egress proxy, and one that changes keys."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import shutil
import ssl
import warnings
from typing import TYPE_CHECKING

import pytest
import trustme

from proxy.upstream.model import ConnectResult, FaultKind, Limits, Stream
from tests.support.addresses import free_port
from tests.support.scripted_origin import HELLO, At, Wire, answering, authority, origin, server_tls, tunnel_to
from tests.support.upstream_pool import Egress, call, fault_of, get, pool_to, refused_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


MIB = 1024 * 1024


def expired() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    day = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    authority().issue_cert("localhost", not_before=day, not_after=day.replace(year=2021)).configure_cert(context)
    return context


def of_another_authority() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return context


def self_signed() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made = trustme.CA()
    with made.private_key_pem.tempfile() as key, made.cert_pem.tempfile() as certificate:
        context.load_cert_chain(certificate, key)
    return context


def old() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost").configure_cert(context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


ORIGINS = {
    "an expired certificate": (expired, "not trusted"),
    "a certificate of another authority": (of_another_authority, "not trusted"),
    "a certificate of its own": (self_signed, "not trusted"),
    "a certificate for another name": (lambda: server_tls("other.test"), "not trusted"),
    "TLS 1.1 only": (old, "TLS handshake with localhost"),
}


@pytest.mark.both_loops
@pytest.mark.parametrize("by_way", [False, True], ids=["straight", "through an egress proxy"])
@pytest.mark.parametrize(("context", "detail"), ORIGINS.values(), ids=ORIGINS)
async def test_an_origin_that_is_not_ours_gets_no_byte_of_a_call(
    *, by_way: bool, context: Callable[[], ssl.SSLContext], detail: str
) -> None:
    async with origin(answering, tls=context()) as served:

        async def tunnel(wire: Wire) -> None:
            await wire.head()
            await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
            await tunnel_to(wire, served.at.port)

        async with origin(tunnel) as proxy:
            egress = Egress("localhost", proxy.at.port) if by_way else None
            kind, result, told = await refused_call(served.at, egress=egress)
            assert (kind, result) == (FaultKind.TLS, ConnectResult.TLS)
            assert detail in told
            assert b"".join(served.requests) == b""
            if by_way:
                await proxy.wires[0].ended.wait()


@pytest.mark.both_loops
@pytest.mark.parametrize("how", ["stalls", "ends", "is no TLS"])
async def test_a_handshake_through_an_egress_proxy_that_does_not_end_leaves_nothing(*, how: str) -> None:
    async def tunnel(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await wire.read(5)
        if how == "ends":
            wire.cut()
        elif how == "is no TLS":
            await wire.send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        await wire.until_end()

    async with origin(tunnel) as proxy:
        limits = Limits(connect_timeout=0.1 if how == "stalls" else 5.0)
        kind, result, told = await refused_call(
            At("localhost", 443, tls=True), egress=Egress("localhost", proxy.at.port), limits=limits
        )
        stalls = (FaultKind.UNREACHABLE, ConnectResult.TIMEOUT)
        assert (kind, result) == (stalls if how == "stalls" else (FaultKind.TLS, ConnectResult.TLS))
        assert "TLS handshake" in told
        await proxy.wires[0].ended.wait()


@pytest.mark.both_loops
async def test_an_upload_over_tls_to_an_origin_that_reads_slowly_is_whole_and_keeps_no_backlog() -> None:
    most, digest = 0, hashlib.sha256()

    async def body() -> AsyncIterator[bytes]:
        nonlocal most
        for number in range(64):
            piece = bytes((number,)) * (MIB // 4)
            digest.update(piece)
            yield piece
            (connection,) = pool._open  # noqa: SLF001 - the memory that is held shows nowhere else
            most = max(most, connection._wire.backlog)  # noqa: SLF001 - as above

    async def script(wire: Wire) -> None:
        await wire.head()
        took = hashlib.sha256()
        for _ in range(256):
            took.update(await wire.reader.readexactly(MIB // 16))
            for _ in range(3):
                await asyncio.sleep(0)
        same.append(took.digest() == digest.digest())
        await wire.send(HELLO)

    same: list[bool] = []
    async with origin(script, tls=server_tls()) as served, pool_to(served.at) as pool:
        assert await get(pool, call(b"POST", Stream(16 * MIB, body()))) == b"hello"
        assert same == [True]
        assert most == 0  # whenever the next piece was asked for, the socket had taken all before


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="KEY CHANGES ARE NOT TESTED: no openssl")


@contextlib.asynccontextmanager
async def s_server(folder: Path, version: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, At]]:
    """OpenSSL's own server: what is typed is sent, and a line of one letter is an order."""
    issued = authority().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "own.pem"))
    port = free_port()
    command = ("openssl", "s_server", "-accept", str(port), "-cert", str(folder / "own.pem"), version, "-4", "-msg")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        await printed(process, b"ACCEPT")
        yield process, At("localhost", port, tls=True)
    finally:
        process.kill()
        await process.wait()


async def printed(process: asyncio.subprocess.Process, mark: bytes) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(5):
        return await process.stdout.readuntil(mark)


def typed(process: asyncio.subprocess.Process, text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)


@needs_openssl
@pytest.mark.parametrize("order", [b"k", b"K"], ids=["its own", "its own and ours"])
async def test_an_origin_that_changes_keys_does_no_harm(tmp_path: Path, order: bytes) -> None:
    async with s_server(tmp_path, "-tls1_3") as (process, where), pool_to(where) as pool:
        said = b""
        for _ in range(3):
            answer = asyncio.ensure_future(get(pool))
            said = await printed(process, b"Accept: */*")
            typed(process, order + b"\n")
            said += await printed(process, b">>> TLS 1.3, Handshake [length 0005], KeyUpdate")
            typed(process, HELLO)
            assert await answer == b"hello"
        assert (b"<<< TLS 1.3, Handshake [length 0005], KeyUpdate" in said) == (order == b"K")
        assert pool.stats().open == 1


@needs_openssl
async def test_an_origin_that_shakes_hands_anew_gets_no_other_answer_from_us_than_no(tmp_path: Path) -> None:
    async with s_server(tmp_path, "-tls1_2") as (process, where), pool_to(where) as pool:
        fault = asyncio.ensure_future(fault_of(pool.send(call(b"POST", b"{}", effects=True))))
        await printed(process, b"Accept: */*")
        typed(process, b"r\n")
        await printed(process, b"HelloRequest")
        await printed(process, b"no_renegotiation")  # ours; what is typed before it comes would still be sent
        typed(process, HELLO)
        assert (await fault).kind is FaultKind.DISCONNECTED
        assert pool.stats().idle == 0
