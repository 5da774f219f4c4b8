"""A process that is told to stop before it is ready stops at once, as PID 1 too, and leaves no process behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.simulator.server import Simulator
from tests.support.namespaces import needs_pid_namespace, starting
from tests.support.origins import until
from tests.support.processes import BOUND, gone

if TYPE_CHECKING:
    from tests.support.namespaces import Started

GOOD = {
    "LOCALPAYMENT_ENVIRONMENT": "sandbox",
    "LOCALPAYMENT_USERNAME": "merchant",
    "LOCALPAYMENT_PASSWORD": "invented",
    "PROXY_LISTEN": "127.0.0.1:0",
    "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
    "PROXY_HARDENING": "off",  # or nobody could look into it
}
PAIR = '{"username": "name", "password": "word"}'
# The start as it is seen from outside: what is in the process's memory by then.
MOMENTS = ("python", "_struct", "_ctypes", "_ssl", "multidict", "uvloop")
STOPS = (signal.SIGTERM, signal.SIGINT)
either_way = pytest.mark.parametrize(
    "first", [pytest.param(True, marks=needs_pid_namespace, id="as PID 1"), pytest.param(False, id="not as PID 1")]
)


def from_command(folder: Path, script: str) -> dict[str, str]:
    """Settings whose credentials come from a shell script."""
    program = folder / "credentials"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    kept = {name: value for name, value in GOOD.items() if not name.endswith(("USERNAME", "PASSWORD"))}
    return {**kept, "LOCALPAYMENT_CREDENTIALS_COMMAND": str(program)}


async def until_there_is(process: Started, library: str) -> None:
    await until(lambda: library in process.maps)


@either_way
@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_stop_at_any_moment_of_the_start_ends_it_in_order(
    moment: str, number: signal.Signals, *, first: bool
) -> None:
    async with starting("serve", settings=GOOD, first=first) as process:
        await until_there_is(process, moment)
        finished = await process.stopped(number)
    assert (finished.code, finished.err) == (0, "")
    assert "token.refreshed" not in finished.out


@either_way
@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_stop_while_the_credentials_command_runs_ends_it_with_all_that_it_started(
    loop: str, number: signal.Signals, tmp_path: Path, *, first: bool
) -> None:
    os.mkfifo(tmp_path / "started")
    settings = from_command(tmp_path, f"sleep 600 & echo > {tmp_path}/started; exec sleep 600")
    async with starting("serve", settings={**settings, "PROXY_EVENT_LOOP": loop}, first=first) as process:
        await asyncio.to_thread((tmp_path / "started").read_text)
        (command,) = process.children
        helpers = await asyncio.to_thread(Path(f"/proc/{command}/task/{command}/children").read_text)
        finished = await process.stopped(number)
        for pid in (command, *map(int, helpers.split())):
            assert await gone(pid)
    assert (finished.code, finished.err) == (0, "")
    assert [json.loads(line)["event"] for line in finished.out.splitlines()] == ["sidecar.stopped"]


async def test_a_start_reads_the_certificates_of_the_system_only_to_verify_the_origin(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "certificates")  # to open it for reading waits for a writer
    settings = {**GOOD, "SSL_CERT_FILE": str(tmp_path / "certificates")}
    async with Simulator() as simulator:
        plain = {**settings, "LOCALPAYMENT_BASE_URL": simulator.url}
        async with starting("serve", settings=plain, first=False) as process:
            await process.says("token.refreshed")
            assert (await process.stopped()).code == 0
    verified = {**settings, "LOCALPAYMENT_BASE_URL": "https://127.0.0.1:9"}
    async with starting("serve", settings=verified, first=False) as process:
        await until(lambda: "wait_for_partner" in process.waits)
        assert (await process.stopped()).code == 0, "a stop need not wait for them"


@either_way
@pytest.mark.parametrize("number", STOPS)
async def test_a_socket_file_goes_with_a_start_that_was_stopped(
    number: signal.Signals, tmp_path: Path, *, first: bool
) -> None:
    settings = {**GOOD, "PROXY_LISTEN": f"unix:{tmp_path}/data", "PROXY_ADMIN_LISTEN": f"unix:{tmp_path}/admin"}
    async with starting("serve", settings=settings, first=first) as process:
        await until((tmp_path / "data").exists)
        assert (await process.stopped(number)).code == 0
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


@either_way
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("simulator", "--port=0", "--control-port=0"), 0), (("demo",), 143), (("wait", "--timeout=50s"), 143)],
    ids=["simulator", "demo", "wait"],
)
async def test_each_command_that_goes_on_ends_by_sigterm(arguments: tuple[str, ...], code: int, *, first: bool) -> None:
    """What has done what it was asked for ends well; `wait` was not told that the sidecar is ready."""
    async with starting(*arguments, settings={"PROXY_ADMIN_LISTEN": "127.0.0.1:9"}, first=first) as process:
        await until_there_is(process, "_struct")
        finished = await process.stopped(signal.SIGTERM)
    assert (finished.code, finished.err) == (code, "")


async def test_a_check_that_is_stopped_ends_the_command_that_it_runs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    settings = from_command(tmp_path, f"echo $$ > {tmp_path}/started; exec sleep 600")
    async with starting("check", "--live", settings=settings, first=False) as process:
        command = int(await asyncio.to_thread((tmp_path / "started").read_text))
        assert (await process.stopped(signal.SIGTERM)).code == 143
        assert await gone(command)


@pytest.mark.parametrize("moment", ["_ctypes", "uvloop"])
async def test_a_reload_that_is_asked_for_during_the_start_comes_after_it(moment: str) -> None:
    async with Simulator() as simulator:
        settings = {**GOOD, "LOCALPAYMENT_BASE_URL": simulator.url}
        async with starting("serve", settings=settings, first=False) as process:
            await until_there_is(process, moment)
            process.send(signal.SIGHUP)
            await process.says("sidecar.started")
            await process.says("reload.done")
            assert (await process.stopped()).code == 0


async def test_a_thread_that_waits_for_ever_does_not_keep_a_process_that_was_told_to_stop(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "audit")  # to open it for writing waits for a reader
    settings = {**GOOD, "PROXY_AUDIT_LOG": str(tmp_path / "audit")}
    async with starting("serve", settings=settings, first=False) as process:
        await until(lambda: "wait_for_partner" in process.waits)
        assert (await process.stopped()).code == 0


# A child that has ended is left while a command runs, and reaped as soon as that has ended.
PUT_OFF = """
import os
from proxy.process.child_reaper import own_children, reap
with own_children():
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    reap()
    print(os.path.exists(f"/proc/{child}"))
