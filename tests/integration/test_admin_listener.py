"""The admin listener: the status for programs and for browsers, and what it tells of policy, calls and readiness."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from proxy.app import Sidecar
from proxy.config import FilesSource
from proxy.ops.admin.event_stream import MOST
from proxy.ops.admin.key_file import KeyFileError
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

KEY = "0123456789abcdef0123456789abcdef"
BALANCE = "/api/accounts/032.840.00000001/balance"
PAYOUT = {"externalId": "canary-payout", "amount": 10, "currency": "MXN", "country": "MEX"}


@pytest.fixture
async def localpayment() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def relay(localpayment: Simulator) -> AsyncIterator[Running]:
    async with sidecar(settings_for(localpayment.url)) as running:
        yield running


async def test_status_is_json_for_programs_and_a_page_for_browsers(relay: Running) -> None:
    await relay.get(BALANCE)
    status, text = await relay.admin("/status")
    view = json.loads(text)
    assert (status, view["environment"], view["ready"], view["token"]["state"]) == (200, "sandbox", True, "valid")
    assert view["last_calls"][0]["operation"] == "get_balance"
    assert sum(view["last_15_minutes"]["calls"]) == 1
    assert view["settings"]["LOCALPAYMENT_PASSWORD"] == "[redacted]"
    status, text = await relay.admin("/status", headers={"Accept": "text/html"})
    assert status == 200
    assert text.startswith("<!doctype html>")
    assert "Sandbox: play money" in text


async def test_the_policy_in_force_stands_on_the_status_also_after_a_reload(
    localpayment: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[callers.reports]\nanyone = true\nallow = ["read_only"]\n')
    async with sidecar(settings_for(localpayment.url, policy_file=file)) as relay:
        (caller,) = json.loads((await relay.admin("/status"))[1])["policy"]["callers"]
        assert (caller["name"], caller["mode"], caller["pays_out"]) == ("reports", "enforce", [])
        file.write_text('[callers.shop]\nanyone = true\nallow = ["create_payout"]\n')
        assert (await relay.admin("/-/reload", "POST"))[0] == 200
        policy = json.loads((await relay.admin("/status"))[1])["policy"]
        _, html = await relay.admin("/status", headers={"Accept": "text/html"})
    assert policy["callers"] == [{"name": "shop", "mode": "enforce", "operations": 1, "pays_out": ["create_payout"]}]
    assert "shop" in html
    assert str(file) in html


async def test_an_unknown_outcome_stands_on_the_status_until_the_end_and_names_no_payment(
    relay: Running, localpayment: Simulator
) -> None:
    localpayment.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payout"))
    await relay.post("/api/payout", PAYOUT)
    _, text = await relay.admin("/status")
    unsettled = json.loads(text)["unsettled"]
    assert (unsettled["total"], unsettled["last"][0]["operation"]) == (1, "create_payout")
    _, html = await relay.admin("/status", headers={"Accept": "text/html"})
    assert "1 since the start" in html
    assert "canary" not in text + html


async def test_why_it_is_not_ready_stands_on_the_status(localpayment: Simulator) -> None:
    localpayment.add_fault(Fault(Kind.STATUS, "token_endpoints", times=None, status=401))
    async with sidecar(settings_for(localpayment.url), ready=False) as relay:
        await relay.get(BALANCE)
        view = json.loads((await relay.admin("/status"))[1])
    assert not view["ready"]
    assert view["reason"] == "no usable token is held; the token is rejected"
    assert view["token"]["credentials_rejected"]
    assert view["token"]["fetches"][0]["result"] == "refused"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
async def test_the_status_is_for_no_page_of_another_site(relay: Running, headers: dict[str, str], status: int) -> None:
    assert (await relay.admin("/status", headers=headers))[0] == status


async def test_machines_read_probes_and_metrics_under_any_host_and_pages_do_not(relay: Running) -> None:
    for path in ("/livez", "/readyz", "/startupz", "/metrics"):
        assert (await relay.admin(path, headers={"Host": "10.1.2.3:8081"}))[0] == 200
        rebound = {"Host": "evil.example", "Sec-Fetch-Site": "same-origin"}
        assert (await relay.admin(path, headers=rebound))[0] == 403


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://127.0.0.1"}, {"Sec-Fetch-Site": "same-origin"}]
)
async def test_no_page_gives_orders(relay: Running, headers: dict[str, str]) -> None:
    assert (await relay.admin("/-/drain", "POST", headers=headers))[0] == 403
    assert (await relay.admin("/readyz"))[0] == 200


async def test_orders_are_given_by_post_only(relay: Running) -> None:
    for order in ("reload", "drain", "quit"):
        assert (await relay.admin(f"/-/{order}"))[0] == 405
    assert not relay.sidecar.stopping.is_set()


async def test_drain_makes_unready_and_quit_ends(relay: Running) -> None:
    assert (await relay.admin("/-/drain", "POST"))[0] == 202
    status, told = await relay.admin("/readyz")
    assert (status, told.splitlines()[0]) == (503, "draining: it was told to stop, or to drain")
    assert relay.value("draining_since_timestamp_seconds") > 0
    assert (await relay.get(BALANCE))[0] == 200
    assert (await relay.admin("/-/quit", "POST"))[0] == 202
    assert relay.sidecar.stopping.is_set()
    assert [line["route"] for line in relay.lines("admin.answered")[-2:]] == ["/-/drain", "/-/quit"]


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", KEY]
)
async def test_an_order_without_the_key_is_refused(localpayment: Simulator, tmp_path: Path, given: str | None) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    async with sidecar(settings_for(localpayment.url, admin_key_file=tmp_path / "key")) as relay:
        headers = {} if given is None else {"Authorization": given}
        status, text = await relay.admin("/-/drain", "POST", headers=headers)
        assert (status, KEY in text) == (401, False)
        assert (await relay.admin("/readyz"))[0] == 200


async def test_an_order_with_the_key_is_carried_out_and_the_key_is_told_nobody(
    localpayment: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(KEY)
    async with sidecar(settings_for(localpayment.url, admin_key_file=tmp_path / "key")) as relay:
        assert (await relay.admin("/-/drain", "POST", headers={"Authorization": f"bearer {KEY}"}))[0] == 202
        relay.sidecar.logger.info("mistake", text=KEY)
        assert KEY not in relay.text_of_log + (await relay.admin("/status"))[1]


async def test_a_key_that_cannot_be_used_ends_the_start(localpayment: Simulator, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    with pytest.raises(KeyFileError, match=r"PROXY_ADMIN_KEY_FILE=.*openssl rand"):
        async with Sidecar(settings_for(localpayment.url, admin_key_file=tmp_path / "key")):
            pass


@pytest.mark.parametrize("text", [f"{KEY}\n{KEY}\n", f"{KEY}\r\n{KEY}", f"{KEY}\t{KEY}"])
async def test_a_key_that_no_client_can_send_ends_the_start(localpayment: Simulator, tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(KeyFileError, match=r"PROXY_ADMIN_KEY_FILE=.*more than one line") as refused:
        async with Sidecar(settings_for(localpayment.url, admin_key_file=tmp_path / "key")):
            pass
    assert KEY not in str(refused.value)


async def test_files_that_everybody_may_read_are_told_at_the_start(localpayment: Simulator, tmp_path: Path) -> None:
    username, password = tmp_path / "username", tmp_path / "password"
    username.write_text("merchant")
    password.write_text("an-invented-password")
    username.chmod(0o600)
    password.chmod(0o644)
    async with sidecar(settings_for(localpayment.url, credentials=FilesSource(username, password))) as relay:
        (line,) = relay.lines("credentials.exposed")
    assert line["text"] == f"{password} may be read by every user of this machine: chmod o-rwx {password}"


async def test_reload_reads_the_credentials_anew_and_logs_in_with_them(localpayment: Simulator, tmp_path: Path) -> None:
    username, password = tmp_path / "username", tmp_path / "password"
    username.write_text("merchant")
    password.write_text("first-password")
    settings = settings_for(localpayment.url, credentials=FilesSource(username, password), credentials_interval=3600.0)
    async with sidecar(settings) as relay:
        password.write_text("second-password")
        status, said = await relay.admin("/-/reload", "POST")
        assert (status, "credentials: being read; `credentials.changed`" in said) == (200, True)
        async with asyncio.timeout(20):
            while localpayment.token_calls["password"] < 2:  # noqa: ASYNC110 - the simulator counts, it does not tell
                await asyncio.sleep(0.02)
        assert relay.lines("credentials.changed")
        relay.sidecar.logger.info("mistake", text="second-password")
        assert "-password" not in relay.text_of_log


async def test_metrics_come_as_open_metrics_with_trace_ids_when_asked_for(relay: Running) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await relay.get(BALANCE, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    _, plain = await relay.admin("/metrics")
    _, open_metrics = await relay.admin("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert trace not in plain
    assert f'# {{trace_id="{trace}"}}' in open_metrics
    assert open_metrics.endswith("# EOF\n")
    assert open_metrics.count("# EOF") == 1
    assert "process_resident_memory_bytes" in plain
    assert "_created" not in plain


async def test_an_open_page_is_told_what_changed_and_nothing_else(relay: Running) -> None:
    url = relay.sidecar.admin_url + "/status/events"
    async with relay.session.get(url) as events:
        first = await news(events)
        assert set(first["sections"]) >= {"top", "token", "calls", "settings"}
        await relay.get(BALANCE)
        second = await news(events)
        while not second["sections"]:
            second = await news(events)
        assert set(second["sections"]) <= {"calls", "minutes", "token"}
        assert "get_balance" in second["sections"]["calls"]


async def test_more_open_pages_than_a_team_has_are_turned_away_until_one_is_closed(relay: Running) -> None:
    url = relay.sidecar.admin_url + "/status/events"
    pages = [await relay.session.get(url) for _ in range(MOST)]
    for page in pages:
        await news(page)
    assert (await relay.admin("/status/events"))[0] == 503
    for page in pages:
        page.close()
    async with asyncio.timeout(20):
        while True:
            async with relay.session.get(url) as again:
                if again.status == 200:
                    break
            await asyncio.sleep(0.05)


async def test_an_open_page_does_not_hold_up_the_end(localpayment: Simulator) -> None:
    async with sidecar(settings_for(localpayment.url)) as relay:
        events = await relay.session.get(relay.sidecar.admin_url + "/status/events")
        await news(events)
        async with asyncio.timeout(5):
            await relay.sidecar.__aexit__(None, None, None)
        assert await events.content.read() == b""


async def news(events: aiohttp.ClientResponse) -> dict[str, dict[str, str]]:
    async with asyncio.timeout(20):
        line = await events.content.readline()
        assert await events.content.readline() == b"\n"
    told: dict[str, dict[str, str]] = json.loads(line.removeprefix(b"data: "))
    return told
