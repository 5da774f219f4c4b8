"""What `demo` shows, and that it notices when something is not as it shows."""

from __future__ import annotations

import re
import shlex
import socket

import aiohttp
import pytest

from proxy.cli.demo.client import DemoClient
from proxy.cli.demo.run import free_port
from proxy.cli.demo.sidecar import SidecarProcess
from proxy.cli.demo.steps import STEPS, run_steps
from proxy.simulator.server import Simulator
from tests.support.processes import ran, running

ANY_PORTS = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")


async def test_the_walk_goes_well_and_shows_each_step_as_a_command_to_type() -> None:
    finished = await ran("demo", "--once", *ANY_PORTS)
    assert (finished.code, finished.err) == (0, "")
    headings = re.findall(r"^\d+\. (.*)$", finished.out, re.MULTILINE)
    assert headings == [step.__doc__ for step in STEPS]
    assert f"{len(STEPS)} of {len(STEPS)} steps went as they must." in finished.out
    for part in (
        "/api/accounts/032.840.00000001/balance",
        "HTTP 201 Created",
        "External ID already used",
        "POST create_payin → 401, POST token_refresh → 200, POST create_payin → 201",
        "Token generation 3 is in use now.",
        '"outcome": "unknown"',
        "demo-4       interrupted  -       not known; not asked yet",
        "create_payin: executed (COMPLETED)",
        "operation_forbidden",
        "Status page             http://127.0.0.1:",
    ):
        assert part in finished.out
    assert "eyJ" not in finished.out
    commands = re.findall(r"^\$ (curl (?:.*\\\n)*.*)$", finished.out, re.MULTILINE)
    assert len(commands) >= len(STEPS)
    for command in commands:
        assert shlex.split(command)[0] == "curl"


async def test_without_once_both_stay_up_with_addresses_to_try_until_a_signal() -> None:
    async with running("demo", *ANY_PORTS) as demo, aiohttp.ClientSession() as client:
        await demo.says("Both stay up")
        for _ in range(4):
            command = await demo.says("curl")
            url = re.search(r"http://\S+", command)
            assert url is not None
            async with client.get(url[0]) as answer:
                assert answer.status == 200, command
        finished = await demo.stopped()
    assert finished.code == 0
    invitation = finished.out.partition("Both stay up")[2].splitlines()
    assert len(invitation) == len(set(invitation))


async def test_a_signal_on_the_way_ends_it_at_once() -> None:
    async with running("demo", *ANY_PORTS) as demo:
        await demo.says("Watch the token being renewed")
        finished = await demo.stopped()
    assert (finished.code, finished.err) == (1, "")
    assert "Lose an answer" not in finished.out


@pytest.mark.parametrize("option", ["--listen", "--admin-listen"])
async def test_an_address_in_use_is_one_line_with_its_fix(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        finished = await ran("demo", "--once", *ANY_PORTS, option, address)
    assert finished.code == 1
    assert f"{address}: cannot listen there" in finished.err
    assert len(finished.err.splitlines()) == 1


async def test_an_address_beyond_this_machine_is_refused() -> None:
    finished = await ran("demo", "--once", "--listen", "0.0.0.0:0")
    assert (finished.code, finished.out) == (2, "")
    assert "this machine" in finished.err


def test_a_default_port_that_is_taken_gives_way_to_any() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) == 0
    assert free_port(port) == port


async def test_a_walk_without_a_working_sidecar_counts_every_step_as_wrong() -> None:
    said: list[str] = []
    async with Simulator() as simulator, aiohttp.ClientSession() as client:
        absent = SidecarProcess({})
        absent.url, absent.admin_url = simulator.url, simulator.control_url
        stage = DemoClient(simulator, absent, client, said.append, patience=0.1)
        assert await run_steps(stage) == len(STEPS)
    assert sum("WRONG: " in line for line in said) == len(STEPS)
