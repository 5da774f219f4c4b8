"""The worst load that shipped settings admit, in a memory cgroup with the limit that goes with them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from tests.attack.attacks import MIB, connections
from tests.attack.scene import shipped
from tests.attack.shipped import SHIPPED
from tests.attack.test_bounds_hold import ASKED_FOR
from tests.support.cgroups import needs_memory_cgroup
from tests.support.sidecars import DEFAULTS

if TYPE_CHECKING:
    from pathlib import Path

TAKES = "2"  # seconds for each payout, so that all are in flight at once


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(200)
@needs_memory_cgroup
@pytest.mark.skipif(not ASKED_FOR, reason="THE WORST LOAD IS NOT TRIED: it takes a quiet machine; `make soak` does it")
@pytest.mark.parametrize("deployment", SHIPPED)
async def test_as_many_large_payouts_and_connections_as_may_be_do_not_kill_it(deployment: str, tmp_path: Path) -> None:
    _, told = SHIPPED[deployment]
    places = int(told.get("PROXY_MAX_IN_FLIGHT", DEFAULTS.max_in_flight))
    most = int(told.get("PROXY_MAX_CONNECTIONS", DEFAULTS.max_connections))
    async with shipped(deployment, tmp_path, TAKES) as scene, connections(scene.ports[0], most - places):
        await asyncio.gather(*(scene.shop.pay(MIB) for _ in range(places)))
        sys.stdout.write(f"{deployment}: {dict(scene.shop.outcomes)}; {scene.group.most // MIB} MiB at most\n")
        assert not scene.group.killed
        assert set(scene.shop.outcomes) <= {"paid", "503 not_sent"}, scene.shop.outcomes
        assert scene.shop.outcomes["paid"]
