"""What becomes of calls that the end of the sidecar itself cuts short, and of those it drains."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.held_calls import Held, slow_egress
from tests.support.origins import HELLO, calling, localpayment, request, until
from tests.support.scripted_origin import server_tls
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.scripted_origin import Wire

PAYOUT = request("POST", "/api/payout", body=b'{"externalId": "order-1"}')
STREAM = request("POST", "/api/payout", body=b"x" * 4096)


async def test_a_call_without_an_answer_is_unknown_and_its_caller_is_told() -> None:
    held = Held()
    async with localpayment(held) as there, contextlib.AsyncExitStack() as after:
        async with sidecar(settings_for(there.url)) as relay:
            caller = await after.enter_async_context(calling(relay))
            await caller.send(PAYOUT)
            await held.begun.wait()
        problem = (await caller.rest()).problem
        assert (problem["status"], problem["outcome"]) == (502, "unknown")
        (line,) = relay.calls
        assert (line["outcome"], line["status"], line["attempts"]) == ("unknown", 502, 1)


async def test_an_answer_that_has_begun_is_aborted() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO.replace(b": 5", b": 50"))
        await wire.until_end()

    async with localpayment(script) as there, contextlib.AsyncExitStack() as after:
        async with sidecar(settings_for(there.url)) as relay:
            caller = await after.enter_async_context(calling(relay))
            await caller.send(PAYOUT)
            await caller.until(b"hello")
        assert not (await caller.rest()).complete
        (line,) = relay.calls
        assert (line["outcome"], line["status"]) == ("aborted", 200)


async def test_a_call_that_was_not_begun_was_not_sent(ca_file: Path) -> None:
    asked = asyncio.Event()
    async with (
        localpayment(Held(), tls=server_tls()) as there,
        slow_egress(asked) as by_way_of,
        contextlib.AsyncExitStack() as after,
    ):
        where = settings_for(there.url, egress_proxy=by_way_of, upstream_ca_file=ca_file, connect_timeout=60.0)
        async with sidecar(where) as relay:
            caller = await after.enter_async_context(calling(relay))
            await caller.send(PAYOUT)
            await asked.wait()
        problem = (await caller.rest()).problem
        assert (problem["status"], problem["code"], problem["outcome"]) == (503, "draining", "not_sent")
        (line,) = relay.calls
        assert (line["outcome"], line["status"]) == ("not_sent", 503)
        assert there.calls == b""


async def test_an_upload_that_is_cut_short_is_unknown() -> None:
    async def script(wire: Wire) -> None:
        await wire.until_end()

    async with localpayment(script) as there, contextlib.AsyncExitStack() as after:
        async with sidecar(settings_for(there.url, replay_buffer=64, idle_timeout=60.0)) as relay:
            caller = await after.enter_async_context(calling(relay))
            await caller.send(STREAM[:-5])
            await until(lambda: there.wires and there.calls.endswith(b"xxx"))
        await caller.rest()
        (line,) = relay.calls
        assert line["outcome"] == "unknown"


@pytest.mark.parametrize("new", [True, False], ids=["a new connection", "a connection that it has"])
async def test_a_drain_finishes_what_it_has_and_sends_callers_elsewhere(*, new: bool) -> None:
    held = Held()
    async with localpayment(held) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(PAYOUT.replace(b"Connection: close\r\n", b""))
        await held.begun.wait()
        url = relay.url
        draining = asyncio.create_task(relay.sidecar.drain())
        await until(lambda: relay.sidecar.health.draining)
        held.go.set()
        answer = await caller.one()
        assert answer.status == 200
        if not new:
            assert (await caller.rest()).raw == b""
        caller.writer.close()
        assert await draining
        if new:
            where = urlsplit(url)
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(where.hostname, where.port)
        assert relay.calls[0]["outcome"] == "answered"
