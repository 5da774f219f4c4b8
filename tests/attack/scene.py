"""A sidecar with the limits that a file of `config` ships, in a memory cgroup, and callers that pay through it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.attack.attacks import Target
from tests.attack.shipped import SHIPPED
from tests.support.callers import key, policy
from tests.support.cgroups import memory_cgroup
from tests.support.namespaces import starting
from tests.support.origins import Answered
from tests.support.sidecars import BOUND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.cgroups import MemoryCgroup
    from tests.support.namespaces import Started

EVERY = 0.1  # seconds between two payouts
POLICY = """
mode = "enforce"
[callers.shop]
key_sha256 = ["{shop}"]
allow = ["payout"]
[callers.hostile]
key_sha256 = ["{hostile}"]
allow = ["payout"]
"""


class Shop:
    """A caller that behaves: it pays out ten times a second, whatever happens."""

    def __init__(self, port: int, secret: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._target = Target(port, 0, secret)

    async def pay(self, size: int = 1024) -> None:
        try:
            async with asyncio.timeout(BOUND):
                answer = await self._answer(self._target.payout(size))
        except (ConnectionError, TimeoutError) as error:
            self.outcomes[f"no answer: {type(error).__name__}"] += 1
            return
        if not answer.complete:
            outcome = "no answer: cut"
        else:
            outcome = "paid" if answer.status == 200 else f"{answer.status} {answer.problem['outcome']}"
        self.outcomes[outcome] += 1

    async def _answer(self, payout: bytes) -> Answered:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(payout.replace(b"Host:", b"Connection: close\r\nHost:", 1))
            return Answered(await reader.read())
        finally:
            writer.close()

    async def pay_until(self, done: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as payouts:
            while not done.is_set():
                payouts.create_task(self.pay())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await done.wait()


@contextlib.asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@dataclass(frozen=True)
class Scene:
    """A sidecar that serves.

    Attributes:
        ports: of the data and of the admin listener.
        shop: a caller that behaves.
        hostile: the key of one that does not.
    """

    sidecar: Started
    group: MemoryCgroup
    ports: tuple[int, int]
    shop: Shop
    hostile: str


@contextlib.asynccontextmanager
async def shipped(deployment: str, folder: Path, *origin: str) -> AsyncIterator[Scene]:
    """Run the sidecar of a deployment, in front of an origin with these arguments."""
    limit, told = SHIPPED[deployment]
    (shop, shops), (hostile, hostiles) = key(), key()
    async with process("tests.attack.origin", *origin) as there:
        assert there.stdout is not None
        settings = {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": f"http://127.0.0.1:{(await there.stdout.readline()).split()[1].decode()}",
            "LOCALPAYMENT_USERNAME": "merchant",
            "LOCALPAYMENT_PASSWORD": "invented",
            "PROXY_LISTEN": "127.0.0.1:0",
            "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
            "PROXY_POLICY_FILE": str(policy(folder, POLICY.format(shop=shops, hostile=hostiles))),
            **told,
        }
        with memory_cgroup(limit) as group:
            async with starting("serve", settings=settings, first=False, before=group.enter) as sidecar:
                started = json.loads(await sidecar.says("sidecar.started"))
                await sidecar.says("token.refreshed")
                data, admin = (urlsplit(started[name]).port or 0 for name in ("data", "admin"))
                reading = asyncio.create_task(read_on(sidecar))
                try:
                    yield Scene(sidecar, group, (data, admin), Shop(data, shop), hostile)
                finally:
                    reading.cancel()


async def read_on(sidecar: Started) -> None:
    """Take the log off the pipe."""
    with contextlib.suppress(AssertionError, TimeoutError):
        while True:
            await sidecar.says("\n")
