"""Measures the memory of calls in flight: `python -m tests.benchmarks.in_flight` prints a table in half a minute.

A sidecar of its own for each row, without a limit of memory; an origin takes each payout whole, and answers late.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from tests.attack.attacks import Target
from tests.benchmarks.footprint import usage
from tests.support.processes import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CALLS: Final = 128
SIZES: Final = {"none": 0, "1 KiB": 1024, "64 KiB": 64 * 1024, "1 MiB": 1024 * 1024}
SETTLES: Final = 2.0  # seconds after which every call waits for its answer
ANSWERS: Final = "8"  # seconds after which an answer comes


async def resident(size: int, origin: int, port: int) -> tuple[int, int]:
    """Return the KiB of a sidecar before, and while calls with bodies of this size are in flight; 0 sends none."""
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": f"http://127.0.0.1:{origin}",
        "LOCALPAYMENT_USERNAME": "merchant",
        "LOCALPAYMENT_PASSWORD": "invented",
        "PROXY_LISTEN": f"127.0.0.1:{port}",
        "PROXY_ADMIN_LISTEN": f"127.0.0.1:{port + 1}",
        "PROXY_MEMORY_BUDGET": "1GiB",
    }
    async with running("serve", settings=settings) as sidecar:
        await sidecar.says("token.refreshed")
        before = usage(sidecar.pid).resident
        writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(CALLS)]
        if size:
            for writer in writers:
                writer.write(Target(port, 0).payout(size))
                await writer.drain()
        await asyncio.sleep(SETTLES)
        after = usage(sidecar.pid).resident
        for writer in writers:
            writer.transport.abort()
    return before, after


async def rows() -> AsyncIterator[str]:
    """Yield the table's lines."""
    yield "| body | calls | before | in flight | a call |\n|---|---|---|---|---|"
    origin = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.attack.origin", ANSWERS), stdout=asyncio.subprocess.PIPE
    )
    assert origin.stdout is not None
    port = int((await origin.stdout.readline()).split()[1])
    try:
        for at, (name, size) in enumerate(SIZES.items()):
            before, after = await resident(size, port, 18180 + 2 * at)
            each = (after - before) / CALLS
            yield f"| {name} | {CALLS} | {before / 1024:.0f} MiB | {after / 1024:.0f} MiB | {each:.0f} KiB |"
    finally:
        origin.kill()
        await origin.communicate()


async def _print() -> None:
    async for row in rows():
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_print())
