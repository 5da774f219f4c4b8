"""The services of docker-compose.yml, run as they are written there, but for the containers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.prometheus import CONFIG, RULES, needs_prometheus

ROOT = Path(__file__).parents[2]
BOUND = 170  # seconds; only a defect reaches it
NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--")


def can_make_namespaces() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    tried = subprocess.run([*NAMESPACE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False, timeout=20)
    return tried.returncode == 0


@pytest.mark.skipif(
    not can_make_namespaces(), reason="THE COMPOSE FILE IS NOT RUN: no network namespace can be made here"
)
@needs_prometheus("THE COMPOSE FILE'S PROMETHEUS IS")
def test_the_services_find_each_other_and_the_caller_is_served(tmp_path: Path) -> None:
    command = [*NAMESPACE, sys.executable, "-m", "tests.support.compose_pod", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True, timeout=BOUND)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    logs = {page.name: page.read_text()[-2000:] for page in tmp_path.glob("*.log")}
    assert told["healthy"], logs
    assert told["payments"], logs
    assert told["caller"] == ["balance: 200", "payment: 201"]
    assert {(call["operation"], call["state"]) for call in told["ledger"]} == {("create_payin", "answered")}
    (scraped,) = told["scraped"]
    assert (scraped["metric"]["status"], scraped["metric"]["outcome"]) == ("201", "answered")
    assert scraped["metric"]["job"] == "localpayment-proxy", "the alerts look for this name"
    groups = [group["name"] for name in RULES for group in yaml.safe_load((CONFIG / name).read_text())["groups"]]
    assert sorted(told["rules"]) == sorted(groups)
    assert told["sidecar's exit code"] == 0
    assert "create_payin" in logs["simulator.log"]
