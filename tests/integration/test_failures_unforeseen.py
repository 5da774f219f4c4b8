"""What nobody foresaw ends the process with exit code 1, and tells its type and place but nothing of its text."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from proxy.simulator.server import Simulator
from tests.support.processes import BOUND, Finished, cleaned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CANARY = "canary-8d1e"
# Started as the product is, but with something spoilt.
SCRIPT = """
import asyncio, sys, proxy.app, proxy.serve, proxy.cli.check.usable_settings
from proxy.__main__ import main
def fails(*_, **__):
    try:
        raise ValueError("{canary} of the cause")
    except ValueError as error:
        raise {kind}("{canary}") from error
async def fails_later(*_, **__):
    fails()
{spoil}
sys.argv = ["localpayment-proxy", "serve"]
sys.exit(main())
"""
# How Python is told to say more than usual; nothing of it may bring the text back.
TALKATIVE = {
    "as usual": {},
    "with faulthandler": {"PYTHONFAULTHANDLER": "1"},
    "in development mode": {"PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"},
}
SPOILT = {
    "its start": "proxy.app.Sidecar._start = fails_later",
    "its run": "proxy.app.Sidecar.run = fails_later",
    "its end": "proxy.app.Sidecar.run = lambda _: asyncio.sleep(0); proxy.app.Sidecar.drain = fails_later",
}
talkative = pytest.mark.parametrize("environment", TALKATIVE.values(), ids=TALKATIVE)


@pytest.fixture
async def localpayment() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


async def ended(localpayment: Simulator, spoil: str, kind: str, **environment: str) -> Finished:
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": localpayment.url,
        "LOCALPAYMENT_USERNAME": "merchant",
        "LOCALPAYMENT_PASSWORD": "an-invented-password",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        **environment,
    }
    script = SCRIPT.format(canary=CANARY, spoil=spoil, kind=kind)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        env=cleaned(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(BOUND):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())


def failure(finished: Finished) -> dict[str, Any]:
    """The one line that tells of the defect."""
    (line,) = (json.loads(text) for text in finished.out.splitlines() if '"sidecar.failed"' in text)
    found: dict[str, Any] = line
    return found


def says_nothing_of_the_text(finished: Finished) -> bool:
    return CANARY not in finished.out + finished.err and "Traceback" not in finished.out + finished.err


@talkative
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
async def test_a_defect_is_a_line_of_the_log(localpayment: Simulator, spoil: str, environment: dict[str, str]) -> None:
    finished = await ended(localpayment, spoil, "RuntimeError", **environment)
    line = failure(finished)
    assert (finished.code, line["level"], line["exception"]) == (1, "critical", "RuntimeError")
    assert line["where"].startswith("__main__:")
    assert "proxy.serve:" in line["trail"]
    assert says_nothing_of_the_text(finished)


@talkative
@pytest.mark.parametrize("kind", ["RuntimeError", "GeneratorExit"])
@pytest.mark.parametrize(
    "spoilt", ["proxy.cli.check.usable_settings.load_settings", "proxy.cli.check.usable_settings.usable_settings"]
)
async def test_a_defect_before_there_is_a_log_is_two_lines_of_stderr(
    localpayment: Simulator, environment: dict[str, str], spoilt: str, kind: str
) -> None:
    finished = await ended(localpayment, f"{spoilt} = fails", kind, **environment)
    assert finished.code == 1
    first, second = finished.err.splitlines()
    assert first.startswith(f"localpayment-proxy failed: {kind} in __main__:")
    assert "report" in second
    assert says_nothing_of_the_text(finished)


async def test_what_even_the_loop_lets_through_is_told_by_its_place(localpayment: Simulator) -> None:
    finished = await ended(localpayment, SPOILT["its run"], "GeneratorExit")
    assert finished.code == 1
    assert "GeneratorExit in " in finished.err
    assert says_nothing_of_the_text(finished)


@pytest.mark.parametrize("variable", ["PROXY_AUDIT_KEY_FILE", "PROXY_ADMIN_KEY_FILE"])
async def test_a_key_that_protects_nothing_is_a_bad_configuration(
    localpayment: Simulator, tmp_path: Path, variable: str
) -> None:
    (tmp_path / "key").write_text(CANARY)
    settings = {variable: str(tmp_path / "key"), "PROXY_AUDIT_LOG": "stdout"}
    finished = await ended(localpayment, "pass", "RuntimeError", **settings)
    assert finished.code == 78
    assert finished.err.startswith(f"{variable}={tmp_path / 'key'}: the key has less than 16 characters: make one with")
    assert says_nothing_of_the_text(finished)


async def test_an_audit_stream_that_cannot_be_opened_is_a_bad_configuration(localpayment: Simulator) -> None:
    finished = await ended(localpayment, "pass", "RuntimeError", PROXY_AUDIT_LOG="/absent/audit.jsonl")
    assert finished.code == 78
    assert finished.err.startswith("PROXY_AUDIT_LOG=/absent/audit.jsonl: No such file or directory; name a file")
