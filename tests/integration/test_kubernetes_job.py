"""The jobs of config/kubernetes/job do their work through a sidecar, and the classic one ends it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.simulator.server import Simulator
from tests.support.kustomization import assembled, pod_spec
from tests.support.processes import BOUND, cleaned, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

JOBS = Path(__file__).parents[2] / "config" / "kubernetes" / "job"


def script(kind: str) -> str:
    """The program of the job's own container."""
    (job,) = (one for one in assembled(JOBS / kind) if one["kind"] == "Job")
    (work,) = (container for container in pod_spec(job)["containers"] if container["name"] == "work")
    assert work["command"] == ["python3", "-c"]
    (text,) = work["args"]
    return str(text)


@pytest.fixture
async def settings() -> AsyncIterator[dict[str, str]]:
    async with Simulator() as localpayment:
        yield {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_BASE_URL": localpayment.url,
            "LOCALPAYMENT_USERNAME": "anything",
            "LOCALPAYMENT_PASSWORD": "anything",
            "PROXY_LISTEN": "127.0.0.1:0",
            "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        }


async def worked(text: str, data: str, admin: str) -> str:
    """Run the program with the sidecar's addresses in the place of the usual ones; return what it printed."""
    moved = text.replace("http://127.0.0.1:8080", data).replace("http://127.0.0.1:8081", admin)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", moved), env=cleaned({}), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(BOUND):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def test_the_classic_job_ends_the_sidecar_when_its_work_is_done(settings: dict[str, str]) -> None:
    async with running("serve", settings=settings) as sidecar:
        started = json.loads(await sidecar.says("sidecar.started"))
        assert await worked(script("classic"), started["data"], started["admin"]) == "payment methods: 200\n"
        assert json.loads(await sidecar.says("sidecar.stopped"))["clean"]


async def test_the_native_job_leaves_ending_to_kubelet(settings: dict[str, str]) -> None:
    async with running("serve", settings=settings) as sidecar:
        started = json.loads(await sidecar.says("sidecar.started"))
        await sidecar.says("token.refreshed")
        assert await worked(script("native"), started["data"], started["admin"]) == "payment methods: 200\n"
        assert (await sidecar.stopped()).code == 0
