"""What goes wrong with a sidecar itself and with what is around it, scene by scene."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING

import aiohttp

from proxy.simulator.server import Simulator
from tests.scenes.stage import Scene, admin, named, payment
from tests.support.processes import BOUND, cleaned
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@contextlib.asynccontextmanager
async def drain_is_stuck(_: Path) -> AsyncIterator[Scene]:
    """A sidecar is told to drain, and nobody ends it."""
    async with Simulator() as there, sidecar(settings_for(there.url)) as relay:

        async def happen() -> None:
            await relay.admin("/-/drain", "POST")
            await asyncio.Event().wait()

        yield Scene("drain-is-stuck", admin(relay), happen, named("DrainStuck"))


@contextlib.asynccontextmanager
async def sidecar_ends(_: Path) -> AsyncIterator[Scene]:
    """A sidecar ends and is not started again."""
    async with Simulator() as there, contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings_for(there.url)))

        async def happen() -> None:
            await stack.aclose()
            await asyncio.Event().wait()

        yield Scene("localpayment-proxy", admin(relay), happen, named("Down"))


@contextlib.asynccontextmanager
async def disk_is_full(_: Path) -> AsyncIterator[Scene]:
    """A sidecar, as a process, whose log and audit stream go where there is no room."""
    data, status = free_address(), free_address()
    async with Simulator() as there:
        settings = {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": there.url,
            "LOCALPAYMENT_USERNAME": "merchant",
            "LOCALPAYMENT_PASSWORD": "an-invented-password",
            "PROXY_LISTEN": data,
            "PROXY_ADMIN_LISTEN": status,
            "PROXY_AUDIT_LOG": "/dev/full",
        }

        async def happen() -> None:
            async with aiohttp.ClientSession() as session:
                for number in range(10_000):
                    async with session.post(f"http://{data}/api/payout", json=payment(number)) as answer:
                        await answer.read()
                    await asyncio.sleep(0.25)

        async with process_without_room(settings, status):
            raises = named("LogLinesLost AuditLinesLost UnsafeOption")
            yield Scene("disk-is-full", status, happen, raises, ill=True)


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@contextlib.asynccontextmanager
async def process_without_room(settings: dict[str, str], status: str) -> AsyncIterator[None]:
    """Run `serve` until it is ready and then inside the block, its stdout being a disk that is full."""
    full = os.open("/dev/full", os.O_WRONLY)
    command = (sys.executable, "-m", "proxy", "serve")
    try:
        process = await asyncio.create_subprocess_exec(*command, env=cleaned(settings), stdout=full)
    finally:
        os.close(full)
    try:
        async with asyncio.timeout(BOUND), aiohttp.ClientSession() as session:
            while not await is_ready(session, status):  # noqa: ASYNC110 - it can say so nowhere else
                await asyncio.sleep(0.1)
        yield
    finally:
        process.kill()
        await process.wait()


async def is_ready(session: aiohttp.ClientSession, status: str) -> bool:
    try:
        async with session.get(f"http://{status}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
