"""Options that weaken the sidecar are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.config import Environment, FilesSource, Origin, TcpAddress, UnixAddress
from proxy.ops.risks import OPTIONS, risks
from tests.support.sidecars import settings_for

SAFE: dict[str, Any] = {"policy_file": Path("policy.toml"), "drain_timeout": 25.0}
PRODUCTION: dict[str, Any] = {
    **SAFE,
    "environment": Environment.PRODUCTION,
    "credentials": FilesSource(Path("username"), Path("password")),
}


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        (SAFE, set()),
        (PRODUCTION, set()),
        ({**SAFE, "listen": UnixAddress(Path("/run/proxy.sock"))}, set()),
        ({**SAFE, "listen": TcpAddress("0.0.0.0", 8080)}, {"remote_data"}),  # noqa: S104 - the risk under test
        ({**SAFE, "listen": TcpAddress("10.0.0.1", 8080), "tls_client_ca_file": Path("ca.pem")}, set()),
        ({**SAFE, "allow_browsers": True, "hardening": "off"}, {"browsers_allowed", "no_hardening"}),
        ({**SAFE, "admin_listen": TcpAddress("10.0.0.1", 8081)}, {"remote_admin"}),
        ({**SAFE, "origin": Origin("127.0.0.1", 8090, tls=False)}, {"plain_upstream"}),
        ({**SAFE, "drain_timeout": 1.0}, {"short_drain"}),
        ({"environment": Environment.PRODUCTION}, {"password_in_environment", "no_policy"}),
        ({**PRODUCTION, "policy_file": None}, {"no_policy"}),
    ],
)
def test_an_option_that_weakens_the_sidecar_is_named(changes: dict[str, Any], taken: set[str]) -> None:
    found = risks(settings_for("https://api.example:443", **changes))
    assert {risk.option for risk in found} == taken
    assert taken <= set(OPTIONS)
    assert all(risk.text.endswith(".") for risk in found)
