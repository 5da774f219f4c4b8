"""The limits of memory, places and connections that the files of `config` ship."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import yaml

from tests.support.manifests import ASSEMBLED, ROOT, environment, proxy

MIB: Final = 1024 * 1024
SYSTEMD: Final = (ROOT / "config/systemd/localpayment-proxy.service").read_text()


def limits(told: dict[str, str]) -> dict[str, str]:
    """The settings that bound places and connections."""
    return {name: value for name, value in told.items() if name.startswith("PROXY_MAX_")}


def size(text: str) -> int:
    """Bytes, from what systemd, Compose and Kubernetes write."""
    return int(re.split(r"[Mm]i?", text)[0]) * MIB


def of_kubernetes(folder: str) -> tuple[int, dict[str, str]]:
    objects = ASSEMBLED[folder]
    return size(proxy(objects)["resources"]["limits"]["memory"]), limits(environment(objects))


def of_ecs() -> tuple[int, dict[str, str]]:
    task: Any = json.loads((ROOT / "config/ecs/task-definition.json").read_text())
    container = task["containerDefinitions"][0]
    return container["memory"] * MIB, limits({each["name"]: each["value"] for each in container["environment"]})


def of_compose() -> tuple[int, dict[str, str]]:
    sidecar: Any = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["sidecar"]
    return size(sidecar["mem_limit"]), limits(sidecar["environment"])


def of_systemd() -> tuple[int, dict[str, str]]:
    limit = re.findall(r"(?m)^MemoryMax=(.+)$", SYSTEMD)
    return size(limit[0]), limits(dict(re.findall(r"(?m)^Environment=(\w+)=(\S+)$", SYSTEMD)))


# Bytes of memory, and the settings that are not the defaults.
SHIPPED: Final = {
    "sidecar": of_kubernetes("sidecar/overlays/sandbox"),
    "ecs": of_ecs(),
    "gateway": of_kubernetes("gateway/overlays/sandbox"),
    "compose": of_compose(),
    "systemd": of_systemd(),
}
ATTACKED: Final = ("sidecar", "ecs")  # the least of them
