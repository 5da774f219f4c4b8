from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.commands import commands
from proxy.config import load_settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@every_service
def test_a_service_has_no_more_rights_than_it_needs(service: dict[str, Any]) -> None:
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service
    assert "privileged" not in service


@every_service
def test_a_service_runs_the_image_that_make_builds(service: dict[str, Any]) -> None:
    assert f"IMAGE ?= {service['image']}\n" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", ["simulator", "sidecar"])
def test_a_command_of_a_service_is_one_of_ours(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    options = {option for one in commands.commands[command].params for option in one.opts}
    assert set(arguments) <= options


@pytest.mark.parametrize("name", ["sidecar", "caller"])
def test_sidecar_and_caller_share_the_network_namespace_in_which_loopback_is_enough(name: str) -> None:
    assert SERVICES[name]["network_mode"] == "service:simulator"
    assert SERVICES["simulator"]["network_mode"] == "none"


def test_the_sidecar_accepts_its_settings_and_calls_nobody_but_the_simulator() -> None:
    settings = load_settings(SERVICES["sidecar"]["environment"])
    assert str(settings.origin) == "http://127.0.0.1:8090"
    assert not settings.allow_remote


def test_the_caller_waits_until_the_sidecar_is_ready_and_finds_its_script() -> None:
    caller = SERVICES["caller"]
    assert caller["depends_on"] == {"sidecar": {"condition": "service_healthy"}}
    source, target, mode = caller["volumes"][0].split(":")
    assert (ROOT / source).is_file()
    assert target in caller["entrypoint"]
    assert mode == "ro"
