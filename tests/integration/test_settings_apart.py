"""`serve` has its settings read by a child: what stays of that, and what becomes of a child that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from proxy.simulator.server import Simulator
from tests.processes import Finished, Running, cleaned, gone, ran, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WORD = "an-invented-password"
GOOD = {"LOCALPAYMENT_ENVIRONMENT": "sandbox", "LOCALPAYMENT_USERNAME": "merchant", "LOCALPAYMENT_PASSWORD": WORD}
BAD = {**GOOD, "PROXY_LISTEN": "8080", "PROXY_MAX_IN_FLIGHT": "many"}
BALANCE = "/api/accounts/032.840.00000001/balance"
# Started as the product is, but with something spoilt. The fork takes over what is done to the loader.
SCRIPT = """
import os, signal, sys, proxy.config.loader
from proxy.__main__ import main
def waits(_):
    print(os.getpid(), flush=True)
    sys.stdin.read()
def fails(*_):
    raise BlockingIOError
{spoil}
sys.argv = ["localpayment-proxy", "serve"]
sys.exit(main())
"""
WAITS = "proxy.config.loader.load = waits"


@contextlib.asynccontextmanager
async def spoilt(spoil: str, settings: dict[str, str]) -> AsyncIterator[tuple[Running, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT.format(spoil=spoil)),
        env=cleaned(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Running(process), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate(b"")  # whose end a child may wait for


async def ended(spoil: str, settings: dict[str, str]) -> Finished:
    async with spoilt(spoil, settings) as (started, _):
        return await started.finished()


async def text_of(process: int, name: str) -> str:
    return await asyncio.to_thread(Path(f"/proc/{process}/{name}").read_text)


async def test_a_sidecar_that_serves_holds_nothing_of_what_read_its_settings() -> None:
    async with Simulator() as simulator:
        settings = {
            **GOOD,
            "LOCALPAYMENT_BASE_URL": simulator.url,
            "PROXY_LISTEN": "127.0.0.1:0",
            "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
            "PROXY_SANDBOX": "off",  # or another user's tests could not look into it
        }
        async with running("serve", settings=settings) as sidecar, aiohttp.ClientSession() as caller:
            data = json.loads(await sidecar.says("sidecar.started"))["data"]
            await sidecar.says("token.refreshed")
            async with caller.get(data + BALANCE) as answer:
                assert answer.status == 200
            process = sidecar._process.pid
            loaded = await text_of(process, "maps")
            assert "uvloop" in loaded
            assert "pydantic" not in loaded
            assert await text_of(process, f"task/{process}/children") == ""  # no zombie either


async def test_a_child_that_is_killed_is_told_and_ends_the_start() -> None:
    finished = await ended("proxy.config.loader.load = lambda _: os.kill(os.getpid(), signal.SIGKILL)", GOOD)
    (line,) = finished.err.splitlines()
    assert finished.code == 1
    assert line.startswith("the settings were not read: the process that reads them was ended by SIGKILL; start again")


async def test_a_child_that_ends_by_itself_without_an_answer_is_told_too() -> None:
    finished = await ended("proxy.config.loader.load = lambda _: os._exit(3)", GOOD)
    (line,) = finished.err.splitlines()
    assert finished.code == 1
    assert "ended with code 3" in line


@pytest.mark.parametrize("spoil", ["signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "os.fork = fails"])
async def test_mistakes_are_told_as_ever_where_children_are_not_reported_or_not_to_be_had(spoil: str) -> None:
    finished, usual = await asyncio.gather(ended(spoil, BAD), ran("serve", settings=BAD))
    assert finished.code == usual.code == 78
    assert finished.err == usual.err
    assert [line.partition("=")[0] for line in usual.err.splitlines()] == ["PROXY_LISTEN", "PROXY_MAX_IN_FLIGHT"]


async def test_ctrl_c_during_the_start_ends_both_processes() -> None:
    async with spoilt(WAITS, GOOD) as (started, process):
        child = int(await started.says(""))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert await asyncio.wait_for(process.wait(), 30) == 0
        assert await gone(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_parent_alone_ends_both_processes(number: signal.Signals) -> None:
    async with spoilt(WAITS, GOOD) as (started, _):
        child = int(await started.says(""))
        assert (await started.stopped(number)).code == 0
        assert await gone(child)


async def test_a_child_whose_parent_was_killed_ends_without_a_word() -> None:
    async with spoilt(WAITS, GOOD) as (started, process):
        await started.says("")
        process.kill()
        _, complaint = await process.communicate(b"")  # when the child, too, has closed what it writes to
    assert (process.returncode, complaint) == (-signal.SIGKILL, b"")
