"""The status page in a real browser; skipped where there is none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import Environment
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.browser import CHROMIUM, Page, browser
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.sidecars import Running

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="THE STATUS PAGE IS NOT TESTED: no Chromium here; apt-get install chromium"
)
BALANCE = "/api/accounts/032.840.00000001/balance"
# WCAG 2.2 success criterion 1.4.3: relative luminance, and the contrast of a text with what is behind it.
CONTRAST = """
(() => {
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (!c.endsWith(", 0)")) return c; } return "rgb(255, 255, 255)"; };
  return [...document.querySelectorAll("h1,h2,h3,p,dt,dd,th,td,caption,li,figcaption,span")]
    .filter((e) => e.textContent && e.checkVisibility())
    .map((e) => { const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 80)]; })
    .filter(([ratio]) => ratio < 4.5);
})()
"""


@pytest.fixture(params=[Environment.SANDBOX, Environment.PRODUCTION])
async def relay(request: Any) -> AsyncIterator[Running]:
    async with (
        Simulator() as localpayment,
        sidecar(settings_for(localpayment.url, environment=request.param)) as running,
    ):
        await running.get(BALANCE)
        yield running


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browser(tmp_path / "profile") as opened:
        yield opened


async def kept(page: Page, relay: Running, name: str) -> None:
    """Keep a picture for people to look at, where one was asked for."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        await page.screenshot(Path(folder) / f"{relay.sidecar.settings.environment.value}-{name}.png")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")])
async def test_it_reads_well_at_every_width_and_by_day_and_night(
    page: Page, relay: Running, width: int, scheme: str
) -> None:
    await page.open(relay.sidecar.admin_url + "/status", width, scheme=scheme)
    await page.until("document.querySelector('[data-until]').textContent.includes('min')")
    await kept(page, relay, f"{width}-{scheme}")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.evaluate(CONTRAST) == []
    assert page.complaints == []


@pytest.mark.parametrize("width", [1280, 375])
async def test_why_it_is_not_ready_is_never_cut(page: Page, width: int) -> None:
    async with Simulator() as localpayment:
        localpayment.add_fault(Fault(Kind.STATUS, "token_endpoints", times=None, status=403))
        async with sidecar(settings_for(localpayment.url), ready=False) as relay:
            await page.open(relay.sidecar.admin_url + "/status", width)
            await page.until("document.querySelector('.told')?.textContent.includes('allow-list')")
            await page.until("document.querySelector('.notes p')?.textContent.includes('denied the request')")
            await kept(page, relay, f"not-permitted-{width}")
            cut = await page.evaluate(
                "[...document.querySelectorAll('.told dd, .notes li, .notes p')].filter((e) => "
                "e.getBoundingClientRect().right > innerWidth || e.scrollWidth > e.clientWidth).length"
            )
            assert cut == 0
            assert await page.evaluate(CONTRAST) == []


async def test_sandbox_and_production_cannot_be_confused(page: Page, relay: Running) -> None:
    await page.open(relay.sidecar.admin_url + "/status")
    colour = await page.evaluate("getComputedStyle(document.querySelector('header')).backgroundColor")
    expected = {
        Environment.SANDBOX: ("rgb(11, 110, 79)", "Sandbox: play money"),
        Environment.PRODUCTION: ("rgb(179, 18, 43)", "Production: real money"),
    }[relay.sidecar.settings.environment]
    assert (colour, await page.evaluate("document.querySelector('h1').textContent")) == expected


async def test_it_follows_what_happens_without_being_loaded_again(page: Page, relay: Running) -> None:
    await page.open(relay.sidecar.admin_url + "/status")
    before = await page.evaluate("document.querySelector('[data-until]').textContent")
    await relay.get("/api/resources/banks?country=MEX")
    await page.until("document.getElementById('calls').textContent.includes('list_banks')")
    await page.until(f"document.querySelector('[data-until]').textContent !== {before!r}")
    relay.sidecar.make_unready()
    await page.until("document.getElementById('top').textContent.includes('not ready: draining')")
    assert page.complaints == []


async def test_the_keyboard_reaches_what_scrolls_and_keeps_it_when_the_page_changes(page: Page, relay: Running) -> None:
    await page.open(relay.sidecar.admin_url + "/status", 375)
    await page.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert await page.evaluate(focused) == "The last ones"
    await relay.get("/api/resources/banks?country=MEX")
    await page.until("document.getElementById('calls').textContent.includes('list_banks')")
    assert await page.evaluate(focused) == "The last ones"


async def test_a_screen_reader_finds_headings_tables_and_what_is_live(page: Page, relay: Running) -> None:
    await page.open(relay.sidecar.admin_url + "/status")
    tree = await page.send("Accessibility.getFullAXTree")
    said = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree["nodes"] if not node["ignored"]
    ]
    roles = [role for role, _ in said]
    assert ("heading", "Unknown outcomes") in said
    assert ("region", "The last ones") in said
    assert ("columnheader", "Operation") in said
    assert roles.count("status") == 2
    assert "main" in roles
    assert await page.evaluate("document.documentElement.lang") == "en"


async def test_a_page_that_lost_its_sidecar_says_that_it_is_old(page: Page, relay: Running) -> None:
    await page.open(relay.sidecar.admin_url + "/status")
    await page.until("document.getElementById('link').textContent === 'Live.'")
    await relay.sidecar.__aexit__(None, None, None)
    await page.until("document.getElementById('link').textContent.includes('what is shown is old')")
    assert "bad" in await page.evaluate("document.getElementById('link').className")
    box = "document.getElementById('link').getBoundingClientRect()"
    assert await page.evaluate("document.documentElement.scrollHeight > innerHeight")
    assert await page.evaluate(f"{box}.top >= 0 && {box}.bottom <= innerHeight"), "in sight though nobody scrolls"
    assert await page.evaluate(CONTRAST) == []


async def test_no_script_or_style_of_anybody_elses_would_run(page: Page, relay: Running) -> None:
    await page.open(relay.sidecar.admin_url + "/status")
    inject = "const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s)"
    await page.evaluate(inject)
    assert await page.evaluate("window.ran === undefined")
    outside = "fetch('http://localhost:9/').then(() => 'sent', () => 'refused')"
    assert await page.evaluate(outside) == "refused"
    assert any("Content Security Policy" in text for text in page.complaints)
