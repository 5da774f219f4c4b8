"""config/ecs is what ECS accepts, and its commands do what they are there for."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from proxy.config import load_settings
from proxy.simulator.server import Simulator
from proxy.wiring import CLOSING
from tests.support.processes import cleaned
from tests.support.sidecars import DEFAULTS, settings_for, sidecar

FILE = Path(__file__).parents[2] / "config" / "ecs" / "task-definition.json"
TASK: dict[str, Any] = json.loads(FILE.read_text())
PROXY, APP = TASK["containerDefinitions"]
BOUND = 30.0  # seconds that nothing here may take; only a defect reaches it


def complaints(task: dict[str, Any]) -> str:
    """What AWS's own client has against the request that would register it; asks nobody."""
    service = botocore.session.get_session().get_service_model("ecs")
    report = ParamValidator().validate(task, service.operation_model("RegisterTaskDefinition").input_shape)
    return str(report.generate_report())


def test_the_task_definition_can_be_registered() -> None:
    assert complaints(TASK) == ""


def test_a_mistyped_field_would_be_found() -> None:
    assert "readonlyRootFileSystem" in complaints({**TASK, "containerDefinitions": [{"readonlyRootFileSystem": True}]})


def test_the_sidecar_accepts_its_settings() -> None:
    told = {entry["name"]: entry["value"] for entry in PROXY["environment"]}
    settings = load_settings(told | {secret["name"]: "invented" for secret in PROXY["secrets"]})
    assert str(settings.listen) in APP["environment"][0]["value"]
    assert not settings.allow_remote
    assert PROXY["stopTimeout"] >= settings.drain_timeout + 2 * CLOSING


def test_the_app_starts_after_the_sidecar_and_so_ends_before_it() -> None:
    assert APP["dependsOn"] == [{"containerName": PROXY["name"], "condition": "HEALTHY"}]


@pytest.mark.parametrize("container", [PROXY, APP], ids=["proxy", "app"])
def test_no_container_has_more_rights_than_it_needs(container: dict[str, Any]) -> None:
    assert container["readonlyRootFilesystem"]
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert not container.get("privileged", False)
    assert not container["user"].startswith("0")


async def healthy(admin_url: str) -> bool:
    """What ECS would learn of a sidecar whose admin listener is there."""
    kind, python, *words = PROXY["healthCheck"]["command"]
    assert (kind, python) == ("CMD", "python3")
    moved = [word.replace(f"http://{DEFAULTS.admin_listen}", admin_url) for word in words]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *moved), env=cleaned({}), stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(BOUND):
        return await process.wait() == 0


async def test_a_task_is_not_replaced_because_localpayment_gives_no_token() -> None:
    async with Simulator() as localpayment:
        gone = localpayment.url
    async with sidecar(settings_for(gone), ready=False) as running:
        admin_url = running.sidecar.admin_url
        assert (await running.admin("/readyz"))[0] == 503
        assert await healthy(admin_url)
    assert not await healthy(admin_url)
