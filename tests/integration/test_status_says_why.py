"""A sidecar that is not ready names, wherever it is asked, the cause that `check --live` names, and what to do."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import socket
import ssl
from typing import TYPE_CHECKING

import click
import pytest
import trustme

from proxy.cli.admin.status_lines import status_lines
from proxy.cli.check.findings import Finding, Result
from proxy.cli.check.run import run_checks
from proxy.config import load_settings
from proxy.secret import Secret
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.support.sidecars import Running, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

BALANCE = "/api/accounts/032.840.00000001/balance"
BOUND = 20.0  # seconds that nothing here may take; only a defect reaches it


def environment(origin: str, **more: str) -> dict[str, str]:
    return {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": origin,
        "LOCALPAYMENT_USERNAME": "merchant",
        "LOCALPAYMENT_PASSWORD": "an-invented-password",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        **more,
    }


async def checked(settings: dict[str, str]) -> Finding:
    report = await asyncio.to_thread(run_checks, settings, live=True, country="ARG")
    return next(finding for finding in report.findings if finding.result is Result.FAILED)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND):
        while not holds():  # noqa: ASYNC110 - the sidecar's state tells nobody
            await asyncio.sleep(0.01)


async def told(relay: Running) -> dict[str, str]:
    """Cause and advice, which `/readyz`, the page and the terminal tell in full."""
    status, text = await relay.admin("/readyz")
    view = json.loads((await relay.admin("/status"))[1])
    why: dict[str, str] = view["why"]
    _, page = await relay.admin("/status", headers={"Accept": "text/html"})
    terminal = "".join(click.unstyle("".join(status_lines(view, "utf-8", 80, 23))).split())
    assert status == 503
    for words in why.values():
        assert words in text
        assert words in html.unescape(page)
        assert "".join(words.split()) in terminal
    assert "an-invented-password" not in text + page
    return why


@contextlib.asynccontextmanager
async def unready(settings: dict[str, str]) -> AsyncIterator[Running]:
    async with sidecar(load_settings(settings), ready=False) as relay:
        await until(lambda: relay.sidecar.observers.history.failure is not None)
        yield relay


@contextlib.asynccontextmanager
async def nothing_listens() -> AsyncIterator[dict[str, str]]:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        yield environment(f"http://127.0.0.1:{dead.getsockname()[1]}")


@contextlib.asynccontextmanager
async def unknown_name() -> AsyncIterator[dict[str, str]]:
    yield environment("https://localpayment.invalid")


@contextlib.asynccontextmanager
async def untrusted_certificate() -> AsyncIterator[dict[str, str]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with Simulator(SimulatorOptions(ssl_context=context)) as there:
        yield environment(there.url.replace("127.0.0.1", "localhost"))


@contextlib.asynccontextmanager
async def no_tls() -> AsyncIterator[dict[str, str]]:
    async with Simulator() as there:
        yield environment(there.url.replace("http:", "https:"))


@contextlib.asynccontextmanager
async def wrong_password() -> AsyncIterator[dict[str, str]]:
    async with Simulator(SimulatorOptions(password=Secret("another-password"))) as there:
        yield environment(there.url)


def answered(status: int) -> Callable[[], contextlib.AbstractAsyncContextManager[dict[str, str]]]:
    @contextlib.asynccontextmanager
    async def made() -> AsyncIterator[dict[str, str]]:
        async with Simulator() as there:
            there.add_fault(Fault(Kind.STATUS, "token_endpoints", times=None, status=status))
            yield environment(there.url)

    return made


@pytest.mark.parametrize(
    ("scene", "cause", "advice"),
    [
        (nothing_listens, "refuses connections", "nothing listens there"),
        (unknown_name, "localpayment.invalid cannot be resolved", "resolver knows the name"),
        (untrusted_certificate, "the certificate of localhost is not trusted", "PROXY_UPSTREAM_CA_FILE"),
        (no_tls, "the TLS handshake with 127.0.0.1 failed", "speaks TLS"),
        (wrong_password, "wrong username or password", "sandbox and production differ"),
        (answered(403), "not permitted from here", "allow-list the public address"),
        (answered(404), "wrong origin", "LOCALPAYMENT_BASE_URL"),
        (answered(429), "throttles", "whatever else logs in"),
        (answered(503), "the token endpoint failed (503)", "ask Localpayment for its status"),
    ],
    ids=["refused", "name", "certificate", "no tls", "password", "403", "404", "429", "503"],
)
async def test_the_cause_that_check_live_would_name(
    scene: Callable[[], contextlib.AbstractAsyncContextManager[dict[str, str]]], cause: str, advice: str
) -> None:
    async with scene() as settings, unready(settings) as relay:
        why, finding = await told(relay), await checked(settings)
    assert cause in why["cause"]
    assert cause in finding.found
    assert advice in why["advice"]
    assert why["advice"] == finding.advice


async def test_a_way_that_never_answers_is_told_from_a_slow_answer() -> None:
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # fills the queue, so that the kernel drops what comes after
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        origin = f"http://127.0.0.1:{full.getsockname()[1]}"
        settings = environment(origin, PROXY_CONNECT_TIMEOUT="100ms", PROXY_TOKEN_TIMEOUT="200ms")
        async with unready(settings) as relay:
            why, finding = await told(relay), await checked(settings)
    assert why["cause"].startswith("no connection to the token endpoint came about")
    assert why["advice"] == finding.advice
    assert "firewall" in why["advice"]


async def test_a_token_that_the_api_refuses_is_told_as_check_does() -> None:
    async with Simulator() as there:
        settings = environment(there.url, PROXY_TOKEN_WAIT="300ms")
        proven = {"status": 401, "body": '{"detail":"x","code":"token_not_valid","messages":[]}'}
        there.add_fault(Fault(Kind.STATUS, "*", times=None, **proven))  # type: ignore[arg-type]  # texts and a number
        async with sidecar(load_settings(settings)) as relay:
            for _ in range(8):
                await relay.get(BALANCE)
            await until(lambda: relay.sidecar.keeper.unreplaced)
            why, finding = await told(relay), await checked(settings)
            assert (await relay.admin("/readyz"))[1].startswith("Localpayment refuses the token that is held")
    assert why == {"cause": finding.found, "advice": finding.advice}


async def test_a_sidecar_that_has_just_started_says_that_a_token_is_being_fetched() -> None:
    async with Simulator() as there:
        there.add_fault(Fault(Kind.HANG, "token_endpoints", times=None))
        async with sidecar(load_settings(environment(there.url)), ready=False) as relay:
            assert (await told(relay))["cause"] == "a token is being fetched"
            assert (await relay.admin("/startupz"))[1].startswith("no token was got yet: a token is being fetched")
            there.clear_faults()


async def test_a_lock_says_how_it_ends() -> None:
    async with Simulator() as there, sidecar(load_settings(environment(there.url))) as relay:
        await relay.admin("/-/lock", "POST")
        assert "localpayment-proxy unlock" in (await told(relay))["advice"]
        assert relay.sidecar.keeper.state.value == "locked"


async def test_a_drain_says_how_it_ends() -> None:
    async with Simulator() as there, sidecar(load_settings(environment(there.url))) as relay:
        await relay.admin("/-/drain", "POST")
        assert "restart it" in (await told(relay))["advice"]


async def test_renewals_that_fail_are_told_while_the_token_still_serves() -> None:
    async with Simulator() as there, sidecar(load_settings(environment(there.url))) as relay:
        there.add_fault(Fault(Kind.STATUS, "token_endpoints", times=None, status=500))
        relay.sidecar.keeper.dispute(1)
        await until(lambda: relay.sidecar.observers.history.failure is not None)
        view = json.loads((await relay.admin("/status"))[1])
        _, page = await relay.admin("/status", headers={"Accept": "text/html"})
    assert view["ready"]
    assert view["why"] is None
    assert view["token"]["failing"]["cause"] == "the token endpoint failed (500)"
    assert "the token endpoint failed (500)" in page


async def test_new_credentials_that_are_refused_are_told_while_the_old_session_serves(tmp_path: Path) -> None:
    username, password = tmp_path / "username", tmp_path / "password"
    username.write_text("merchant")
    password.write_text("an-invented-password")
    async with Simulator(SimulatorOptions(password=Secret("an-invented-password"))) as there:
        settings = environment(there.url, LOCALPAYMENT_USERNAME_FILE=str(username))
        settings |= {"LOCALPAYMENT_PASSWORD_FILE": str(password), "LOCALPAYMENT_CREDENTIALS_INTERVAL": "1h"}
        del settings["LOCALPAYMENT_USERNAME"], settings["LOCALPAYMENT_PASSWORD"]
        async with sidecar(await asyncio.to_thread(load_settings, settings)) as relay:
            password.write_text("a-wrong-password")
            await relay.admin("/-/reload", "POST")
            await until(lambda: relay.sidecar.keeper.rejected)
            relay.sidecar.keeper.dispute(1)  # has a token fetched, which the old session still buys
            await until(lambda: relay.sidecar.observers.history.failure is None)
            view = json.loads((await relay.admin("/status"))[1])
    assert view["ready"]
    assert "wrong username or password" in view["token"]["failing"]["cause"]


async def test_fetches_that_are_alike_are_one_row() -> None:
    async with nothing_listens() as settings, unready(settings) as relay:
        history = relay.sidecar.observers.history
        await until(lambda: history.fetches[-1].times >= 3)
        fetches = json.loads((await relay.admin("/status"))[1])["token"]["fetches"]
        _, page = await relay.admin("/status", headers={"Accept": "text/html"})
    (fetch,) = fetches
    assert fetch["times"] >= 3
    assert fetch["since"] < fetch["at"]
    assert "times since" in page


async def test_an_unknown_outcome_shows_its_request_id_and_wrong_statuses_are_marked() -> None:
    async with Simulator() as there, sidecar(load_settings(environment(there.url))) as relay:
        there.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payout"))
        payout = {"externalId": "canary-payout", "amount": 10, "currency": "MXN", "country": "MEX"}
        await relay.post("/api/payout", payout, headers={"X-Request-Id": "shop-4711"})
        there.add_fault(Fault(Kind.STATUS, "get_balance", status=500))
        await relay.get(BALANCE)
        await relay.get(BALANCE)
        view = json.loads((await relay.admin("/status"))[1])
        _, page = await relay.admin("/status", headers={"Accept": "text/html"})
    assert view["unsettled"]["last"][0]["request_id"] == "shop-4711"
    assert "<code>shop-4711</code>" in page
    assert [call["wrong"] for call in view["last_calls"]] == [False, True, True]
    assert [call["request_id"] for call in view["last_calls"]] == [None] * 3
    assert '<strong class="bad">500</strong>' in page
    lines = list(status_lines(view, "utf-8"))
    assert sum("\x1b[31m" in line and " 500 " in line for line in lines) == 1
    assert any("request_id shop-4711" in click.unstyle(line) for line in lines)


async def test_the_root_of_the_admin_listener_is_an_index() -> None:
    async with Simulator() as there, sidecar(load_settings(environment(there.url))) as relay:
        status, text = await relay.admin("/")
        _, page = await relay.admin("/", headers={"Accept": "text/html"})
        for path in ("/status", "/metrics", "/readyz", "/startupz", "/livez"):
            assert f"GET {path} " in text
            assert f'href="{path}"' in page
            assert (await relay.admin(path))[0] == 200
    assert (status, text.endswith("\n")) == (200, True)


async def test_probes_log_nothing_and_the_start_line_names_only_what_differs() -> None:
    async with Simulator() as there, sidecar(load_settings(environment(there.url))) as relay:
        for path in ("/livez", "/readyz", "/startupz"):
            await relay.admin(path)
        relay.sidecar.make_unready()
        await relay.admin("/readyz")
        assert relay.lines("admin.answered") == []
        (line,) = relay.lines("sidecar.started")
        assert line["status"] == f"{relay.sidecar.admin_url}/status"
    assert set(line["settings"]) == {
        "LOCALPAYMENT_ENVIRONMENT",
        "LOCALPAYMENT_BASE_URL",
        "LOCALPAYMENT_USERNAME",
        "LOCALPAYMENT_PASSWORD",
        "PROXY_LISTEN",
        "PROXY_ADMIN_LISTEN",
    }
