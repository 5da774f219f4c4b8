"""What a process gives up is gone: shown from the inside by trying, and from the outside on a sidecar that serves.

Everything here happens in processes of its own, since nothing of it can be taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from proxy.process import landlock
from proxy.secret import Secret
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.support.hardened import NAME, NEXT, WORD, needs_landlock, started, told
from tests.support.processes import BOUND, Running, cleaned, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BALANCE = "/api/accounts/032.840.00000001/balance"

# Tries each thing and says what came of it: "done", or the error's name.
TRY = """
import json, os, subprocess, sys
from pathlib import Path
from proxy.process import landlock
from proxy.process.landlock import READ, Access, Rule
folder, outsider = Path(sys.argv[1]), int(sys.argv[2])

def tried(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"

everything = Access((1 << 16) - 1)
kept = [Rule(Path.cwd(), everything)] if any(name.startswith("COVERAGE_") for name in os.environ) else []
places = (sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", *filter(None, sys.path))
needed = [Rule(Path(place), READ) for place in places]
opened = (folder / "secret").open()
import ctypes
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
landlock.confine(
    [
        Rule(folder / "readable", READ),
        Rule(folder / "writable", Access.WRITE_FILE | Access.MAKE_REG),
        Rule(folder / "one-file", READ | Access.MAKE_REG),
        Rule(folder / "missing", READ),
        *needed,
        *kept,
    ]
)
print(json.dumps({
    "read": tried(lambda: (folder / "readable" / "file").read_text()),
    "list": tried(lambda: os.listdir(folder / "readable")),
    "read the one": tried(lambda: (folder / "one-file").read_text()),
    "write": tried(lambda: (folder / "writable" / "new").write_text("")),
    "read what is open": tried(opened.read),
    "read else": tried(lambda: (folder / "secret").read_text()),
    "list else": tried(lambda: os.listdir(folder)),
    "write else": tried(lambda: (folder / "readable" / "file").write_text("")),
    "read what may be written": tried(lambda: (folder / "writable" / "old").read_text()),
    "remove": tried((folder / "writable" / "old").unlink),
    "make a folder": tried((folder / "writable" / "new-folder").mkdir),
    "run a program": tried(lambda: subprocess.run(["/bin/true"], check=True)),
    "signal": tried(lambda: os.kill(outsider, 0)),
}))
"""
ALLOWED = {"read", "list", "read the one", "write", "read what is open"}

# Runs Python without what lets root look into every process (CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON), so that root
# is as other users are to each other's processes and to their own.
UNPRIVILEGED = """
import ctypes, os, sys
for capability in (19, 21, 38):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
READ = "import sys; print(open(sys.argv[1]).read())"

FORGET = """
import os
from pathlib import Path
from proxy.hardening import forget
forget(os.environ)
print(sorted(name for name in os.environ if name.startswith("LOCALPAYMENT")))
print(Path("/proc/self/environ").read_text())
"""

HARDEN = """
import dataclasses, json, sys
from pathlib import Path
from proxy.config import CommandSource, load_settings
from proxy.hardening import harden
account = {"LOCALPAYMENT_USERNAME": "u", "LOCALPAYMENT_PASSWORD": "p"}
settings = load_settings({"LOCALPAYMENT_ENVIRONMENT": "sandbox", **account})
told = json.loads(sys.argv[1])
changes = {"hardening": told["hardening"], "audit_log": Path.cwd() / "audit.jsonl"}
if told["command"]:
    changes["credentials"] = CommandSource(("true",))
if told["thread"]:
    import threading
    threading.Thread(target=threading.Event().wait, daemon=True).start()
if told["no_kernel"]:
    from proxy.process import landlock
    landlock._CREATE_RULESET = 999_999
print(harden(dataclasses.replace(settings, **changes)))
import subprocess
try:
    subprocess.run(["/bin/true"], check=True)
except PermissionError:
    print("no program can be started")
"""


def said(script: str, *arguments: str, **settings: str) -> str:
    """Run a script in a process of its own; return what it wrote."""
    command = (sys.executable, "-c", script, *arguments)
    environ = {**cleaned({}), "PYTHONPATH": str(Path.cwd()), **settings}
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=BOUND).stdout


@needs_landlock
def test_a_confined_process_reaches_what_it_was_left_and_nothing_else(tmp_path: Path) -> None:
    for name in ("readable/file", "writable/old", "secret", "one-file"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("content")
    tried = json.loads(said(TRY, str(tmp_path), str(os.getpid())))
    if landlock.version() < 6:
        del tried["signal"]
    assert {name for name, outcome in tried.items() if outcome == "done"} == ALLOWED
    assert {outcome for name, outcome in tried.items() if name not in ALLOWED} == {"PermissionError"}


def test_secrets_leave_the_environment_and_what_the_kernel_shows_of_it() -> None:
    secrets = {"LOCALPAYMENT_USERNAME": NAME, "LOCALPAYMENT_PASSWORD": WORD, "LOCALPAYMENT_VAULT_TOKEN": "t0ken"}
    out = said(FORGET, **secrets, LOCALPAYMENT_ENVIRONMENT="sandbox")
    left, _, shown = out.partition("\n")
    assert left == "['LOCALPAYMENT_ENVIRONMENT']"
    assert "LOCALPAYMENT_ENVIRONMENT=sandbox" in shown
    assert "PYTHONPATH" in shown
    for value in secrets.values():
        assert value not in shown


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, ["files confined by Landlock", "no core dumps", "no new privileges", "no program can be started"]),
        ({"no_kernel": True}, ["let no Landlock be used", "no core dumps", "no new privileges"]),
        ({"thread": True}, ["let no Landlock be used", "no core dumps", "no new privileges"]),
        ({"command": True}, ["runs or reads what only it knows", "no core dumps", "new privileges as the system"]),
        ({"hardening": "off"}, ["files not confined", "core dumps as the system", "new privileges as the system"]),
    ],
)
@needs_landlock
def test_what_is_given_up_is_what_is_told(told: dict[str, Any], words: list[str]) -> None:
    out = said(HARDEN, json.dumps({"hardening": "auto", "command": False, "thread": False, "no_kernel": False, **told}))
    for word in words:
        assert word in out
    assert ("no program can be started" in out) == ("confined by" in out)


