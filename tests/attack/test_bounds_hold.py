"""The sidecar under attack, in a memory cgroup with the limit that a manifest gives it.

It is not killed, gives its memory back, and another caller's payouts go on: each is carried, or told that it was not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

from proxy.background import LOOK_AT_MEMORY
from tests.attack.attacks import ATTACKS, connections
from tests.attack.scene import Scene, process, shipped
from tests.attack.shipped import ATTACKED
from tests.support.cgroups import needs_memory_cgroup

SECONDS = 5.0  # of each attack
ENDS = 60.0  # seconds in which its connections have ended
GIVEN_BACK = 70.0  # seconds after it; reads may use a connection to Localpayment that was idle for up to 50
WARM = (1024, 65536, 500_000)  # bytes of the bodies by which a sidecar is warmed up
TOGETHER = 90  # payouts of each size at once
REFUSED = 0.01  # the part of payouts that may get 503, not sent
GROWN = 1.1  # times as much memory as before is what may be left of an attack
REPEATED = 3  # times that all attacks are made together; what is left must not add up
ASKED_FOR = "ATTACK" in os.environ


def resident(pid: int) -> int:
    """KiB in memory."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


async def gives_back(pid: int, most: float) -> bool:
    """Whether the memory becomes so little again."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GIVEN_BACK):
            while resident(pid) > most:  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.2)
    return resident(pid) <= most


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(400)
@needs_memory_cgroup
@pytest.mark.skipif(
    not ASKED_FOR, reason="THE BOUNDS ARE NOT ATTACKED: it takes a quiet machine, and is done by `make soak`"
)
@pytest.mark.parametrize("deployment", ATTACKED)
async def test_the_shipped_limits_hold_against_every_attack(deployment: str, tmp_path: Path) -> None:
    async with shipped(deployment, tmp_path) as scene:
        wrong = await under_attack(scene)
        assert not wrong, "\n".join(wrong)
        assert not scene.group.killed


async def under_attack(scene: Scene) -> list[str]:
    """Carry all attacks out, one by one and then together; return what went wrong."""
    wrong, pid, shop = [], scene.sidecar.pid, scene.shop
    async with connections(scene.ports[0], 400):  # full once, as it is in good times
        for size in WARM:
            await asyncio.gather(*(shop.pay(size) for _ in range(TOGETHER)))
    await asyncio.sleep(LOOK_AT_MEMORY * 2)  # it gives back what that took
    before = resident(pid)
    for names in (*ATTACKS, *(",".join(ATTACKS),) * REPEATED):
        shop.outcomes.clear()
        done = asyncio.Event()
        paying = asyncio.create_task(shop.pay_until(done))
        async with process(
            "tests.attack.attacks", names, str(SECONDS), *map(str, scene.ports), scene.hostile
        ) as attack:
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
