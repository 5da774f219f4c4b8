"""Orders to the running sidecar: reload, lock, unlock; over the admin listener, by signal and from a shell."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
from typing import TYPE_CHECKING

import pytest
import trustme

from proxy.config import Problem, SettingsError
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.support.processes import ran, running
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from proxy.config import Settings

BALANCE = "/api/accounts/032.840.00000001/balance"


@pytest.fixture
async def localpayment() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def relay(localpayment: Simulator) -> AsyncIterator[Running]:
    async with sidecar(settings_for(localpayment.url)) as started:
        yield started


async def test_a_locked_sidecar_holds_no_token_and_refuses_every_call_until_it_is_unlocked(
    relay: Running, localpayment: Simulator
) -> None:
    assert await relay.admin("/-/lock", "POST") == (202, "locked: no token is held, every call is refused\n")
    status, body = await relay.get(BALANCE)
    problem = json.loads(body)
    assert (status, problem["code"], problem["outcome"]) == (503, "locked", "not_sent")
    assert (await relay.admin("/readyz"))[0] == 503
    assert relay.value("token_state", state="locked") == 1
    assert relay.value("token_expiry_timestamp_seconds") == 0
    assert localpayment.attempts("get_balance") == 0

    await relay.admin("/-/unlock", "POST")
    assert (await relay.get(BALANCE))[0] == 200
    assert localpayment.token_calls["password"] == 2


async def test_a_reload_without_changes_says_that_everything_was_read(relay: Running) -> None:
    status, text = await relay.admin("/-/reload", "POST")
    assert status == 200
    assert text.splitlines() == [
        "settings: read anew",
        "policy: PROXY_POLICY_FILE is not set",
        "CA file: not used, since LOCALPAYMENT_BASE_URL is http",
        "credentials: not read, since the settings hold them: restart to change them",
    ]
    assert len(relay.lines("reload.done")) == 1


async def test_a_reload_moves_the_log_level_and_names_what_needs_a_restart(localpayment: Simulator) -> None:
    settings = settings_for(localpayment.url)
    changed = dataclasses.replace(settings, log_level="warning", max_in_flight=1)
    async with sidecar(settings, reread=lambda: changed) as relay:
        assert await relay.get(BALANCE)
        status, text = await relay.admin("/-/reload", "POST")
        assert await relay.get(BALANCE)
        assert await relay.get(BALANCE)
        again = await relay.admin("/-/reload", "POST")
    assert status == 500
    assert "settings: restart to change PROXY_MAX_IN_FLIGHT" in text
    assert again == (status, text), "it is not in force after a second reload either"
    assert len(relay.lines("request.relayed")) == 1, "the calls after the reload are below the level"


async def test_a_broken_reload_keeps_what_is_in_use_and_says_so(localpayment: Simulator) -> None:
    def broken() -> Settings:
        raise SettingsError((Problem("PROXY_LOG_LEVEL", "loud", "write debug, info, warning or error"),))

    async with sidecar(settings_for(localpayment.url), reread=broken) as relay:
        status, text = await relay.admin("/-/reload", "POST")
        assert status == 500
        assert "settings: the old ones stay: PROXY_LOG_LEVEL=loud" in text
        assert (await relay.get(BALANCE))[0] == 200
        assert relay.lines("reload.incomplete")[0]["kept"] == [text.splitlines()[0]]


def authority(path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(path))
    return made


def server_of(made: trustme.CA) -> SimulatorOptions:
    import ssl  # noqa: PLC0415 - this one test speaks TLS

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    return SimulatorOptions(ssl_context=context)


async def test_a_reload_trusts_the_ca_file_as_it_is_now_and_no_broken_one(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    first = authority(ca_file)
    async with Simulator(server_of(first)) as simulator:
        settings = settings_for(simulator.url, upstream_ca_file=ca_file)
        async with sidecar(settings) as relay:
            ca_file.write_text("not a certificate")
            assert (await relay.admin("/-/reload", "POST"))[0] == 500
            assert (await relay.get(BALANCE))[0] == 200
            authority(ca_file)
            assert (await relay.admin("/-/reload", "POST"))[0] == 200
            status, body = await relay.get(BALANCE)
            assert (status, json.loads(body)["code"]) == (503, "upstream_tls")
            first.cert_pem.write_to_path(str(ca_file))
            assert (await relay.admin("/-/reload", "POST"))[0] == 200
            assert (await relay.get(BALANCE))[0] == 200


async def test_sighup_reloads_the_configuration_file(
    localpayment: Simulator, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    configuration = tmp_path / "proxy.toml"
    configuration.write_text('proxy_log_level = "warning"\n')
    settings = served_by(localpayment, unused_tcp_port_factory(), PROXY_CONFIG_FILE=str(configuration))
    async with running("serve", settings=settings) as process:
        assert (await ran("wait", settings=settings)).code == 0
        configuration.write_text('proxy_log_level = "info"\n')
        process.send(signal.SIGHUP)
        assert await process.says('"reload.done"')


async def test_a_shell_locks_unlocks_and_reloads_with_the_admin_key(
    localpayment: Simulator, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    key_file = tmp_path / "admin.key"
    key_file.write_text("0123456789abcdef0123456789abcdef\n")
    key_file.chmod(0o600)
    settings = served_by(localpayment, unused_tcp_port_factory(), PROXY_ADMIN_KEY_FILE=str(key_file))
    without_key = {name: value for name, value in settings.items() if name != "PROXY_ADMIN_KEY_FILE"}
    async with running("serve", settings=settings):
        assert (await ran("wait", settings=settings)).code == 0
        refused = await ran("lock", settings=without_key)
        locked = await ran("lock", settings=settings)
        unready = await ran("healthcheck", settings=settings)
        unlocked = await ran("unlock", settings=settings)
        ready = await ran("wait", settings=settings)
        reloaded = await ran("reload", settings=settings)
    assert (refused.code, "admin key" in refused.err) == (1, True)
    assert (locked.code, unready.code, unlocked.code, ready.code) == (0, 1, 0, 0)
    assert (reloaded.code, len(reloaded.out.splitlines())) == (0, 4)


async def test_a_shell_finds_the_admin_key_where_serve_finds_it(
    localpayment: Simulator, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    key_file, configuration = tmp_path / "admin.key", tmp_path / "settings.toml"
    key_file.write_text("0123456789abcdef-ключ\n")
    key_file.chmod(0o600)
    configuration.write_text(f'proxy_admin_key_file = "{key_file}"\n')
    settings = served_by(localpayment, unused_tcp_port_factory(), PROXY_CONFIG_FILE=str(configuration))
    async with running("serve", settings=settings):
        assert (await ran("wait", settings=settings)).code == 0
        locked = await ran("lock", settings=settings)
        key_file.write_text("0123456789abcdef\n0123456789abcdef\n")
        broken = await ran("unlock", settings=settings)
        key_file.unlink()
        missing = await ran("unlock", settings=settings)
    assert locked.code == 0
    assert (broken.code, broken.err.startswith("PROXY_ADMIN_KEY_FILE="), "0123" in broken.err) == (78, True, False)
    assert (missing.code, missing.err.startswith("PROXY_ADMIN_KEY_FILE=")) == (78, True)


async def test_a_shell_makes_it_unready_and_ends_it(
    localpayment: Simulator, unused_tcp_port_factory: Callable[[], int]
) -> None:
    settings = served_by(localpayment, unused_tcp_port_factory())
    async with running("serve", settings=settings) as process:
        assert (await ran("wait", settings=settings)).code == 0
        drained = await ran("drain", settings=settings)
        unready = await ran("healthcheck", settings=settings)
        ended = await ran("quit", settings=settings)
        code = (await process.finished()).code
    assert (drained.code, drained.out) == (0, "unready from now on\n")
    assert (unready.code, "draining" in unready.err) == (1, True)
    assert (ended.code, ended.out, code) == (0, "shutting down\n", 0)


async def test_orders_to_nobody_say_so(unused_tcp_port: int) -> None:
    settings = {"PROXY_ADMIN_LISTEN": f"127.0.0.1:{unused_tcp_port}"}
    commands = [ran(name, settings=settings) for name in ("lock", "unlock", "reload", "drain", "quit")]
    for finished in await asyncio.gather(*commands):
        assert finished.code == 1
        assert "is `serve` running there?" in finished.err


def served_by(localpayment: Simulator, admin_port: int, **more: str) -> dict[str, str]:
    return {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": localpayment.url,
        "LOCALPAYMENT_USERNAME": "merchant",
        "LOCALPAYMENT_PASSWORD": "invented",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        **more,
    }
