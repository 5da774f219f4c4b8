"""Callers over TLS: who has a certificate of the right CA gets in, and is who its certificate says."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from proxy.config import UnixAddress
from proxy.listening.tls import CertificateError, caller_tls
from tests.support.callers import Certificates, get, policy
from tests.support.origins import HELLO, greeting, localpayment, until
from tests.support.processes import ran
from tests.support.sidecars import BOUND, DEFAULTS, Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.origins import Localpayment
    from tests.support.scripted_origin import Wire

BALANCE = "/api/accounts/032.840.00000001/balance"
SHOP = '[callers.shop]\nsan = "DNS:shop.internal"\nallow = ["read"]\n'


@pytest.fixture
async def there() -> Any:
    async with localpayment(greeting) as origin:
        yield origin


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "certificates")


@pytest.fixture
async def relay(there: Localpayment, certificates: Certificates, tmp_path: Path) -> AsyncIterator[Running]:
    files = {**certificates.settings, "tls_client_ca_file": certificates.ca_file}
    async with sidecar(settings_for(there.url, policy_file=policy(tmp_path, SHOP), **files)) as running:
        yield running


async def refused(relay: Running, tls: ssl.SSLContext) -> None:
    """Be sent away during the handshake; TLS 1.3 tells a client only when it reads."""
    host, port = relay.url.removeprefix("https://").split(":")
    try:
        async with asyncio.timeout(BOUND):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=tls, server_hostname=host)
            with contextlib.closing(writer):
                writer.write(f"GET {BALANCE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                assert await reader.read() == b""
    except (ssl.SSLError, ConnectionError):
        return


async def test_a_caller_is_who_its_certificate_says(relay: Running, certificates: Certificates) -> None:
    assert relay.url.startswith("https://127.0.0.1:")
    assert await get(relay, BALANCE, certificates.client("shop.internal")) == 200
    assert await get(relay, BALANCE, certificates.client("SHOP.internal")) == 200
    assert await get(relay, BALANCE, certificates.client("else.internal")) == 403
    assert sorted(line["caller"] for line in relay.calls) == ["shop", "shop", "unknown"]


async def test_a_certificate_with_an_empty_name_is_nobodys_and_its_connection_is_counted_as_any(
    relay: Running, certificates: Certificates
) -> None:
    assert await get(relay, BALANCE, certificates.nameless()) == 403
    assert relay.calls[0]["caller"] == "unknown"
    await until(lambda: relay.sidecar.listener.connected == 0)
    assert await relay.sidecar.drain()
    assert relay.lines("library.logged") == []


async def test_a_caller_without_a_certificate_or_with_one_of_another_ca_gets_no_answer(
    relay: Running, certificates: Certificates, there: Localpayment, tmp_path: Path
) -> None:
    stranger = Certificates(tmp_path / "stranger")
    await refused(relay, certificates.client())
    await refused(relay, stranger.client("shop.internal", trusting=certificates.ca))
    assert there.calls == b""
    assert relay.value("caller_handshakes_refused_total", cause="no_certificate") == 1
    assert relay.value("caller_handshakes_refused_total", cause="untrusted") == 1
    assert {line["reason"] for line in relay.lines("caller.tls_refused")} == {"no_certificate", "untrusted"}


async def test_bytes_that_are_no_tls_and_an_old_tls_are_refused(relay: Running, certificates: Certificates) -> None:
    reader, writer = await relay.connection()
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(BOUND):
        assert not (await reader.read()).startswith(b"HTTP")
    writer.close()
    old = certificates.client("shop.internal")
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.deprecated_call():
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    await refused(relay, old)
    assert relay.value("caller_handshakes_refused_total", cause="plain_http") == 1
    assert relay.value("caller_handshakes_refused_total", cause="other") == 1


async def test_without_a_client_ca_whoever_trusts_the_certificate_may_call(
    there: Localpayment, certificates: Certificates
) -> None:
    async with sidecar(settings_for(there.url, **certificates.settings)) as relay:
        assert await get(relay, BALANCE, certificates.client()) == 200
        assert relay.calls[0]["caller"] == "anyone"


async def test_a_socket_file_can_speak_tls_as_well(
    there: Localpayment, certificates: Certificates, tmp_path: Path
) -> None:
    path = tmp_path / "proxy.sock"
    files = {**certificates.settings, "tls_client_ca_file": certificates.ca_file}
    settings = settings_for(there.url, listen=UnixAddress(path), policy_file=policy(tmp_path, SHOP), **files)
    async with sidecar(settings) as relay:
        tls = certificates.client("shop.internal")
        reader, writer = await asyncio.open_unix_connection(str(path), ssl=tls, server_hostname="localhost")
        writer.write(f"GET {BALANCE} HTTP/1.1\r\nHost: any.thing\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(BOUND):
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        assert relay.calls[0]["caller"] == "shop"


async def test_a_refusal_that_ends_the_connection_can_be_read_over_tls(
    relay: Running, certificates: Certificates
) -> None:
    tls = certificates.client("shop.internal")
    host, port = relay.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=tls, server_hostname=host)
    writer.write(b"GET / HTTP/9.9\r\n\r\n" + b"x" * 100_000)
    async with asyncio.timeout(BOUND):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bad_request" in answer
    writer.close()


async def silent_caller(relay: Running, tls: ssl.SSLContext, sent: bytes) -> ssl.SSLSocket:
    """A caller that sends something, and says and reads no more, not even that it takes leave."""
    host, port = relay.url.removeprefix("https://").split(":")

    def begin() -> ssl.SSLSocket:
        wrapped = tls.wrap_socket(socket.create_connection((host, int(port)), BOUND), server_hostname=host)
        wrapped.sendall(sent)
        return wrapped

    return await asyncio.to_thread(begin)


async def test_a_stop_ends_well_though_a_caller_has_yet_to_take_leave_of_its_last_answer(
    there: Localpayment, certificates: Certificates
) -> None:
    async with sidecar(settings_for(there.url, **certificates.settings)) as relay:
        caller = await silent_caller(relay, certificates.client(), b"nonsense\r\n\r\n")
        await until(lambda: len(relay.sidecar.listener.lingering))
    with caller:
        assert (await asyncio.to_thread(caller.recv, 65536)).startswith(b"HTTP/1.1 400 ")


async def test_a_connection_that_was_closed_twice_keeps_no_place_from_others(
    there: Localpayment, certificates: Certificates
) -> None:
    tls = certificates.client()
    async with sidecar(settings_for(there.url, **certificates.settings), most_connections=1) as relay:
        with await silent_caller(relay, tls, b"G"):
            await until(lambda: relay.sidecar.memory.used)
            (connection,) = relay.sidecar.listener.connections
            assert connection.transport is not None
            connection.transport.close()
            connection.transport.close()
            assert await get(relay, BALANCE, tls) in {200, 503}
        await until(lambda: relay.sidecar.listener.connected == 0)
        assert await get(relay, BALANCE, tls) == 200


# Changes while running


async def reload(relay: Running) -> tuple[int, str]:
    return await relay.admin("/-/reload", "POST")


async def test_another_client_ca_holds_for_new_connections_and_calls_on_their_way_end(
    certificates: Certificates, tmp_path: Path
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.request()
        reached.set()
        await go_on.wait()
        await wire.send(HELLO)

    files = {**certificates.settings, "tls_client_ca_file": certificates.ca_file}
    async with localpayment(slow) as there, sidecar(settings_for(there.url, **files)) as relay:
        before, new_ca = certificates.client("shop.internal"), trustme.CA()
        under_way = asyncio.create_task(get(relay, BALANCE, before))
        async with asyncio.timeout(BOUND):
            await reached.wait()
        new_ca.cert_pem.write_to_path(str(certificates.ca_file))
        status, text = await reload(relay)
        assert (status, "certificates for callers: read anew" in text) == (200, True)
        await refused(relay, before)
        go_on.set()
        assert await under_way == 200
        issued = Certificates(tmp_path / "new", new_ca).client("shop.internal", trusting=certificates.ca)
        assert await get(relay, BALANCE, issued) == 200


async def test_a_session_that_began_under_the_old_ca_is_not_taken_up_under_the_new_one(
    relay: Running, certificates: Certificates
) -> None:
    tls = certificates.client("shop.internal")
    host, port = relay.url.removeprefix("https://").split(":")

    def call(session: ssl.SSLSession | None) -> tuple[bytes, bool | None, ssl.SSLSession | None]:
        with (
            socket.create_connection((host, int(port)), BOUND) as raw,
            tls.wrap_socket(raw, server_hostname=host, session=session) as secured,
        ):
            secured.sendall(f"GET {BALANCE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := secured.recv(65536):
                answer += piece
            return answer[:12], secured.session_reused, secured.session

    _, _, session = await asyncio.to_thread(call, None)
    assert (await asyncio.to_thread(call, session))[:2] == (b"HTTP/1.1 200", True)
    trustme.CA().cert_pem.write_to_path(str(certificates.ca_file))
    assert (await reload(relay))[0] == 200
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        assert (await asyncio.to_thread(call, session))[:2] == (b"", False)


async def test_a_renewed_certificate_is_shown_and_a_broken_one_is_not(
    relay: Running, certificates: Certificates
) -> None:
    tls = certificates.client("shop.internal")

    async def shown() -> object:
        host, port = relay.url.removeprefix("https://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=tls, server_hostname=host)
        certificate = writer.get_extra_info("peercert")
        writer.close()
        return certificate["serialNumber"]

    first = await shown()
    certificates.write()
    assert (await reload(relay))[0] == 200
    second = await shown()
    assert first != second
    certificates.cert_file.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    status, text = await reload(relay)
    assert status == 500
    assert "certificates for callers: the old ones stay: PROXY_TLS_KEY_FILE" in text
    assert await shown() == second
    assert await get(relay, BALANCE, tls) == 200


async def test_a_reload_while_draining_opens_nothing_again(relay: Running, certificates: Certificates) -> None:
    await relay.sidecar.drain()
    assert (await reload(relay))[0] == 200
    with pytest.raises((aiohttp.ClientError, OSError)):
        await get(relay, BALANCE, certificates.client("shop.internal"))


# Files that cannot be used


def test_every_file_that_cannot_be_used_is_named_with_what_to_do(certificates: Certificates, tmp_path: Path) -> None:
    def objection(**files: Path) -> str:
        changes: dict[str, Any] = {**certificates.settings, **files}
        settings = dataclasses.replace(DEFAULTS, **changes)
        with pytest.raises(CertificateError) as caught:
            caller_tls(settings)
        return str(caught.value)

    other = Certificates(tmp_path / "other")
    locked = tmp_path / "locked.pem"
    made = serialization.load_pem_private_key(certificates.key_file.read_bytes(), None)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(made.private_bytes(*form, serialization.BestAvailableEncryption(b"invented")))
    assert "it is not the key of" in objection(tls_key_file=other.key_file)
    assert "has a passphrase: write it without one" in objection(tls_key_file=locked)
    assert "name two PEM files" in objection(tls_key_file=certificates.ca_file)
    assert "(No such file or directory)" in objection(tls_key_file=tmp_path / "none")
    empty = tmp_path / "empty.pem"
    empty.write_text("-----BEGIN CERTIFICATE-----\n")
    assert objection(tls_client_ca_file=empty).startswith("PROXY_TLS_CLIENT_CA_FILE=")
    assert caller_tls(DEFAULTS) is None


async def test_a_start_with_files_that_do_not_fit_ends_with_78(certificates: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other")
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_USERNAME": "merchant",
        "LOCALPAYMENT_PASSWORD": "invented",
        "PROXY_TLS_CERT_FILE": str(certificates.cert_file),
    }
    finished = await ran("serve", settings=settings)
    assert finished.code == 78
    assert "PROXY_TLS_KEY_FILE: required beside PROXY_TLS_CERT_FILE" in finished.err
    finished = await ran("serve", settings={**settings, "PROXY_TLS_KEY_FILE": str(other.key_file)})
    assert (finished.code, len(finished.err.splitlines())) == (78, 1)
    assert "it is not the key of" in finished.err
