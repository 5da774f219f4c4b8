"""Every panel of the dashboard, asked of a real Prometheus that scrapes a real sidecar under load."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config import LedgerFile
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.generators.dashboard import dashboard
from tests.generators.panels import ROWS
from tests.support.prometheus import configuration, needs_prometheus, prometheus
from tests.support.sidecars import Running, settings_for, sidecar

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "config" / "grafana" / "dashboards" / "localpayment-proxy.json"
SCRAPE = ROOT / "config" / "prometheus" / "scrape.yml"
JOB = "localpayment-proxy"
FACTOR = 15  # so that there is a scrape each second, which `expressions` counts on
PATIENCE = 90.0  # seconds for two scrapes, a token that is renewed, and the rules on top
PANELS = [panel for panel in json.loads(dashboard())["panels"] if panel["type"] != "row"]


def test_the_dashboard_is_what_the_panels_say() -> None:
    fix = "python -m tests.generators.dashboard > config/grafana/dashboards/localpayment-proxy.json"
    assert PAGE.read_text() == dashboard(), f"the dashboard is stale: {fix}"


def test_no_panel_lies_over_another_or_out_of_the_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboard())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_panel_has_a_title_of_its_own_and_series_with_names() -> None:
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert all(target["legendFormat"] for panel in PANELS for target in panel["targets"])
    assert len({panel["id"] for panel in json.loads(dashboard())["panels"]}) == len(PANELS) + len(ROWS)


def test_what_grafana_is_provisioned_with_names_what_is_there() -> None:
    folder = ROOT / "config" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "localpayment-proxy.yml").read_text())["providers"]
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == yaml.safe_load(SCRAPE.read_text())["global"]["scrape_interval"]
    assert provider["type"] == "file"


@pytest.mark.slow
@needs_prometheus("THE DASHBOARD'S QUERIES ARE")
async def test_every_panel_shows_something_of_a_sidecar_under_load(tmp_path: Path) -> None:
    async with (
        Simulator(SimulatorOptions(access_lifetime=4.0)) as localpayment,
        sidecar(settings_for(localpayment.url, ledger=LedgerFile(tmp_path / "ledger.db"))) as relay,
        prometheus(tmp_path, configuration(tmp_path, {JOB: address(relay)}, FACTOR)) as ask,
    ):
        loading = asyncio.create_task(load(relay, localpayment))
        missing = {query: panel["title"] for panel in PANELS for query in expressions(panel)}
        try:
            async with asyncio.timeout(PATIENCE):
                while missing:
                    for query in tuple(missing):
                        if shows(await ask(query)):
                            del missing[query]
                    await asyncio.sleep(1)
        except TimeoutError:
            pytest.fail(f"empty: {missing}")
        finally:
            loading.cancel()
            await asyncio.wait((loading,))


def expressions(panel: dict[str, Any]) -> list[str]:
    """A panel's queries as Grafana would send them: everything chosen, a scrape each second."""
    chosen = {"$job": ".*", "$instance": ".*", "$__rate_interval": "5s"}
    found = [target["expr"] for target in panel["targets"]]
    for variable, value in chosen.items():
        found = [query.replace(variable, value) for query in found]
    return found


def address(relay: Running) -> str:
    return relay.sidecar.admin_url.removeprefix("http://")


def shows(series: list[dict[str, Any]]) -> bool:
    return any(not math.isnan(float(one["value"][1])) for one in series)


async def load(relay: Running, localpayment: Simulator) -> None:
    """Do every second what a day brings: payments, reads, a payout that is lost, calls that are refused."""
    number = 0
    while True:
        number += 1
        payment = {"externalId": f"order-{number}", "amount": 12.5, "currency": "MXN", "country": "MEX"}
        await relay.post("/api/payin", payment)
        await relay.get("/api/accounts/032.840.00000001/balance")
        await relay.get("/api/token/")
        localpayment.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payout"))
        await relay.post("/api/payout", payment)
        await asyncio.sleep(0.2)
