"""A sidecar that gives up what it does not need: its settings, and what it must have said before it serves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.process import landlock

if TYPE_CHECKING:
    from proxy.simulator.server import Simulator
    from tests.support.processes import Running

NAME, WORD, NEXT = "the-username", "the-password", "another-password"

needs_landlock = pytest.mark.skipif(
    landlock.version() == 0, reason="CONFINING FILES IS NOT TESTED: this kernel, or this container, has no Landlock"
)


def told(simulator: Simulator, **more: str) -> dict[str, str]:
    return {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": simulator.url,
        "LOCALPAYMENT_USERNAME": NAME,
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        "PROXY_HARDENING": "auto",
        **more,
    }


async def started(sidecar: Running) -> dict[str, Any]:
    line = json.loads(await sidecar.says("sidecar.started"))
    await sidecar.says("token.refreshed")
    assert isinstance(line, dict)
    return line
