"""However many connect, the sidecar has a bounded number of connections, and one that behaves gets its turn."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from proxy.relay.server.lingering import MOST_LINGERING
from tests.support.callers import Certificates, get
from tests.support.origins import greeting, localpayment, until
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sidecars import Running

pytestmark = pytest.mark.both_loops
MOST = 32  # more than are accepted in one turn


def connected(relay: Running) -> float:
    return relay.value("caller_connections", listener="data")


async def test_silent_handshakes_are_bounded_and_make_room_for_a_caller_that_speaks(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    async with localpayment(greeting) as there, contextlib.AsyncExitStack() as stack:
        settings = settings_for(there.url, **certificates.settings, max_connections=MOST)
        relay = await stack.enter_async_context(sidecar(settings))
        silent = []
        for _ in range(MOST + MOST_LINGERING + 20):
            reader, writer = await relay.connection()
            stack.callback(writer.close)
            silent.append(reader)
        await until(lambda: relay.value("accept_pauses_total", listener="data"))
        assert connected(relay) == MOST + MOST_LINGERING
        assert await get(relay, "/api/resources/banks", certificates.client()) == 200
        assert connected(relay) <= MOST + MOST_LINGERING
        assert await silent[0].read() == b"", "the oldest handshake ended"
        assert not silent[-1].at_eof()
    assert relay.lines("listener.paused")[0]["reason"] == "full"
    assert not relay.lines("library.logged")


async def test_a_flood_of_connections_that_never_read_is_bounded() -> None:
    async with localpayment(greeting) as there, contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings_for(there.url, max_connections=MOST)))
        for _ in range(MOST + 2 * MOST_LINGERING):
            _, writer = await relay.connection()
            stack.callback(writer.close)
            writer.write(b"nonsense\r\n\r\n" + b"x" * 100_000)
        assert connected(relay) <= MOST + MOST_LINGERING
        status, _ = await relay.get("/api/resources/banks")
        assert status == 200
        assert connected(relay) <= MOST + MOST_LINGERING
