"""A caller that goes away while its answer comes: what waits behind that call is not begun, and nobody was answered."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import uvloop

from proxy.process.memory import Holding
from tests.support.origins import HELLO, localpayment, until
from tests.support.sidecars import BOUND, Way, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.support.scripted_origin import Wire

    Run = Callable[[Coroutine[Any, Any, None]], None]

RUNS = [pytest.param(asyncio.run, id="asyncio"), pytest.param(uvloop.run, id="uvloop")]
PAYOUT = b"POST /api/payout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
RESET = struct.pack("ii", 1, 0)


# An answer in two segments is carried on by `handler`.
@pytest.mark.parametrize("segments", [(HELLO,), (HELLO[:-2], HELLO[-2:])], ids=["at_once", "handed over"])
@pytest.mark.parametrize("run", RUNS)
def test_a_call_behind_another_is_not_begun_when_the_answer_finds_nobody(
    *, run: Run, segments: tuple[bytes, ...]
) -> None:
    async def scenario() -> None:
        async def script(wire: Wire) -> None:
            await wire.request()
            await wire.send(*segments[:-1])
            await wire.until_end()

        Way.at_once = True
        async with (
            asyncio.timeout(BOUND),
            localpayment(script) as there,
            sidecar(settings_for(there.url)) as relay,
        ):
            where = urlsplit(relay.url)
            with socket.create_connection((where.hostname, where.port)) as caller:
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                caller.sendall(PAYOUT)
                await until(lambda: there.calls.endswith(b"{}"))
                caller.sendall(PAYOUT)
                await until(lambda: relay.sidecar.memory.held[Holding.PIPELINED])
                there.wires[0].writer.write(segments[-1])
            await until(lambda: relay.value("in_flight_requests") == 0 and not relay.sidecar.pool.stats().active)
            await until(lambda: relay.calls)
            assert [(line["status"], line["outcome"]) for line in relay.calls] == [(200, "orphaned")]
            assert there.calls.count(b"POST /api/payout ") == 1

    run(scenario())
