"""`status` shows the sidecar of this machine, or says why there is none to show."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from proxy.simulator.server import Simulator
from tests.support.processes import Running, ran, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


@pytest.fixture
async def settings() -> AsyncIterator[dict[str, str]]:
    async with Simulator() as localpayment:
        yield {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": localpayment.url,
            "LOCALPAYMENT_USERNAME": "merchant",
            "LOCALPAYMENT_PASSWORD": "an-invented-password",
            "PROXY_LISTEN": "127.0.0.1:0",
            "PROXY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        }


async def started(process: Running) -> str:
    url: str = json.loads(await process.says('"sidecar.started"'))["data"]
    await process.says('"token.refreshed"')
    return url


async def test_status_shows_the_sidecar_of_this_machine(settings: dict[str, str]) -> None:
    async with running("serve", settings=settings) as process:
        url = await started(process)
        async with aiohttp.ClientSession() as session, session.get(f"{url}/api/resources/banks?country=MEX"):
            pass
        shown = await ran("status", settings=settings)
        as_json = await ran("status", "--json", settings=settings)
        await process.stopped()
    assert shown.code == as_json.code == 0
    assert "Sandbox: play money" in shown.out
    assert "list_banks" in shown.out
    assert json.loads(as_json.out)["token"]["state"] == "valid"
    assert "an-invented-password" not in shown.out + as_json.out


async def test_a_sidecar_that_is_not_ready_is_exit_code_1(settings: dict[str, str]) -> None:
    async with running("serve", settings={**settings, "LOCALPAYMENT_BASE_URL": "http://127.0.0.1:9"}) as process:
        await process.says('"sidecar.started"')
        shown = await ran("status", settings=settings)
        await process.stopped()
    assert shown.code == 1
    assert "not ready: no usable token is held" in shown.out


async def test_watch_shows_it_until_ctrl_c(settings: dict[str, str]) -> None:
    async with running("serve", settings=settings) as process:
        await started(process)
        async with running("status", "--watch", settings={**settings, "PYTHONUNBUFFERED": "1"}) as watching:
            await watching.says("version")
            await watching.says("version")
            finished = await watching.stopped(signal.SIGINT)
        await process.stopped()
    assert (finished.code, finished.err) == (0, "")


async def test_without_a_sidecar_it_says_where_it_looked(settings: dict[str, str]) -> None:
    shown = await ran("status", settings=settings)
    assert shown.code == 1
    assert shown.err.startswith(f"nothing answers at {settings['PROXY_ADMIN_LISTEN']} (Connection refused)")


async def test_something_else_at_the_address_is_told_apart(settings: dict[str, str]) -> None:
    async with Simulator() as other:
        address = other.control_url.removeprefix("http://")
        shown = await ran("status", settings={**settings, "PROXY_ADMIN_LISTEN": address})
    assert shown.code == 1
    assert "is no sidecar's admin listener" in shown.err


async def test_a_sidecar_of_another_version_is_told_and_its_json_shown_as_it_is() -> None:
    view = {"environment": "sandbox", "ready": True, "version": "9.9.9"}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(view)

    application = web.Application()
    application.router.add_get("/status", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there = {"PROXY_ADMIN_LISTEN": f"127.0.0.1:{site.port}"}
    shown, as_json = await ran("status", settings=there), await ran("status", "--json", settings=there)
    await runner.cleanup()
    assert (shown.code, shown.out, len(shown.err.splitlines())) == (1, "", 1)
    assert "version '9.9.9'" in shown.err
    assert (as_json.code, json.loads(as_json.out)) == (0, view)


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
async def test_a_terminal_gets_colours_unless_no_color_is_set(
    settings: dict[str, str], environ: dict[str, str], *, coloured: bool
) -> None:
    ours, its = os.openpty()
    try:
        async with running("serve", settings={**settings, **environ}, stdout=its):
            ready = await ran("wait", settings=settings)
            log = os.read(ours, 65536)
            async with running("status", settings={**settings, **environ}, stdout=its) as status:
                await status.finished()
            shown = os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(its)
    assert ready.code == 0
    assert b"sidecar.started" in log
    assert b"Sandbox" in shown
    assert (b"\x1b[" in log, b"\x1b[" in shown) == (coloured, coloured)
