"""The caller of docker-compose.yml, as a process of its own, against a simulator and a sidecar."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from proxy.simulator.server import Simulator
from tests.support.processes import cleaned
from tests.support.sidecars import settings_for, sidecar

CALLER = Path(__file__).parents[2] / "config" / "compose" / "caller.py"
BOUND = 30.0  # seconds that nothing here may take; only a defect reaches it


async def caller_says(url: str) -> tuple[int | None, list[str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CALLER)), env=cleaned({"LOCALPAYMENT_URL": url}), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(BOUND):
        out, _ = await process.communicate()
    return process.returncode, out.decode().splitlines()


async def test_it_pays_without_knowing_a_credential() -> None:
    async with Simulator() as localpayment, sidecar(settings_for(localpayment.url)) as running:
        code, lines = await caller_says(running.url)
        assert [line.split(" {")[0] for line in lines] == ["balance: 200", "payment: 201", "balance: 200"]
        assert code == 0


async def test_it_settles_an_unknown_outcome_by_looking_and_pays_once() -> None:
    async with Simulator() as localpayment, sidecar(settings_for(localpayment.url)) as running:
        fault = {"operation": "create_payin", "kind": "drop_after_read", "times": 1}
        async with running.session.post(f"{localpayment.control_url}/faults", json=fault) as answer:
            assert answer.status in (200, 201)
        code, lines = await caller_says(running.url)
        assert lines[1].startswith("payment: 200 ")
        assert code == 0
        assert [call["operation"] for call in running.calls].count("create_payin") == 1


async def test_it_fails_when_the_sidecar_refuses() -> None:
    async with Simulator() as localpayment:
        settings = settings_for(localpayment.url, allowed_hosts=frozenset(("elsewhere.example",)))
        async with sidecar(settings) as running:
            code, lines = await caller_says(running.url)
            assert all("host_forbidden" in line for line in lines)
            assert code == 1
