"""A connection whose calls were sent at once has the limits of any other: idle, or with an answer that nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import uvloop

from tests.support.origins import calling, greeting, localpayment, until
from tests.support.sidecars import BOUND, Running, Way, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from proxy.relay.server.listener import Listener
    from tests.support.scripted_origin import Wire

    Run = Callable[[Coroutine[Any, Any, None]], None]
    Script = Callable[[Wire], Coroutine[Any, Any, None]]

RUNS = [pytest.param(asyncio.run, id="asyncio"), pytest.param(uvloop.run, id="uvloop")]
READ = b"GET /api/resources/banks HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = READ.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + bytes(60000)


async def verbose(wire: Wire) -> None:
    while True:
        await wire.request()
        await wire.send(LARGE)


@contextlib.asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[Running, Listener]]:
    Way.at_once = True
    async with asyncio.timeout(BOUND), localpayment(script) as there, sidecar(settings_for(there.url)) as relay:
        yield relay, relay.sidecar.listener


@contextlib.contextmanager
def deaf_caller(relay: Running) -> Iterator[socket.socket]:
    """A caller that reads nothing, and for which the kernel takes little."""
    where = urlsplit(relay.url)
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect((where.hostname, where.port))
        yield caller


async def unread(relay: Running, listener: Listener, caller: socket.socket, call: bytes) -> int:
    """Make a call and let it be answered; return how many bytes the socket has not taken."""
    before = len(relay.calls)
    caller.sendall(call)
    await until(lambda: len(relay.calls) > before)
    (connection,) = listener.connections
    assert connection.transport is not None
    return connection.transport.get_write_buffer_size()


@pytest.mark.parametrize("run", RUNS)
def test_an_idle_connection_is_closed(*, run: Run) -> None:
    async def scenario() -> None:
        async with serving(greeting) as (relay, listener):
            listener.caller_idle = 0.2
            async with calling(relay) as caller:
                await caller.send(READ)
                assert (await caller.one()).status == 200
                assert (await caller.rest()).raw == b""

    run(scenario())


@pytest.mark.parametrize("ending", [READ, LAST], ids=["kept open", "closing"])
@pytest.mark.parametrize("run", RUNS)
def test_a_connection_is_given_up_whose_answer_nobody_reads(*, run: Run, ending: bytes) -> None:
    async def scenario() -> None:
        async with serving(verbose) as (relay, listener):
            listener.caller_idle = 60.0
            with deaf_caller(relay) as caller:
                full = 1
                while not await unread(relay, listener, caller, READ):
                    full += 1
            await until(lambda: not listener.connections)
            with deaf_caller(relay) as caller:
                for _ in range(full - 1):
                    assert not await unread(relay, listener, caller, READ)
                listener.caller_idle = 0.2
                assert await unread(relay, listener, caller, ending)
                await until(lambda: not listener.connections)

    run(scenario())
