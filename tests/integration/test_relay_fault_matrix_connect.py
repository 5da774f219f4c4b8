"""The fault-point matrix through a whole sidecar: the connection never came about, so nothing was sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.support.addresses import black_hole, closed_port
from tests.support.fault_matrix import CALLS, Call, Expected, observed
from tests.support.held_calls import egress
from tests.support.origins import TOKEN_CALL, Localpayment, calling, greeting, localpayment
from tests.support.scripted_origin import Wire, authority, origin, server_tls
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path

UNREACHABLE = Expected(status=503, outcome="not_sent", code="upstream_unreachable", sent=0)
DISTRUSTED = Expected(status=503, outcome="not_sent", code="upstream_tls", sent=0)

every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)


SLOW = replace(UNREACHABLE, proxy_status="connection_timeout")


async def ends(wire: Wire) -> None:
    await wire.read(1)


async def stalls(wire: Wire) -> None:
    await wire.until_end()


async def talks(wire: Wire) -> None:
    await wire.send(b"220 mail.example ESMTP\r\n")
    await wire.until_end()


async def refuses(wire: Wire) -> None:
    await wire.head()
    await wire.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


def lead_to(monkeypatch: pytest.MonkeyPatch, address: tuple[str, int] | OSError | None) -> None:
    """Let Localpayment's name lead elsewhere from now on: to an address, to an error, or to a wait without end."""

    async def getaddrinfo(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        match address:
            case None:
                await asyncio.Event().wait()
                raise AssertionError
            case OSError():
                raise address
            case _:
                return [(2, 1, 6, "", address)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def refused(there: Localpayment, call: Call, expected: Expected, trap: Any, **settings: Any) -> None:
    """Let a call meet what `trap` prepares once the token is held."""
    changes = {"connect_timeout": 5.0, "idle_timeout": 5.0, "replay_buffer": 1024, **settings}
    async with sidecar(settings_for(there.url, **changes)) as relay:
        trap()
        async with calling(relay) as caller:
            await caller.send(call.request)
            answered = await caller.rest()
            caller.leave()
        observed(relay, there, call, answered, expected)
        assert relay.value("upstream_connections", state="active") == 0


@every_call
@pytest.mark.parametrize("how", ["name unknown", "name stalls", "port closed", "port stalls"])
async def test_without_a_connection_nothing_was_sent(call: Call, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with black_hole() as hole, closed_port() as closed:
        addresses = {
            "name unknown": socket.gaierror(socket.EAI_NONAME, "unknown"),
            "name stalls": None,
            "port closed": closed,
            "port stalls": hole,
        }
        async with localpayment(greeting) as there:
            budget = 0.1 if "stalls" in how else 5.0
            kinds = {"name unknown": "dns_error", "port closed": "connection_refused"}
            expected = replace(UNREACHABLE, proxy_status=kinds.get(how, "connection_timeout"))
            await refused(there, call, expected, lambda: lead_to(monkeypatch, addresses[how]), connect_timeout=budget)


TLS_TRAPS = {"ends": (ends, DISTRUSTED), "talks": (talks, DISTRUSTED), "stalls": (stalls, SLOW)}


@every_call
@pytest.mark.parametrize("how", TLS_TRAPS)
async def test_without_tls_nothing_was_sent(
    call: Call, how: str, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, expected = TLS_TRAPS[how]
    async with localpayment(greeting, tls=server_tls()) as there, origin(script) as trap:
        await refused(
            there,
            call,
            expected,
            lambda: lead_to(monkeypatch, ("127.0.0.1", trap.at.port)),
            connect_timeout=0.2 if how == "stalls" else 5.0,
            upstream_ca_file=ca_file,
        )
        assert call.line not in b"".join(trap.requests)


def impostor(name: str, issuer: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(name).configure_cert(context)
    return context


@every_call
@pytest.mark.parametrize("how", ["another name", "another authority"])
async def test_an_impostor_gets_nothing(call: Call, how: str, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = impostor("evil.example", authority()) if how == "another name" else impostor("localhost", trustme.CA())
    async with localpayment(greeting, tls=server_tls()) as there, origin(greeting, tls=tls) as trap:
        await refused(
            there,
            call,
            replace(DISTRUSTED, proxy_status="tls_certificate_error"),
            lambda: lead_to(monkeypatch, ("127.0.0.1", trap.at.port)),
            upstream_ca_file=ca_file,
        )
        assert b"".join(trap.requests) == b""


EGRESS_TRAPS = {"refuses": refuses, "ends": ends, "talks": talks, "stalls": stalls}


@every_call
@pytest.mark.parametrize("how", EGRESS_TRAPS)
async def test_without_a_tunnel_nothing_was_sent(call: Call, how: str, ca_file: Path) -> None:
    async with localpayment(greeting, tls=server_tls()) as there, egress(EGRESS_TRAPS[how]) as by_way_of:
        budget = 0.1 if how in {"stalls", "talks"} else 5.0  # of what it says, no line is a whole head
        expected = SLOW if how in {"stalls", "talks"} else UNREACHABLE
        way = {"egress_proxy": by_way_of, "upstream_ca_file": ca_file}
        await refused(there, call, expected, lambda: None, connect_timeout=budget, **way)


async def test_the_origin_of_these_tests_tells_tokens_from_calls() -> None:
    async with localpayment(greeting) as there:
        reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
        writer.write(TOKEN_CALL + b" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert b"access" in await reader.readuntil(b"}")
        assert there.received == []
        writer.close()
