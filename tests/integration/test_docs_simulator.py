"""The commands of docs/how-to/simulator.md do what the page says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from proxy.cli.commands import commands
from proxy.simulator.faults import Kind
from proxy.simulator.server import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = (Path(__file__).parents[2] / "docs/how-to/simulator.md").read_text("utf-8")
# A command that is typed, and the line that the page shows as its answer, if it shows one.
TYPED = re.findall(r"^\$ (curl .*)\n(\{.*\})?", PAGE, re.MULTILINE)
CONTROL, SIDECAR = "http://127.0.0.1:8091", "http://127.0.0.1:8080"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions()) as running:
        yield running


async def answered(client: aiohttp.ClientSession, command: str) -> tuple[int, str]:
    """Do what curl would do with -s, -X and -d."""
    words = shlex.split(command)
    url = next(word for word in words if word.startswith("http"))
    body = words[words.index("-d") + 1] if "-d" in words else None
    method = words[words.index("-X") + 1] if "-X" in words else "GET" if body is None else "POST"
    async with client.request(method, url, data=body) as answer:
        return answer.status, (await answer.text()).strip()


async def test_every_command_is_accepted_and_every_shown_answer_is_given(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as client:
        login = {"username": "anything", "password": "anything"}
        async with client.post(f"{simulator.url}/api/token/", json=login) as answer:
            client.headers["Authorization"] = f"Bearer {(await answer.json())['access']}"
        for command, shown in TYPED:
            to_sidecar = SIDECAR in command
            here = command.replace(CONTROL, simulator.control_url).replace(SIDECAR, simulator.url)
            status, text = await answered(client, here)
            assert status in {200, 201}, command
            if shown and not to_sidecar:
                assert json.loads(text) == _as_shown(shown, text), command


def _as_shown(shown: str, text: str) -> Any:
    """The answer that the page shows; counts of calls depend on what was typed before."""
    return json.loads(text) if "token_calls" in shown else json.loads(shown)


def test_the_page_tells_every_kind_of_fault_and_every_option() -> None:
    for kind in Kind:
        assert f"| `{kind}` |" in PAGE
    told = set(re.findall(r"`(--[a-z-]+)`", PAGE))
    options = {
        name for option in commands.commands["simulator"].params for name in (*option.opts, *option.secondary_opts)
    }
    assert options - told <= {"--host", "--blacklist"}
    assert told <= options
