"""The rules by Prometheus's own tool, and what they rely on by ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.generators.metrics_page import reference

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "prometheus"
RULES = ("rules.yml", "alerts.yml", "unusual.yml")
TESTS = sorted(path.name for path in CONFIG.glob("*.test.yml"))
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="THE ALERTS ARE NOT TESTED: no promtool here; apt-get install prometheus"
)


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """All rules of a kind, `alert` or `record`, by their names."""
    groups = [group for name in RULES for group in yaml.safe_load((CONFIG / name).read_text())["groups"]]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


ALERTS, RECORDS = rules("alert"), rules("record")


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], cwd=CONFIG, capture_output=True, check=False, text=True, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_accepts_the_scrape_configuration_and_the_rules() -> None:
    promtool("check", "config", "--lint=all", "--lint-fatal", "scrape.yml")


@needs_promtool
@pytest.mark.parametrize("name", TESTS)
def test_each_alert_does_what_its_unit_tests_say(name: str) -> None:
    promtool("test", "rules", name)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_seen_silent_firing_and_silent_again(alert: str) -> None:
    cases = [case for name in TESTS for case in yaml.safe_load((CONFIG / name).read_text())["tests"]]
    seen = [
        [check["exp_samples"][0]["value"] for check in case["promql_expr_test"] if f'"{alert}"' in check["expr"]]
        for case in cases
    ]
    assert any(1 in values and values[-1] == 0 for values in seen), f"{alert} is never seen to resolve"
    assert any(values and (values[0] == 0 or set(values) == {0}) for values in seen), f"{alert} is never seen silent"


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_severity_and_a_runbook_that_names_it_or_stands_for_it(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    path, _, heading = rule["annotations"]["runbook_url"].partition("#")
    text = (ROOT / path).read_text()
    assert f"`{alert}`" in text or path.endswith("readyz-is-503.md")
    headings = [re.sub(r"\W+", "-", line.strip("# ").lower()) for line in text.splitlines() if line.startswith("#")]
    assert not heading or heading in headings


def test_every_runbook_that_names_alerts_names_those_that_lead_to_it() -> None:
    for page in (ROOT / "docs" / "runbooks").glob("*.md"):
        found = re.search(r"^Alerts: (.*)$", page.read_text(), re.MULTILINE)
        named = set(re.findall(r"`(\w+)`", found[1])) if found else set()
        leading = {name for name, rule in ALERTS.items() if Path(rule["annotations"]["runbook_url"]).name == page.name}
        assert not found or named == leading, page.name


def test_every_link_of_a_runbook_leads_somewhere() -> None:
    for page in (ROOT / "docs" / "runbooks").glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_metric_that_a_rule_or_runbook_names_is_exposed() -> None:
    exposed = set(re.findall(r"`(localpayment_proxy_\w+)`", reference()))
    pages = [*(CONFIG / name for name in RULES), *(ROOT / "docs" / "runbooks").glob("*.md")]
    named = {name for page in pages for name in re.findall(r"localpayment_proxy_\w+", page.read_text())}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in named} <= exposed


def test_every_recorded_series_that_is_used_is_recorded_and_the_reverse() -> None:
    texts = [path.read_text() for path in (*CONFIG.glob("*s.yml"), CONFIG / "unusual.yml")]
    used = [name for text in texts for name in re.findall(r"localpayment_proxy:[\w:]+", text)]
    shown = (ROOT / "config" / "grafana").rglob("*.json")
    used += [name for page in shown for name in re.findall(r"localpayment_proxy:[\w:]+", page.read_text())]
    assert set(used) == set(RECORDS)
    assert all(used.count(name) > 1 for name in RECORDS), "recorded and never used"
