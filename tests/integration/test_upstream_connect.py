"""How connections come about, and that a connection that did not come about sent nothing and leaked nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from proxy.upstream.model import ConnectResult, FaultKind, Limits, Progress
from tests.integration.test_upstream_harness import (
    At,
    Egress,
    Wire,
    answering,
    call,
    fault_of,
    get,
    origin,
    pool_to,
    seen,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    Run = Callable[[Coroutine[Any, Any, None]], None]

RUNS = [pytest.param(asyncio.run, id="asyncio"), pytest.param(uvloop.run, id="uvloop")]
SHORT = Limits(connect_timeout=0.05)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def closed_port() -> Iterator[tuple[str, int]]:
    """An address that refuses connections, and that nobody else can get meanwhile: bound, never listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()


@contextlib.contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """An address whose queue of connections is full, so that the kernel drops every further SYN."""
    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()


def answer_names(monkeypatch: pytest.MonkeyPatch, *addresses: list[tuple[str, int]]) -> list[str]:
    """Let the running loop's resolver give these addresses, one list per question; return the names asked for."""
    asked: list[str] = []
    answers = iter(addresses)

    async def getaddrinfo(host: str, _port: int, **_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in next(answers)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


async def refused_call(at: At, **pool: Any) -> tuple[FaultKind, ConnectResult, str]:
    """Send a call that must fail to connect; check what holds for all such calls."""
    connects: list[ConnectResult] = []
    async with pool_to(at, connects=connects, **pool) as made:
        fault = await fault_of(made.send(call(b"POST", b"pay", effects=True)))
        assert (fault.progress, fault.reused, fault.answer_begun) == (Progress.NOTHING, False, False)
        assert fault.timings.request_bytes == 0
        assert fault.timings.total_seconds is not None
        (result,) = connects
        return fault.kind, result, fault.detail


@pytest.mark.parametrize("run", RUNS)
def test_a_refused_connection_is_unreachable(*, run: Run) -> None:
    async def scenario() -> None:
        kind, result, detail = await refused_call(At("127.0.0.1", free_port()))
        assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.UNREACHABLE)
        assert "refuses" in detail

    run(scenario())


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


@pytest.mark.parametrize("run", RUNS)
def test_a_connection_that_hangs_is_given_up_in_time(*, run: Run) -> None:
    async def scenario() -> None:
        with black_hole() as (host, port):
            kind, result, detail = await refused_call(At(host, port), limits=SHORT)
        assert (kind, result) == (FaultKind.UNREACHABLE, ConnectResult.TIMEOUT)
        assert "TCP connection" in detail

    run(scenario())


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


@pytest.mark.parametrize("run", RUNS)
def test_an_origin_that_speaks_first_is_not_spoken_to(*, run: Run) -> None:
    async def rude(wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await wire.until_end()

    async def proxy(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        await wire.until_end()

    async def scenario() -> None:
        async with origin(proxy) as egress:
            kind, _, _ = await refused_call(At("origin.test", 80), egress=Egress(egress.at.host, egress.at.port))
            assert kind is FaultKind.UNREACHABLE
            assert b"POST" not in egress.requests[0]
        async with origin(rude) as served:
            kind, result, _ = await refused_call(At(served.at.host, served.at.port, tls=True))
            assert (kind, result) == (FaultKind.TLS, ConnectResult.TLS)

    run(scenario())


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("through", [False, True], ids=["direct", "egress"])
def test_a_call_that_is_given_up_while_it_connects_leaves_nothing_behind(*, run: Run, tls: bool, through: bool) -> None:
    async def scenario() -> None:
        async with origin(Wire.until_end) as served:
            egress = Egress(served.at.host, served.at.port) if through else None
            connects: list[ConnectResult] = []
            at = At(served.at.host, served.at.port, tls=tls)
            async with pool_to(at, egress=egress, connects=connects, limits=Limits(max_connections=1)) as pool:
                sending = asyncio.create_task(pool.send(call()))
                await seen(lambda: served.wires and (tls or through or pool.stats().open))
                sending.cancel()
                await asyncio.wait([sending])
                assert sending.cancelled()
                await served.wires[0].ended.wait()
                await seen(lambda: not pool.stats().open)
                assert pool._slots.free

    run(scenario())
