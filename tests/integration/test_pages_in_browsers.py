"""A page that somebody opens in a browser on this machine reaches nothing: shown with a real one.

The page comes from a host of another's. What it tries works on a listener that does not look, which is tried as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.support.browser import CHROMIUM, Page, browser
from tests.support.origins import greeting, localpayment
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.origins import Localpayment

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="PAGES IN BROWSERS ARE NOT TESTED: no Chromium here; apt-get install chromium"
)
EVIL = "evil.example"
BALANCE = "/api/accounts/032.840.00000001/balance"
PAGE = "<!doctype html><style></style><title>a page</title>"
# What each attempt gave: what the page could read, or that it could read nothing.
TRY = """
(async (base, read, write) => {
  const outcome = async (act) => { try { return await act(); } catch (error) { return "nothing"; } };
  const text = async (answer) => answer.type === "opaque" ? "nothing" : answer.status + " " + await answer.text();
  const post = {method: "POST", mode: "no-cors", body: JSON.stringify({externalId: "1"})};
  const loaded = (element, url) => new Promise((done) => {
    element.onload = () => done("something"); element.onerror = () => done("nothing");
    element.src = url; document.body.append(element); });
  const submitted = (url) => new Promise((done) => {
    const frame = document.createElement("iframe"), form = document.createElement("form");
    frame.name = crypto.getRandomValues(new Uint32Array(1))[0]; document.body.append(frame, form);
    Object.assign(form, {action: url, method: "POST", target: frame.name, enctype: "text/plain"});
    frame.onload = () => { try { done(frame.contentDocument.body.innerText); } catch (error) { done("nothing"); } };
    form.submit(); });
  const socket = (url) => new Promise((done) => {
    const opened = new WebSocket(url.replace("http", "ws"));
    opened.onopen = () => done("something"); opened.onerror = () => done("nothing"); });
  const events = (url) => new Promise((done) => {
    const source = new EventSource(url);
    source.onmessage = () => done("something"); source.onerror = () => { source.close(); done("nothing"); }; });
  return JSON.stringify({
    "read": await outcome(async () => text(await fetch(base + read))),
    "read without CORS": await outcome(async () => text(await fetch(base + read, {mode: "no-cors"}))),
    "write": await outcome(async () => text(await fetch(base + write, {...post, mode: "cors"}))),
    "write without CORS": await outcome(async () => text(await fetch(base + write, post))),
    "write JSON": await outcome(async () => text(await fetch(base + write,
      {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}))),
    "beacon": await outcome(() => { navigator.sendBeacon(base + write, "{}"); return "nothing"; }),
    "image": await loaded(new Image(), base + read),
    "script": await loaded(document.createElement("script"), base + read),
    "form": await submitted(base + write),
    "socket": await socket(base + read),
    "events": await events(base + read),
  });
})
"""


class Site:
    """A server of the test's own that looks at nobody; it serves the page, and notes what reaches it."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.port = 0

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.came.append(f"{request.method} {request.rel_url.raw_path}")
        return web.Response(text=PAGE, content_type="text/html")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    there = Site()
    runner = web.ServerRunner(web.Server(there.answer))
    await runner.setup()
    at = web.TCPSite(runner, "127.0.0.1", 0)
    await at.start()
    there.port = int(runner.addresses[0][1])
    yield there
    await runner.cleanup()


@pytest.fixture
async def there() -> AsyncIterator[Localpayment]:
    async with localpayment(greeting) as origin:
        yield origin


@pytest.fixture
async def relay(there: Localpayment) -> AsyncIterator[Running]:
    async with sidecar(settings_for(there.url)) as running:
        yield running


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browser(tmp_path / "profile", f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as opened:
        yield opened


async def attempts(page: Page, base: str, read: str, write: str) -> dict[str, Any]:
    outcome = json.loads(await page.evaluate(f"({TRY})({base!r}, {read!r}, {write!r})"))
    assert isinstance(outcome, dict)
    return outcome


async def test_what_a_page_tries_works_where_nobody_looks(page: Page, site: Site) -> None:
    """Otherwise the tests below would prove nothing."""
    await page.open(f"http://{EVIL}:{site.port}/")
    await attempts(page, f"http://127.0.0.1:{site.port}", "/read", "/write")
    assert site.came.count("POST /write") >= 3
    assert "GET /read" in site.came


async def test_a_page_of_another_origin_neither_reads_nor_writes_through_the_data_listener(
    page: Page, site: Site, relay: Running, there: Localpayment
) -> None:
    await page.open(f"http://{EVIL}:{site.port}/")
    for base in (relay.url, relay.url.replace("127.0.0.1", "localhost")):
        outcome = await attempts(page, base, BALANCE, "/api/payout")
        assert set(outcome.values()) == {"nothing"}, outcome
    assert there.calls == b""
    assert len(relay.lines("request.relayed")) == 0
    assert {line["code"] for line in relay.lines("request.refused")} <= {"browser_forbidden", "bad_request"}
    assert relay.value("refusals_total", code="browser_forbidden") >= 10


async def test_a_page_of_another_origin_neither_reads_nor_orders_through_the_admin_listener(
    page: Page, site: Site, relay: Running
) -> None:
    await page.open(f"http://{EVIL}:{site.port}/")
    for read in ("/status", "/status/events", "/metrics", "/readyz"):
        outcome = await attempts(page, relay.sidecar.admin_url, read, "/-/quit")
        assert set(outcome.values()) == {"nothing"}, outcome
    assert not relay.sidecar.stopping.is_set()
    assert not relay.sidecar.health.draining


async def test_a_name_that_was_bound_anew_to_this_machine_is_no_way_in(
    page: Page, relay: Running, there: Localpayment
) -> None:
    """The page's own name now means the sidecar, so that all it does is of one origin; only the Host tells."""
    for base, read, write in (
        (relay.url, BALANCE, "/api/payout"),
        (relay.sidecar.admin_url, "/status", "/-/quit"),
    ):
        evil = base.replace("127.0.0.1", EVIL)
        await page.open(evil + read, styled=False)
        assert await page.evaluate("location.host") == evil.removeprefix("http://")
        outcome = await attempts(page, evil, read, write)
        for name in ("read", "write", "write JSON", "read without CORS", "write without CORS"):
            assert outcome[name].startswith("403 "), (name, outcome)
        assert {outcome[name] for name in ("image", "socket", "events")} == {"nothing"}
    assert there.calls == b""
    assert relay.value("refusals_total", code="host_forbidden") >= 5
    assert not relay.sidecar.stopping.is_set()


async def test_an_operator_who_types_the_address_gets_the_status_page(page: Page, relay: Running) -> None:
    await page.open(relay.sidecar.admin_url + "/status")
    assert await page.evaluate("document.querySelector('h1').textContent") == "Sandbox: play money"
    await page.until("document.getElementById('token').textContent.includes('valid')")
