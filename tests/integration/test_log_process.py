"""What a reader of stdout can do to a sidecar: nothing. Real processes, real pipes."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from proxy.simulator.server import Simulator
from tests.support.processes import BOUND, Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BALANCE = "/api/accounts/032.840.00000001/balance"
REFUSED = b"GET /api/token/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
MANY = 12_000  # lines of half a kilobyte: more than pipe, reader and buffer hold together


@pytest.fixture
async def localpayment() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


def settings(localpayment: Simulator, **more: str) -> dict[str, str]:
    return {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": localpayment.url,
        "LOCALPAYMENT_USERNAME": "merchant",
        "LOCALPAYMENT_PASSWORD": "an-invented-password",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        **more,
    }


async def started(process: Running) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(await process.says('"sidecar.started"'))
    await process.says('"token.refreshed"')
    return line


async def flood(url: str) -> None:
    """Have so many calls refused that their lines fill every buffer."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    async def write() -> None:
        for _ in range(MANY // 100):
            writer.write(REFUSED * 100)
            await writer.drain()

    writing = asyncio.create_task(write())
    async with asyncio.timeout(BOUND):
        for _ in range(MANY):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
        await writing
    writer.close()


async def relayed(url: str) -> int:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        session.get(url + BALANCE) as answer,
    ):
        return answer.status


async def lost(admin: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(admin + "/metrics") as answer:
        text = await answer.text()
    found = re.search(r"^localpayment_proxy_log_lines_dropped_total (\S+)", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def test_a_reader_that_stops_loses_lines_stalls_no_call_and_is_told_afterwards(localpayment: Simulator) -> None:
    async with running("serve", settings=settings(localpayment)) as process:
        where = await started(process)
        await flood(where["data"])
        assert await relayed(where["data"]) == 200
        count = await lost(where["admin"])
        assert count > 0
        told = json.loads(await process.says('"log.lines_dropped"'))
        assert (told["lines"], told["level"]) == (count, "warning")
        finished = await process.stopped()
    assert finished.code == 0
    assert '"sidecar.stopped"' in finished.out


async def test_a_reader_that_never_comes_back_does_not_hold_up_the_end(localpayment: Simulator) -> None:
    async with running("serve", settings=settings(localpayment)) as process:
        where = await started(process)
        await flood(where["data"])
        assert await relayed(where["data"]) == 200
        assert await process.ended_unread() == 0
        await process.finished()


async def test_a_reader_that_is_gone_changes_nothing_for_callers(localpayment: Simulator) -> None:
    async with running("serve", settings=settings(localpayment)) as process:
        where = await started(process)
        process.close_stdout()
        assert await relayed(where["data"]) == 200
        assert await relayed(where["data"]) == 200
        async with asyncio.timeout(BOUND):
            while await lost(where["admin"]) == 0:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.05)
        assert await process.ended_unread() == 0


async def test_the_first_line_tells_every_setting_and_masks_the_secrets(localpayment: Simulator) -> None:
    more = {"PROXY_DRAIN_TIMEOUT": "1s", "PROXY_EGRESS_PROXY": "http://user:canary@127.0.0.1:9"}
    async with running("serve", settings=settings(localpayment, **more)) as process:
        line = await started(process)
        finished = await process.stopped()
    assert line["environment"] == "sandbox"
    assert line["settings"]["LOCALPAYMENT_PASSWORD"] == "[redacted]"
    assert line["settings"]["PROXY_DRAIN_TIMEOUT"] == "1s"
    warned = [json.loads(text) for text in finished.out.splitlines() if '"option.unsafe"' in text]
    told = {warning["option"] for warning in warned} - {"no_hardening"}  # which is so while coverage is measured
    assert told == {"plain_upstream", "short_drain"}
    assert not any(secret in finished.out for secret in ("canary", "an-invented-password"))
