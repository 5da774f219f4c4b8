"""A caller that is slower than Localpayment holds it back; one that stops reading is cut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.held_calls import PAYOUT, READ, the_line
from tests.support.origins import Answered, calling, localpayment
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from tests.support.scripted_origin import Wire

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("sent", "outcome"), [(READ, "aborted"), (PAYOUT, "orphaned")], ids=["read", "call with effects"]
)
async def test_a_caller_that_stops_reading_holds_localpayment_back_and_is_cut_in_the_end(
    sent: bytes, outcome: str
) -> None:
    wrote = 0

    async def script(wire: Wire) -> None:
        nonlocal wrote
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        while wrote < 64 * MIB:
            await wire.send(bytes(MIB))
            wrote += MIB

    async with (
        localpayment(script) as there,
        sidecar(settings_for(there.url, idle_timeout=0.3)) as relay,
        calling(relay) as caller,
    ):
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as write-only
        await caller.send(sent)
        line = await the_line(relay)
        assert (line["outcome"], line["status"]) == (outcome, 200)
        assert wrote < 32 * MIB
        caller.writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        assert not (await caller.rest()).complete


async def test_a_caller_that_reads_slowly_but_steadily_gets_everything() -> None:
    body = b"x" * (8 * MIB)

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    async with localpayment(script) as there, sidecar(settings_for(there.url, idle_timeout=1.0)) as relay:
        async with calling(relay) as caller:
            await caller.send(READ)
            raw = b""
            while piece := await caller.reader.read(MIB):
                raw += piece
                await asyncio.sleep(0.03)  # in all longer than the idle timeout, which is what is tested
        assert Answered(raw).body == body
        assert (await the_line(relay))["outcome"] == "answered"
