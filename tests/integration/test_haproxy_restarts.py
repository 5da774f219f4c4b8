"""Two sidecars behind a real HAProxy are restarted in turn under load, and no caller notices."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import re
import shutil
import socket
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.processes import BOUND, Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "haproxy" / "haproxy.cfg"
PAGE = ROOT / "docs" / "how-to" / "restarts.md"
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
CALLERS = 8
DRAIN_DELAY = 2  # seconds, as the page says
SLOW = 0.4  # seconds that each payout takes at Localpayment, so that every restart finds some in flight
PORTS = {"calls": 8000, "stats": 8404, "one": 8080, "one-admin": 8081, "two": 8180, "two-admin": 8181}

needs_haproxy = pytest.mark.skipif(
    HAPROXY is None, reason="RESTARTS UNDER LOAD ARE NOT TESTED: no HAProxy here; apt-get install haproxy"
)


@dataclass
class Told:
    """What callers were answered, and the ids of what they sent."""

    answers: Counter[str] = field(default_factory=Counter)
    sent: dict[str, list[str]] = field(default_factory=lambda: {"payin": [], "payout": []})


def free_ports() -> dict[str, int]:
    with contextlib.ExitStack() as held:
        found = {}
        for name in PORTS:
            sock = held.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            found[name] = sock.getsockname()[1]
        return found


def configuration(ports: dict[str, int]) -> str:
    """What is shipped, on ports that are free here."""
    text = CONFIG.read_text()
    for name, port in PORTS.items():
        shipped = f"port {port}\n" if name.endswith("-admin") else f"127.0.0.1:{port}"
        assert text.count(shipped) == 1
        text = text.replace(shipped, shipped.replace(str(port), str(ports[name])))
    return text


@contextlib.asynccontextmanager
async def haproxy(folder: Path, ports: dict[str, int]) -> AsyncIterator[None]:
    assert HAPROXY is not None
    path = folder / "haproxy.cfg"
    path.write_text(configuration(ports))
    process = await asyncio.create_subprocess_exec(
        *(HAPROXY, "-db", "-f", str(path)), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def until_up(session: aiohttp.ClientSession, ports: dict[str, int], names: set[str]) -> None:
    """Wait until HAProxy sends calls to these sidecars."""
    async with asyncio.timeout(BOUND):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{ports['stats']}/;csv") as answer:
                    rows = csv.DictReader(io.StringIO((await answer.text()).removeprefix("# ")))
                    if names <= {row["svname"] for row in rows if row["status"] == "UP"}:
                        return
            await asyncio.sleep(0.05)


def serving(
    localpayment: Simulator, ports: dict[str, int], name: str
) -> contextlib.AbstractAsyncContextManager[Running]:
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": localpayment.url,
        "LOCALPAYMENT_USERNAME": "anything",
        "LOCALPAYMENT_PASSWORD": "anything",
        "PROXY_LISTEN": f"127.0.0.1:{ports[name]}",
        "PROXY_ADMIN_LISTEN": f"127.0.0.1:{ports[f'{name}-admin']}",
        "PROXY_DRAIN_DELAY": f"{DRAIN_DELAY}s",
        "PROXY_LOG_LEVEL": "warning",
    }
    return running("serve", settings=settings)


async def calling(url: str, number: int, told: Told, stop: asyncio.Event) -> None:
    """Read and pay, one call after another on one connection, and repeat nothing."""
    async with aiohttp.ClientSession(url) as session:
        session._retry_connection = False  # aiohttp would hide a GET that was lost, and send it again  # noqa: SLF001 - and has no switch
        turn = 0
        while not stop.is_set():
            turn += 1
            await one_call(session, told, "GET", "/api/accounts/032.840.00000001/balance")
            for kind in ("payin", "payout"):
                external_id = f"{kind}-{number}-{turn}"
                told.sent[kind].append(external_id)
                content = {"externalId": external_id, "country": "ARG", "currency": "USD", "amount": 10}
                await one_call(session, told, "POST", f"/api/{kind}", json=content)


async def one_call(session: aiohttp.ClientSession, told: Told, method: str, path: str, **options: Any) -> None:
    try:
        async with session.request(method, path, **options) as answer:
            body = await answer.read()
        outcome = "well" if answer.status in (200, 201) else f"{answer.status} {body[:200].decode(errors='replace')}"
    except aiohttp.ClientError as error:
        outcome = type(error).__name__
    told.answers[f"{method} {outcome}"] += 1


def test_a_sidecar_that_drains_takes_calls_until_haproxy_must_have_noticed() -> None:
    told = re.search(r"^  default-server check inter (\d+)ms fall 1\b", CONFIG.read_text(), re.MULTILINE)
    waits = re.search(r"^  timeout check (\d+)ms$", CONFIG.read_text(), re.MULTILINE)
    assert told
    assert waits
    assert int(told[1]) + int(waits[1]) <= DRAIN_DELAY * 1000 / 2, "a busy machine is late"
    assert set(re.findall(r"PROXY_DRAIN_DELAY=(\S+)", PAGE.read_text())) == {f"{DRAIN_DELAY}s"}


@needs_haproxy
async def test_restarting_each_sidecar_in_turn_fails_no_call_and_repeats_none(tmp_path: Path) -> None:
    ports, told, stop = free_ports(), Told(), asyncio.Event()
    async with (
        Simulator() as localpayment,
        haproxy(tmp_path, ports),
        aiohttp.ClientSession() as asking,
        contextlib.AsyncExitStack() as sidecars,
        asyncio.TaskGroup() as load,
    ):
        localpayment.add_fault(Fault(Kind.LATENCY, "create_payout", times=None, seconds=SLOW))
        fleet = {
            name: await sidecars.enter_async_context(serving(localpayment, ports, name)) for name in ("one", "two")
        }
        await until_up(asking, ports, set(fleet))
        for number in range(CALLERS):
            load.create_task(calling(f"http://127.0.0.1:{ports['calls']}", number, told, stop))
        ends = []
        for name, sidecar in fleet.items():
            before = told.answers.total()
            ends.append((await sidecar.stopped()).code)
            assert told.answers.total() > before + CALLERS, "the load went on meanwhile"
            await sidecars.enter_async_context(serving(localpayment, ports, name))
            await until_up(asking, ports, set(fleet))
        stop.set()
    assert ends == [0, 0]
    assert set(told.answers) == {"GET well", "POST well"}, told.answers
    for kind, ids in told.sent.items():
        executed = {external_id: localpayment.executions(f"create_{kind}", external_id) for external_id in ids}
        assert set(executed.values()) == {1}, {one: times for one, times in executed.items() if times != 1}