# A sidecar that serves


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions(username=Secret(NAME), password=Secret(WORD))) as started:
        yield started


async def asked(method: str, url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as client, client.request(method, url) as answer:
        return answer.status, await answer.text()


@contextlib.asynccontextmanager
async def unprivileged(settings: dict[str, str]) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UNPRIVILEGED, "-m", "proxy", "serve"),
        env={**cleaned({}), **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        await process.communicate()


async def seen_by_another_process(sidecar: Running) -> subprocess.CompletedProcess[str]:
    place = f"/proc/{sidecar.pid}/environ"
    command = (sys.executable, "-c", UNPRIVILEGED, "-I", "-c", READ, place)
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=BOUND, check=False)


async def test_another_process_of_the_same_user_cannot_look_into_the_sidecar(simulator: Simulator) -> None:
    async with unprivileged(told(simulator, LOCALPAYMENT_PASSWORD=WORD)) as sidecar:
        await started(sidecar)
        seen = await seen_by_another_process(sidecar)
        assert seen.returncode != 0
        assert "PermissionError" in seen.stderr
        status = await asyncio.to_thread(Path(f"/proc/{sidecar.pid}/status").read_text)
        assert "NoNewPrivs:\t1" in status


async def test_without_hardening_it_can_and_still_finds_no_password(simulator: Simulator) -> None:
    settings = told(simulator, LOCALPAYMENT_PASSWORD=WORD, PROXY_HARDENING="off")
    async with unprivileged(settings) as sidecar:
        line = await started(sidecar)
        assert line["hardening"].startswith("files not confined")
        seen = await seen_by_another_process(sidecar)
        assert "PROXY_HARDENING=off" in seen.stdout
        assert WORD not in seen.stdout
        assert NAME not in seen.stdout


@needs_landlock
async def test_a_confined_sidecar_does_all_its_work(simulator: Simulator, tmp_path: Path) -> None:
    """Reload of a replaced policy and of a mounted secret, audit lines, a socket file that goes at the end."""
    secrets, logs, sockets = (tmp_path / name for name in ("secrets", "logs", "sockets"))
    for folder in (secrets, logs, sockets):
        await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread(mount, secrets, WORD)
    policy = secrets / "policy.toml"
    await asyncio.to_thread(policy.write_text, '[callers.all]\nanyone = true\nallow = ["read", "state"]\n')
    settings = told(
        simulator,
        LOCALPAYMENT_PASSWORD_FILE=str(secrets / "password"),
        LOCALPAYMENT_CREDENTIALS_INTERVAL="100ms",
        PROXY_POLICY_FILE=str(policy),
        PROXY_AUDIT_LOG=str(logs / "audit.jsonl"),
        PROXY_ADMIN_LISTEN=f"unix:{sockets}/admin.sock",
    )
    async with running("serve", settings=settings) as sidecar:
        line = await started(sidecar)
        assert line["hardening"] == "files confined by Landlock, no core dumps, no new privileges"
        assert (await asked("GET", line["data"] + BALANCE))[0] == 200
        assert (await asked("POST", line["data"] + "/api/card"))[0] != 403
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(f"{sockets}/admin.sock")) as admin:
            async with admin.get("http://localhost/metrics") as answer:
                metrics = await answer.text()
            assert 'hardening_info{dumps="true",files="confined",privileges="true"} 1.0' in metrics
            assert "process_open_fds" in metrics
            await asyncio.to_thread(replace, policy, '[callers.all]\nanyone = true\nallow = ["list_banks"]\n')
            async with admin.post("http://localhost/-/reload") as answer:
                assert (answer.status, "policy: read anew" in await answer.text()) == (200, True)
        assert (await asked("GET", line["data"] + BALANCE))[0] == 403
        await asyncio.to_thread(mount, secrets, NEXT)
        await sidecar.says("credentials.changed")
        assert (await sidecar.stopped()).code == 0
    audited = await asyncio.to_thread((logs / "audit.jsonl").read_text)
    assert json.loads(audited)["operation"] == "tokenize_card"
    assert not await asyncio.to_thread((sockets / "admin.sock").exists)


def replace(path: Path, text: str) -> None:
    """Put a new file in the place of another, as careful writers do."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def mount(folder: Path, password: str) -> None:
    """Lay a secret out as Kubernetes does, or swap it for another."""
    version = folder / f"..{password}"
    version.mkdir()
    (version / "password").write_text(password)
    fresh = folder / "..fresh"
    fresh.symlink_to(version.name)
    fresh.replace(folder / "..data")
    if not (folder / "password").is_symlink():
        (folder / "password").symlink_to("..data/password")
