"""Calls that are held at Localpayment, or on their way to it, until a test lets them go on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from proxy.config.addresses import EgressProxy
from tests.support.origins import HELLO, request, until
from tests.support.scripted_origin import origin, tunnel_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

READ = request("GET", "/api/resources/banks")

PAYOUT = request("POST", "/api/payout", body=b'{"externalId": "order-1"}')

STREAM = request("POST", "/api/payout", body=b"x" * 4096)

DECLINED = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="api"\r\nContent-Length: 0\r\n\r\n'


class Held:
    """An origin that reads a call and answers when it is let go."""

    def __init__(self, answer: bytes = HELLO) -> None:
        self.answer = answer
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        await wire.request()
        self.begun.set()
        gone = asyncio.create_task(wire.until_end())
        going = asyncio.create_task(self.go.wait())
        await asyncio.wait((gone, going), return_when=asyncio.FIRST_COMPLETED)
        if going.done():
            await wire.send(self.answer)
        gone.cancel()
        going.cancel()


async def the_line(relay: Running) -> dict[str, Any]:
    await until(lambda: relay.calls)
    (line,) = relay.calls
    assert relay.value("in_flight_requests") == 0
    return line


@contextlib.asynccontextmanager
async def egress(script: Callable[[Wire], Awaitable[None]]) -> AsyncIterator[EgressProxy]:
    """An egress proxy that opens one tunnel, which is the login's; a script says what becomes of the others."""
    asked = 0

    async def serve(wire: Wire) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await script(wire)
        else:
            await open_tunnel(wire)

    async with origin(serve) as served:
        yield EgressProxy("127.0.0.1", served.at.port, None)


async def open_tunnel(wire: Wire) -> None:
    """Do what an egress proxy is asked for; every name is that of this machine."""
    head = await wire.head()
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
    await tunnel_to(wire, int(head.split()[1].rpartition(b":")[2]))


@contextlib.asynccontextmanager
async def slow_egress(asked: asyncio.Event) -> AsyncIterator[EgressProxy]:
    """An egress proxy that lets the login through and lets everything else wait."""

    async def wait(wire: Wire) -> None:
        asked.set()
        await wire.until_end()

    async with egress(wait) as by_way_of:
        yield by_way_of
