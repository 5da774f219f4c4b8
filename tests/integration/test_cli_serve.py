"""How `serve` lives and ends as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from proxy.secret import Secret
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.support.processes import Running, ran, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME, WORD = "the-username", "the-password"
BALANCE = "/api/accounts/032.840.00000001/balance"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions(username=Secret(NAME), password=Secret(WORD))) as running_simulator:
        yield running_simulator


def told(simulator: Simulator, **more: str) -> dict[str, str]:
    return {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": simulator.url,
        "LOCALPAYMENT_USERNAME": NAME,
        "LOCALPAYMENT_PASSWORD": WORD,
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        **more,
    }


@contextlib.asynccontextmanager
async def serving(settings: dict[str, str]) -> AsyncIterator[tuple[Running, str, str]]:
    """A sidecar that has logged where it listens, and both its addresses."""
    async with running("serve", settings=settings) as sidecar:
        started = json.loads(await sidecar.says("sidecar.started"))
        yield sidecar, started["data"], started["admin"]


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        return answer.status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_calls_are_relayed_until_a_signal_ends_it(simulator: Simulator, number: signal.Signals) -> None:
    async with serving(told(simulator)) as (sidecar, data, admin):
        await sidecar.says("token.refreshed")
        assert await status_of(data + BALANCE) == 200
        assert await status_of(f"{admin}/readyz") == 200
        finished = await sidecar.stopped(number)
    assert (finished.code, finished.err) == (0, "")
    assert WORD not in finished.out


async def test_what_serves_has_imported_no_library_for_settings_and_started_no_process(
    simulator: Simulator, tmp_path: Path
) -> None:
    settings = told(simulator, PROXY_HARDENING="off", PYTHONPROFILEIMPORTTIME="1")  # else /proc shows it to root alone
    with await asyncio.to_thread((tmp_path / "imports").open, "wb") as errors:
        async with running("serve", settings=settings, stderr=errors) as sidecar:
            await sidecar.says("token.refreshed")
            process = sidecar.pid
            children = await asyncio.to_thread(Path(f"/proc/{process}/task/{process}/children").read_text)
            sidecar.send(signal.SIGHUP)
            await sidecar.says("reload.done")
            assert (await sidecar.stopped()).code == 0
    told_of = (await asyncio.to_thread((tmp_path / "imports").read_text)).splitlines()
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in told_of}
    assert children == ""
    assert {"proxy", "structlog"} <= imported
    assert not imported & {"pydantic", "pydantic_core", "pydantic_settings", "dotenv", "annotated_types"}


async def test_an_old_name_of_a_setting_is_a_warning_in_the_log_and_in_a_check(simulator: Simulator) -> None:
    settings = told(simulator, PROXY_SANDBOX="off")
    async with running("serve", settings=settings) as sidecar:
        line = json.loads(await sidecar.says("setting.deprecated"))
        assert (await sidecar.stopped()).code == 0
    assert line["level"] == "warning"
    assert line["text"].startswith("PROXY_SANDBOX is now called PROXY_HARDENING: rename it")
    checked = await ran("check", settings=settings)
    assert checked.code == 0
    assert line["text"] in checked.out
    assert re.search(r"PROXY_HARDENING\W+off", checked.out)


async def test_a_wrong_password_leaves_it_alive_and_unready(simulator: Simulator) -> None:
    async with serving(told(simulator, LOCALPAYMENT_PASSWORD="another")) as (sidecar, data, admin):
        await sidecar.says("token.fetch_failed")
        assert await status_of(f"{admin}/livez") == 200
        assert await status_of(f"{admin}/readyz") == 503
        assert await status_of(data + BALANCE) == 503
        assert (await sidecar.stopped()).code == 0
    assert simulator.token_calls == {"password": 1}


async def test_healthcheck_and_wait_see_the_sidecar_on_its_socket(simulator: Simulator, tmp_path: Path) -> None:
    settings = told(simulator, PROXY_ADMIN_LISTEN=f"unix:{tmp_path}/admin.sock")
    assert (await ran("healthcheck", settings=settings)).code == 1
    async with serving(settings):
        waited = await ran("wait", "--timeout", "20s", settings=settings)
        assert (waited.code, waited.out) == (0, "ready\n")
        assert (await ran("healthcheck", settings=settings)).code == 0
    async with serving({**settings, "LOCALPAYMENT_PASSWORD": "another"}) as (sidecar, _, _):
        await sidecar.says("token.fetch_failed")
        checked = await ran("healthcheck", settings=settings)
    assert checked.code == 1
    assert "answered 503" in checked.err


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
@pytest.mark.parametrize("source", ["LOCALPAYMENT_CREDENTIALS_FILE", "LOCALPAYMENT_CREDENTIALS_COMMAND"])
async def test_a_document_in_another_encoding_is_bad_configuration_told_in_one_line(
    simulator: Simulator, tmp_path: Path, source: str, encoding: str
) -> None:
    document = tmp_path / "account.json"
    document.write_text(f'{{"username": "merchant", "password": "{WORD}"}}', encoding=encoding)
    settings = told(simulator, **{source: str(document) if source.endswith("FILE") else f"cat {document}"})
    del settings["LOCALPAYMENT_PASSWORD"], settings["LOCALPAYMENT_USERNAME"]
    finished = await ran("serve", settings=settings)
    assert finished.code == 78
    assert len(finished.err.splitlines()) == 1
    assert "UTF-8" in finished.err
    assert WORD not in finished.err + finished.out


async def test_a_credential_file_that_vanishes_before_the_start_is_bad_configuration(
    simulator: Simulator, tmp_path: Path
) -> None:
    settings = told(simulator, LOCALPAYMENT_PASSWORD_FILE=str(tmp_path / "password"))
    del settings["LOCALPAYMENT_PASSWORD"]
    finished = await ran("serve", settings=settings)
    assert finished.code == 78
    assert len(finished.err.splitlines()) == 1
