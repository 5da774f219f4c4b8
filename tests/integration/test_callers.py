"""Each recipe of config/callers pays once, whatever happens, and sees what docs/how-to/callers.md says."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from proxy.config import TcpAddress
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.origins import until
from tests.support.recipes import FOLDER, RECIPES, prepared, said
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (FOLDER.parents[1] / "docs" / "how-to" / "callers.md").read_text("utf-8")
every_recipe = pytest.mark.parametrize("name", RECIPES)


def documented(name: str) -> set[str]:
    """What the page's section on a recipe shows as code."""
    (section,) = (part for part in PAGE.split("\n## ") if f"/{name})" in part)
    return set(re.findall(r"`([^`]+)`", section))


def test_every_recipe_is_run_and_documented() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == set(RECIPES)
    assert all(documented(name) for name in RECIPES)


@every_recipe
async def test_it_pays_and_repeats_what_was_not_sent(name: str, tmp_path: Path) -> None:
    command = await prepared(name, tmp_path)
    async with Simulator() as there:
        there.add_fault(Fault(Kind.HANG, "token_endpoints", times=None))
        async with sidecar(settings_for(there.url, token_wait=0.05), ready=False) as relay:
            saying = asyncio.create_task(said(command, relay.url, "order-1", "order-2"))
            await until(lambda: relay.lines("request.refused") or saying.done())
            there.clear_faults()
            lines = await saying
        assert lines[0] == "POST 503 not_sent"
        assert lines[-4:] == ["POST 201 answered", "order-1 paid", "POST 201 answered", "order-2 paid"]
        assert there.executions("create_payin") == 2


@every_recipe
async def test_after_a_502_it_looks_before_it_pays_again(name: str, tmp_path: Path) -> None:
    command = await prepared(name, tmp_path)
    async with Simulator() as there, sidecar(settings_for(there.url)) as relay:
        there.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payin"))
        there.add_fault(Fault(Kind.STATUS, "get_transaction_status", status=503))
        lines = await said(command, relay.url, "order-1")
        assert lines == ["POST 502 unknown", "GET 503 unknown", "GET 200 answered", "order-1 paid"]
        assert there.attempts("create_payin") == 1


@every_recipe
async def test_what_did_not_arrive_is_paid_once(name: str, tmp_path: Path) -> None:
    command = await prepared(name, tmp_path)
    async with Simulator() as there, sidecar(settings_for(there.url)) as relay:
        there.add_fault(Fault(Kind.DROP_BEFORE_READ, "create_payin"))
        lines = await said(command, relay.url, "order-1")
        missed = ["GET 404 answered"] * 2
        assert lines == ["POST 502 unknown", *missed, "POST 201 answered", "order-1 paid"]
        assert there.executions("create_payin") == 1


@every_recipe
async def test_a_cut_answer_is_seen_as_the_page_says_and_looked_up(name: str, tmp_path: Path) -> None:
    command = await prepared(name, tmp_path)
    async with Simulator() as there, sidecar(settings_for(there.url)) as relay:
        there.add_fault(Fault(Kind.DROP_MID_ANSWER, "create_payin"))
        seen, *lines = await said(command, relay.url, "order-1")
        assert any(seen.startswith(f"POST {shown}") for shown in documented(name)), seen
        assert lines == ["GET 200 answered", "order-1 paid"]
        assert there.attempts("create_payin") == 1


async def test_the_service_in_python_outlives_a_restart_of_the_sidecar(tmp_path: Path) -> None:
    command = await prepared("pay_requests.py", tmp_path)
    async with Simulator() as there:
        async with sidecar(settings_for(there.url, drain_timeout=0.2)) as relay:
            there.add_fault(Fault(Kind.HANG, "create_payin"))
            port = int(relay.url.rpartition(":")[2])
            saying = asyncio.create_task(said(command, relay.url, "order-1", "order-2"))
            await until(lambda: there.faults.used_up.is_set() or saying.done())
        async with sidecar(settings_for(there.url, listen=TcpAddress("127.0.0.1", port))):
            lines = await saying
    assert lines[0].startswith(("POST 502", "POST 504", "POST ConnectionError"))
    assert [line for line in lines if line.startswith("order")] == ["order-1 paid", "order-2 paid"]
    assert there.executions("create_payin") == 2
