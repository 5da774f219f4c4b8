"""config/systemd holds the sidecar to what it needs, and starts it as it wants to be started."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from proxy.cli.commands import commands
from proxy.cli.exits import Exit
from proxy.config.declared_settings import SETTINGS
from proxy.wiring import CLOSING

UNIT = Path(__file__).parents[2] / "config" / "systemd" / "localpayment-proxy.service"
PROGRAM = "/opt/localpayment-proxy/bin/localpayment-proxy"
MOST_EXPOSED = 2.0
DEFAULT_DRAIN = 25.0  # seconds, PROXY_DRAIN_TIMEOUT's default
with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


def directives() -> dict[str, list[str]]:
    """Each directive's values, in their order."""
    found = defaultdict(list)
    for line in UNIT.read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def analyzed(*arguments: str) -> str:
    command = ["systemd-analyze", "--no-pager", *arguments, str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


@with_systemd
def test_the_service_can_do_little_that_it_need_not() -> None:
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", analyzed("security", "--offline=true"))
    assert exposure is not None
    assert float(exposure[1]) <= MOST_EXPOSED


@with_systemd
def test_systemd_knows_every_directive() -> None:
    complaints = [line for line in analyzed("verify").splitlines() if UNIT.name in line]
    assert [line for line in complaints if f"Command {PROGRAM} is not executable" not in line] == []


def test_the_commands_are_ours() -> None:
    found = directives()
    (start,), (ready,) = found["ExecStart"], found["ExecStartPost"]
    assert start == f"{PROGRAM} serve"
    program, command, option, _ = ready.removeprefix("-").split()
    assert program == PROGRAM
    assert option in {name for parameter in commands.commands[command].params for name in parameter.opts}


def test_each_credential_that_is_loaded_is_the_one_that_a_setting_names() -> None:
    found = directives()
    loaded = {value.split(":")[0] for value in found["LoadCredential"]}
    named = dict(text.split("=") for value in found["Environment"] for text in value.split())
    assert named.keys() <= SETTINGS.keys()
    assert {path.removeprefix("%d/") for path in named.values()} == loaded


def test_it_may_write_where_its_ledger_is_and_nobody_else_may_read_that() -> None:
    found = directives()
    assert found["StateDirectory"] == ["localpayment-proxy"]
    assert found["StateDirectoryMode"] == ["0700"]
    assert found["ProtectSystem"] == ["strict"]


def test_the_process_gets_the_time_that_a_drain_takes() -> None:
    (seconds,) = directives()["TimeoutStopSec"]
    assert float(seconds.removesuffix("s")) >= DEFAULT_DRAIN + 2 * CLOSING


def test_a_mistake_in_the_settings_is_not_started_again() -> None:
    assert directives()["RestartPreventExitStatus"] == [str(int(Exit.BAD_CONFIGURATION))]
