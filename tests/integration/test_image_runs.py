"""The image, built from the Dockerfile and run with no rights at all, in front of a simulator."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from packaging.utils import canonicalize_name

from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.containers import ROOT, base, container, image, output, size, skipped, volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_WITHIN = 5.0  # seconds from the process's start to its token
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LARGEST = 120_000_000  # bytes beyond the base image
BALANCE = "/api/accounts/032.840.00000001/balance"
MADE_BY_PODMAN = "C /etc\n"  # the places where it mounts its own resolv.conf and hosts
LOOK = """
import importlib.metadata, importlib.util, json, os, pathlib
print(json.dumps({
    "user": os.getuid(),
    "installers": [name for name in ("pip", "ensurepip", "setuptools") if importlib.util.find_spec(name)],
    "installed": [(one.name, one.version) for one in importlib.metadata.distributions()],
    "contents": pathlib.Path("/opt/proxy/sbom.cdx.json").read_text(),
}))
"""

REASON = skipped()
pytestmark = [
    pytest.mark.skipif(bool(REASON), reason=f"THE IMAGE IS NOT TESTED: {REASON}"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def tag() -> Iterator[str]:
    moment = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, check=True, timeout=20)  # noqa: S607 - from PATH
    with image(int(moment.stdout)) as built:
        yield built


@pytest.fixture
def named_volume() -> Iterator[str]:
    with volume() as name:
        yield name


@pytest.fixture(scope="module")
def inside(tag: str) -> dict[str, Any]:
    """What a program finds in the image; one container, since each costs seconds where storage is copied."""
    found: dict[str, Any] = json.loads(output(tag, "python", "-c", LOOK))
    return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_without_any_right_it_is_ready_in_seconds_serves_drains_and_writes_nowhere(tag: str) -> None:
    data, admin = free_port(), free_port()
    async with Simulator() as localpayment, aiohttp.ClientSession(f"http://127.0.0.1:{data}") as caller:
        settings = {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": localpayment.url,
            "LOCALPAYMENT_USERNAME": "anything",
            "LOCALPAYMENT_PASSWORD": "anything",
            "PROXY_LISTEN": f"127.0.0.1:{data}",
            "PROXY_ADMIN_LISTEN": f"127.0.0.1:{admin}",
        }
        async with container(tag, settings) as running:
            await running.says("token.refreshed")
            ready = time.time()
            started = await running.asked("inspect", "--format={{.State.StartedAt.UnixMilli}}", running.name)
            assert ready - int(started) / 1000 < READY_WITHIN
            await running.asked("exec", running.name, "localpayment-proxy", "healthcheck")
            async with caller.get(BALANCE) as answer:
                assert answer.status == 200
            localpayment.add_fault(Fault(Kind.LATENCY, "get_balance", seconds=2.0))
            slow = asyncio.create_task(caller.get(BALANCE))
            while localpayment.faults.rules:  # noqa: ASYNC110 - the simulator tells nobody that a call came
                await asyncio.sleep(0.01)
            await running.asked("kill", "--signal=TERM", running.name)
            assert (await slow).status == 200
            assert await running.ended() == 0
            assert "sidecar.stopped" in running.said
            assert await running.asked("diff", running.name) in ("", MADE_BY_PODMAN)


async def test_with_one_volume_a_payment_is_settled_that_was_on_its_way_when_the_container_was_killed(
    tag: str, named_volume: str
) -> None:
    data, admin = free_port(), free_port()
    mount = f"--volume={named_volume}:/var/lib/localpayment-proxy"
    async with Simulator() as localpayment, aiohttp.ClientSession(f"http://127.0.0.1:{data}") as caller:
        settings = {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": localpayment.url,
            "LOCALPAYMENT_USERNAME": "anything",
            "LOCALPAYMENT_PASSWORD": "anything",
            "PROXY_LISTEN": f"127.0.0.1:{data}",
            "PROXY_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "PROXY_LEDGER": "sqlite:/var/lib/localpayment-proxy/ledger.db",
        }
        async with container(tag, settings, mount) as running:
            await running.says("token.refreshed")
            localpayment.add_fault(Fault(Kind.LATENCY, "create_payin", seconds=60.0))
            payment = {"externalId": "order-1", "amount": 5, "currency": "USD"}
            paying = asyncio.create_task(caller.post("/api/payin", json=payment))
            await asyncio.wait_for(localpayment.faults.used_up.wait(), READY_WITHIN)
            await running.asked("kill", "--signal=KILL", running.name)
            with pytest.raises(aiohttp.ClientError):
                await paying
        localpayment.clear_faults()
        async with container(tag, settings, mount) as running:
            await running.says("token.refreshed")
            ledger = ("exec", running.name, "localpayment-proxy", "ledger")
            assert "interrupted" in await running.asked(*ledger, "list", "--open")
            assert await running.asked(*ledger, "settle") == "1 create_payin: executed (COMPLETED)\n"
    assert localpayment.executions("create_payin", "order-1") == 1


def test_it_is_small_beside_its_base(tag: str) -> None:
    assert size(tag) - size(base()) < LARGEST


def test_it_runs_as_nobody_and_holds_nothing_that_installs_packages(inside: dict[str, Any]) -> None:
    assert inside["user"] == 65532
    assert inside["installers"] == []


def test_its_list_of_contents_names_what_is_pinned_and_no_moment(inside: dict[str, Any]) -> None:
    listed = json.loads(inside["contents"])
    pinned = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
    assert listed["bomFormat"] == "CycloneDX"
    assert {(one["name"], one["version"]) for one in listed["components"]} == set(pinned)
    assert listed["metadata"]["component"]["name"] == "localpayment-proxy"
    assert not {"serialNumber", "timestamp"} & {*listed, *listed["metadata"]}, "a second build gives the same bytes"


def test_what_is_installed_is_listed(inside: dict[str, Any]) -> None:
    listed = {canonical(one["name"], one["version"]) for one in json.loads(inside["contents"])["components"]}
    installed = {canonical(*one) for one in inside["installed"] if one[0] != "localpayment-proxy"}
    assert installed
    assert installed <= listed


@pytest.mark.skipif(importlib.util.find_spec("cyclonedx_py") is None, reason="the set `dev` is not installed")
def test_its_list_of_contents_is_that_of_a_release(inside: dict[str, Any], tmp_path: Path) -> None:
    (recipe,) = re.findall(r"cyclonedx-py (requirements .*?) --output-file", DOCKERFILE, re.DOTALL)
    words = recipe.replace("\\\n", " ").replace("${SET}", "run").split()
    command = [sys.executable, "-m", "cyclonedx_py", *words, "--output-file", str(tmp_path / "sbom")]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120)
    assert inside["contents"] == (tmp_path / "sbom").read_text()


def canonical(name: str, version: str) -> str:
    return f"{canonicalize_name(name)}=={version}"
