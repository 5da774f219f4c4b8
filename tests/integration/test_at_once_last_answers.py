"""An origin that says goodbye with its answer gets no other call on that connection, however soon the next comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from proxy.process.memory import Holding
from tests.support.origins import HELLO, TOKEN_CALL, access, calling, until
from tests.support.scripted_origin import server_tls
from tests.support.sidecars import BOUND, Way, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    Run = Callable[[Coroutine[Any, Any, None]], None]

RUNS = [pytest.param(asyncio.run, id="asyncio"), pytest.param(uvloop.run, id="uvloop")]
PAYOUT = b"POST /api/payout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"


class TerseOrigin:
    """Ends each connection with its first answer: close_notify goes out in the segment that carries the answer."""

    def __init__(self) -> None:
        self.calls: list[int] = []  # by connection
        self.go = asyncio.Event()
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = server_tls().wrap_bio(incoming, outgoing, server_side=True)
        self._connections += 1
        number, received = self._connections, b""
        with contextlib.closing(writer):
            while data := await reader.read(65536):
                incoming.write(data)
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                    while piece := tls.read(65536):
                        received += piece
                if received.endswith(b"}"):
                    tls.write(await self._answer(received, number))
                    received = b""
                    with contextlib.suppress(ssl.SSLWantReadError):
                        tls.unwrap()
                writer.write(outgoing.read())

    async def _answer(self, received: bytes, number: int) -> bytes:
        if received.startswith(TOKEN_CALL):
            body = json.dumps({"access": access(), "refresh": access(86400)}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        self.calls.append(number)
        await self.go.wait()
        return HELLO


@pytest.mark.parametrize("run", RUNS)
def test_a_call_that_waited_for_another_goes_out_on_a_new_connection_after_a_farewell(
    *, run: Run, ca_file: Path
) -> None:
    async def scenario() -> None:
        origin = TerseOrigin()
        Way.at_once = True
        async with asyncio.timeout(BOUND), await asyncio.start_server(origin.serve, "127.0.0.1", 0) as server:
            url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
            async with sidecar(settings_for(url, upstream_ca_file=ca_file)) as relay, calling(relay) as caller:
                await caller.send(PAYOUT)
                await until(lambda: origin.calls)
                await caller.send(PAYOUT)
                await until(lambda: relay.sidecar.memory.held[Holding.PIPELINED])
                origin.go.set()
                assert [(await caller.one()).status for _ in range(2)] == [200, 200]
                assert len(set(origin.calls)) == 2

    run(scenario())