print(os.path.exists(f"/proc/{child}"))
"""


def test_a_reaping_that_met_a_command_is_made_up_for_at_its_end() -> None:
    done = subprocess.run([sys.executable, "-c", PUT_OFF], capture_output=True, text=True, check=True, timeout=BOUND)
    assert done.stdout.split() == ["True", "False"]


@needs_pid_namespace
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_what_credentials_commands_leave_does_not_stay_as_zombies(loop: str, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    script = f"echo >> {runs}; sleep 600 >/dev/null 2>&1 & setsid true & echo '{PAIR}'"
    async with Simulator() as simulator:
        settings = {
            **from_command(tmp_path, script),
            "LOCALPAYMENT_BASE_URL": simulator.url,
            "LOCALPAYMENT_CREDENTIALS_INTERVAL": "100ms",
            "PROXY_EVENT_LOOP": loop,
        }
        async with starting("serve", settings=settings, first=True) as process:
            await process.says("token.refreshed")
            await until(lambda: len(runs.read_text().splitlines()) > 5)
            left = set(process.zombies)
            await until(lambda: not left & set(process.zombies))
            finished = await process.stopped()
    assert (finished.code, finished.err) == (0, "")
    assert "credentials.reload_failed" not in finished.out, "the end of a command is told to who waits for it"
