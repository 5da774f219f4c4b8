"""The sidecar under attack, in a memory cgroup with the limit that a manifest gives it.

It is not killed, gives its memory back, and another caller's payouts go on: each is carried, or told that it was not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from proxy.app import LOOK_AT_MEMORY
from tests.attack.attacks import ATTACKS, Target, connections
from tests.support.callers import key, policy
from tests.support.cgroups import memory_cgroup, needs_memory_cgroup
from tests.support.manifests import ASSEMBLED, ROOT, environment, proxy
from tests.support.namespaces import starting
from tests.support.origins import Answered
from tests.support.sidecars import BOUND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from tests.support.namespaces import Started

MIB = 1024 * 1024
SECONDS = 5.0  # of each attack
ENDS = 60.0  # seconds in which its connections have ended
WARM = (1024, 65536, 500_000)  # bytes of the bodies by which a sidecar is warmed up
TOGETHER = 90  # payouts of each size at once
EVERY = 0.1  # seconds between two payouts
REFUSED = 0.01  # the part of payouts that may get 503, not sent
GROWN = 1.1  # times as much memory as before is what may be left of an attack
REPEATED = 3  # times that all attacks are made together; what is left must not add up
ASKED_FOR = "ATTACK" in os.environ
POLICY = """
mode = "enforce"
[callers.shop]
key_sha256 = ["{shop}"]
allow = ["payout"]
[callers.hostile]
key_sha256 = ["{hostile}"]
allow = ["payout"]
"""


def of_kubernetes(folder: str) -> tuple[int, dict[str, str]]:
    objects = ASSEMBLED[folder]
    limit = proxy(objects)["resources"]["limits"]["memory"]
    told = {name: value for name, value in environment(objects).items() if name.startswith("PROXY_MAX_")}
    return int(limit.removesuffix("Mi")) * MIB, told


def of_ecs() -> tuple[int, dict[str, str]]:
    task: Any = json.loads((ROOT / "config/ecs/task-definition.json").read_text())
    container = task["containerDefinitions"][0]
    told = {each["name"]: each["value"] for each in container["environment"] if each["name"].startswith("PROXY_MAX_")}
    return container["memory"] * MIB, told


SHIPPED = {
    "sidecar": of_kubernetes("sidecar/overlays/sandbox"),
    "ecs": of_ecs(),
}


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
        outcome = "paid" if answer.status == 200 else f"{answer.status} {answer.problem['outcome']}"
        self.outcomes[outcome if answer.complete else f"{outcome}, cut"] += 1

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


def resident(pid: int) -> int:
    """KiB in memory."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


async def gives_back(pid: int, most: float) -> bool:
    """Whether the memory becomes so little again."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BOUND):
            while resident(pid) > most:  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.2)
    return resident(pid) <= most


async def read_on(sidecar: Started) -> None:
    """Take the log off the pipe."""
    with contextlib.suppress(AssertionError, TimeoutError):
        while True:
            await sidecar.says("\n")


async def beside(work: Coroutine[Any, Any, list[str]], other: Coroutine[Any, Any, None]) -> list[str]:
    """Do something while something else goes on."""
    task = asyncio.create_task(other)
    try:
        return await work
    finally:
        task.cancel()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(400)
@needs_memory_cgroup
@pytest.mark.skipif(
    not ASKED_FOR, reason="THE BOUNDS ARE NOT ATTACKED: it takes a quiet machine, and is done by `make soak`"
)
@pytest.mark.parametrize("deployment", SHIPPED)
async def test_the_shipped_limits_hold_against_every_attack(deployment: str, tmp_path: Path) -> None:
    limit, told = SHIPPED[deployment]
    (shop, shops), (hostile, hostiles) = key(), key()
    async with process("tests.attack.origin") as origin:
        assert origin.stdout is not None
        settings = {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": f"http://127.0.0.1:{(await origin.stdout.readline()).split()[1].decode()}",
            "LOCALPAYMENT_USERNAME": "merchant",
            "LOCALPAYMENT_PASSWORD": "invented",
            "PROXY_LISTEN": "127.0.0.1:0",
            "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
            "PROXY_POLICY_FILE": str(policy(tmp_path, POLICY.format(shop=shops, hostile=hostiles))),
            **told,
        }
        with memory_cgroup(limit) as group:
            async with starting("serve", settings=settings, first=False, before=group.enter) as sidecar:
                started = json.loads(await sidecar.says("sidecar.started"))
                await sidecar.says("token.refreshed")
                ports = [str(urlsplit(started[name]).port) for name in ("data", "admin")]
                attack = under_attack(sidecar.pid, ports, Shop(int(ports[0]), shop), hostile)
                wrong = await beside(attack, read_on(sidecar))
                assert not wrong, "\n".join(wrong)
                assert not group.killed


async def under_attack(pid: int, ports: list[str], shop: Shop, hostile: str) -> list[str]:
    """Carry all attacks out, one by one and then together; return what went wrong."""
    wrong = []
    async with connections(int(ports[0]), 400):  # full once, as it is in good times
        for size in WARM:
            await asyncio.gather(*(shop.pay(size) for _ in range(TOGETHER)))
    await asyncio.sleep(LOOK_AT_MEMORY * 2)  # it gives back what that took
    before = resident(pid)
    for names in (*ATTACKS, *(",".join(ATTACKS),) * REPEATED):
        shop.outcomes.clear()
        done = asyncio.Event()
        paying = asyncio.create_task(shop.pay_until(done))
        async with process("tests.attack.attacks", names, str(SECONDS), *ports, hostile) as attack:
            await asyncio.wait_for(attack.wait(), ENDS)
        done.set()
        await paying
        refused, all_of_them = shop.outcomes["503 not_sent"], shop.outcomes.total()
        if shop.outcomes["paid"] + refused != all_of_them or refused > all_of_them * REFUSED:
            wrong.append(f"{names}: {dict(shop.outcomes)}")
        given_back = await gives_back(pid, before * GROWN)
        sys.stdout.write(f"{names}: {dict(shop.outcomes)}; {before} KiB before, {resident(pid)} after\n")
        if not given_back:
            wrong.append(f"{names}: {resident(pid)} KiB are left of {before}")
    return wrong
