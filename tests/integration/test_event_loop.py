"""`serve` runs on the event loop that PROXY_EVENT_LOOP names, and does on either what it promises."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest

from proxy.serve import loop_factory
from tests.support.callers import Certificates
from tests.support.held_calls import PAYOUT, READ
from tests.support.origins import HELLO, Caller, localpayment
from tests.support.processes import Running, ran, running
from tests.support.scripted_origin import Wire, server_tls
from tests.support.sidecars import BOUND

ASKED = {"default": {}, "uvloop": {"PROXY_EVENT_LOOP": "uvloop"}, "asyncio": {"PROXY_EVENT_LOOP": "asyncio"}}


def native_libraries(process: Running) -> set[str]:
    """The packages of which a native library is in a process's memory."""
    mapped = Path(f"/proc/{process.pid}/maps").read_text()
    return set(re.findall(r"/site-packages/(\w+)/", mapped))


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_calls_go_over_tls_and_are_finished_after_sigterm_on_the_loop_that_was_asked_for(
    asked: dict[str, str], ca_file: Path, tmp_path: Path
) -> None:
    begun, go, shown = asyncio.Event(), asyncio.Event(), Certificates(tmp_path)

    async def script(wire: Wire) -> None:
        while request := await wire.request():
            if request.startswith(b"POST"):
                begun.set()
                await go.wait()
            await wire.send(HELLO)

    async def called(url: str, request: bytes) -> Caller:
        port = int(url.rpartition(":")[2])
        caller = Caller(*await asyncio.open_connection("127.0.0.1", port, ssl=shown.client()))
        await caller.send(request)
        return caller

    async with localpayment(script, tls=server_tls()) as there:
        settings = {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": there.url,
            "LOCALPAYMENT_USERNAME": "anything",
            "LOCALPAYMENT_PASSWORD": "anything",
            "PROXY_LISTEN": "127.0.0.1:0",
            "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
            "PROXY_TLS_CERT_FILE": str(shown.cert_file),
            "PROXY_TLS_KEY_FILE": str(shown.key_file),
            "PROXY_UPSTREAM_CA_FILE": str(ca_file),
            "PROXY_HARDENING": "off",  # else nobody but root sees what is in the process's memory
            **asked,
        }
        async with running("serve", settings=settings) as process:
            started = json.loads(await process.says("sidecar.started"))
            await process.says("token.refreshed")
            loop = started["settings"].get("PROXY_EVENT_LOOP", "uvloop")
            assert loop == asked.get("PROXY_EVENT_LOOP", "uvloop")
            assert ("uvloop" in native_libraries(process)) == (loop == "uvloop")
            assert (await (await called(started["data"], READ)).rest()).status == 200
            paying = await called(started["data"], PAYOUT)
            async with asyncio.timeout(BOUND):
                await begun.wait()
            process.send(signal.SIGTERM)
            await process.says("drain.started")
            go.set()
            assert (await paying.rest()).status == 200
            finished = await process.finished()
    assert (finished.code, finished.err) == (0, "")


async def test_another_loop_is_refused_with_those_there_are() -> None:
    finished = await ran("serve", settings={"PROXY_EVENT_LOOP": "trio"})
    assert finished.code == 78
    assert "PROXY_EVENT_LOOP=trio: write uvloop or asyncio" in finished.err


def test_each_name_makes_its_own_loop() -> None:
    for name, module in (("uvloop", "uvloop"), ("asyncio", "asyncio")):
        loop = loop_factory(name)()  # type: ignore[arg-type]  # the tuple's texts are of the type str
        loop.close()
        assert type(loop).__module__.partition(".")[0] == module
