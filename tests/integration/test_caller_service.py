"""A service of thirty lines by the Python recipe sells each order once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from proxy.config import TcpAddress
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.origins import until
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SHOP = Path(__file__).parents[1] / "support" / "shop.py"
BOUND = 60.0  # seconds that nothing here may take; only a defect reaches it


@contextlib.asynccontextmanager
async def shop(url: str) -> AsyncIterator[str]:
    """Run the service inside the block; give the URL of its orders."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SHOP), url), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(BOUND):
            line = await process.stdout.readline()
        yield f"http://127.0.0.1:{int(line.split()[1])}/orders"
    finally:
        process.kill()
        await process.wait()


async def sold(orders: str, order: str) -> tuple[int, str]:
    async with (
        asyncio.timeout(BOUND),
        aiohttp.ClientSession() as session,
        session.post(f"{orders}/{order}") as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize("kind", [Kind.DROP_AFTER_READ, Kind.DROP_BEFORE_READ, Kind.DROP_MID_ANSWER])
async def test_after_a_502_or_a_cut_answer_the_order_is_paid_once(kind: Kind) -> None:
    async with Simulator() as there, sidecar(settings_for(there.url)) as relay, shop(relay.url) as orders:
        there.add_fault(Fault(kind, "create_payin"))
        assert await sold(orders, "order-1") == (201, "paid")
        assert await sold(orders, "order-2") == (201, "paid")
        assert there.executions("create_payin") == 2


async def test_a_503_is_waited_out() -> None:
    async with Simulator() as there:
        there.add_fault(Fault(Kind.HANG, "token_endpoints", times=None))
        async with sidecar(settings_for(there.url, token_wait=0.05), ready=False) as relay, shop(relay.url) as orders:
            selling = asyncio.create_task(sold(orders, "order-1"))
            await until(lambda: relay.lines("request.refused") or selling.done())
            there.clear_faults()
            assert await selling == (201, "paid")
        assert there.executions("create_payin") == 1


async def test_a_restart_of_the_sidecar_costs_no_order() -> None:
    async with Simulator() as there:
        async with contextlib.AsyncExitStack() as first:
            relay = await first.enter_async_context(sidecar(settings_for(there.url, drain_timeout=0.2)))
            listen = TcpAddress("127.0.0.1", int(relay.url.rpartition(":")[2]))
            async with shop(relay.url) as orders:
                there.add_fault(Fault(Kind.HANG, "create_payin"))
                selling = asyncio.create_task(sold(orders, "order-1"))
                await until(lambda: there.faults.used_up.is_set() or selling.done())
                await first.aclose()
                async with sidecar(settings_for(there.url, listen=listen)):
                    assert await selling == (201, "paid")
        assert there.executions("create_payin") == 1
