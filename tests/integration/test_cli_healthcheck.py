"""How `healthcheck` and `wait` tell whether the sidecar of this machine is ready."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from proxy.cli.admin import client as admin_client
from proxy.cli.admin.client import DEFAULT, VARIABLE, AddressError, admin_address
from proxy.config.declared_settings import SETTINGS
from tests.support.processes import ran

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SLOWEST = 0.05  # seconds; a probe that may not take longer


class Admin:
    """An admin listener that answers what it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.text = "ready"
        self.probes = 0
        self.ready_at: int | None = None

    async def answer(self, request: web.Request) -> web.Response:
        assert (request.method, request.path) == ("GET", "/readyz")
        self.probes += 1
        if self.ready_at is not None and self.probes >= self.ready_at:
            self.status = 200
        return web.Response(status=self.status, text=self.text)


@pytest.fixture
def admin() -> Admin:
    return Admin()


@pytest.fixture
async def runner(admin: Admin) -> AsyncIterator[web.AppRunner]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", admin.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    yield runner
    await runner.cleanup()


@pytest.fixture
async def address(runner: web.AppRunner) -> str:
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return f"127.0.0.1:{site.port}"


async def test_a_ready_sidecar_is_exit_code_0(address: str) -> None:
    finished = await ran("healthcheck", settings={VARIABLE: address})
    assert (finished.code, finished.out, finished.err) == (0, "ready\n", "")


async def test_a_sidecar_that_is_not_ready_is_exit_code_1_with_its_reason(address: str, admin: Admin) -> None:
    admin.status, admin.text = 503, "no token yet\n\x1b[31mand red"
    finished = await ran("healthcheck", settings={VARIABLE: address})
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == f"not ready: {address}/readyz answered 503 no token yet [31mand red\n"


async def test_a_unix_socket_is_asked_as_well(runner: web.AppRunner, tmp_path: Path) -> None:
    await web.UnixSite(runner, str(tmp_path / "admin.sock")).start()
    finished = await ran("healthcheck", settings={VARIABLE: f"unix:{tmp_path}/admin.sock"})
    assert (finished.code, finished.out) == (0, "ready\n")


async def test_the_settings_file_says_where_when_the_environment_does_not(address: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'proxy_admin_listen = "{address}"\n')
    assert (await ran("healthcheck", settings={"PROXY_CONFIG_FILE": str(file)})).code == 0
    both = {"PROXY_CONFIG_FILE": str(file), VARIABLE: "127.0.0.1:1"}
    assert (await ran("healthcheck", settings=both)).code == 1


@pytest.mark.parametrize("path", ["nothing.sock", "directory"])
async def test_a_dead_unix_socket_is_exit_code_1(tmp_path: Path, path: str) -> None:
    (tmp_path / "directory").mkdir()
    finished = await ran("healthcheck", settings={VARIABLE: f"unix:{tmp_path}/{path}"})
    assert finished.code == 1
    assert "is `serve` running there?" in finished.err


async def test_nothing_there_is_exit_code_1_with_a_question() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        finished = await ran("healthcheck", settings={VARIABLE: address})
    assert finished.code == 1
    assert finished.err == f"nothing answers at {address} (Connection refused); is `serve` running there?\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({VARIABLE: "8081"}, "PROXY_ADMIN_LISTEN: write host:port"),
        ({VARIABLE: "127.0.0.1:0"}, "leaves the port to the kernel"),
        ({"PROXY_CONFIG_FILE": "/nowhere/settings.toml"}, "PROXY_CONFIG_FILE cannot be read as TOML"),
    ],
)
async def test_an_address_that_cannot_be_known_is_exit_code_78(settings: dict[str, str], message: str) -> None:
    finished = await ran("healthcheck", settings=settings)
    assert finished.code == 78
    assert message in finished.err


async def test_wait_returns_as_soon_as_the_sidecar_is_ready(address: str, admin: Admin) -> None:
    admin.status, admin.ready_at = 503, 3
    finished = await ran("wait", "--timeout", "30s", settings={VARIABLE: address})
    assert (finished.code, finished.out, admin.probes) == (0, "ready\n", 3)


async def test_wait_gives_up_in_time_with_the_last_objection(address: str, admin: Admin) -> None:
    admin.status, admin.text = 503, "no token yet"
    finished = await ran("wait", "--timeout", "250ms", settings={VARIABLE: address})
    assert finished.code == 1
    assert finished.err.endswith("answered 503 no token yet\n")
    assert admin.probes >= 2


async def test_an_unknown_unit_is_wrong_usage() -> None:
    finished = await ran("wait", "--timeout", "30")
    assert finished.code == 2
    assert "a duration carries its unit" in finished.err


async def test_a_listener_that_hangs_or_babbles_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = admin_address({VARIABLE: f"127.0.0.1:{silent.getsockname()[1]}"})
        hangs = await asyncio.to_thread(admin_client.readiness, there, SLOWEST)
    assert hangs == f"no answer from {there} within {SLOWEST:g} s"

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        there = admin_address({VARIABLE: f"127.0.0.1:{server.sockets[0].getsockname()[1]}"})
        babbles = await asyncio.to_thread(admin_client.readiness, there)
    assert babbles == f"what answers at {there} does not speak HTTP"


@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("0.0.0.0:8081", "127.0.0.1:8081"),
        ("[::]:8081", "[::1]:8081"),
        ("192.0.2.7:9000", "192.0.2.7:9000"),
        ("localhost:9000", "localhost:9000"),
        ("unix:/run/admin.sock", "unix:/run/admin.sock"),
    ],
)
def test_what_is_listened_on_says_what_is_dialled(written: str, dialled: str) -> None:
    assert str(admin_address({VARIABLE: written})) == dialled


def test_without_a_setting_the_default_of_serve_is_dialled(tmp_path: Path) -> None:
    assert SETTINGS[VARIABLE].default == DEFAULT
    file = tmp_path / "settings.toml"
    file.write_text("proxy_admin_listen = 8081\n")
    for settings in ({}, {"PROXY_CONFIG_FILE": str(file)}):
        assert str(admin_address(settings)) == DEFAULT


def test_a_broken_settings_file_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("localpayment_password = hunter2\n")
    with pytest.raises(AddressError) as raised:
        admin_address({"PROXY_CONFIG_FILE": str(file)})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("arguments", [("healthcheck",), ("--help",), ("wait", "--timeout", "1ms")])
async def test_fast_commands_load_neither_asyncio_nor_aiohttp(arguments: tuple[str, ...]) -> None:
    script = (
        "import sys; from proxy.cli.commands import exit_code; exit_code(sys.argv[1:]); "
        "print(sorted({'aiohttp', 'asyncio', 'structlog'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines()[-1] == "[]"
