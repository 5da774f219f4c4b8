"""Every command of docs/tutorial.md does what the page says, in the order in which a reader types them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import BOUND, Running, cleaned, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PORTS = ("8080", "8081", "8090", "8091")
READY = {"simulator": "Control interface", "serve": "sidecar.started"}


@dataclass(frozen=True)
class Typed:
    """A command and what the page shows as its output."""

    command: str
    shown: str

    @property
    def starts(self) -> str | None:
        """The command of ours that stays in the foreground, if this is one."""
        words = self.command.split()
        return words[1] if words[0] == "localpayment-proxy" and words[1] in READY else None

    def accepts(self, output: str) -> bool:
        """Whether this is what the page shows; `…` stands for anything."""
        pattern = ".*".join(re.escape(part) for part in self.shown.strip().split("…"))
        return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def typed() -> Iterator[Typed]:
    for block in BLOCKS:
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            yield Typed(command, shown)


def free_ports() -> dict[str, str]:
    """A port that nobody listens on for each that the page names."""
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in PORTS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return dict(zip(PORTS, (str(one.getsockname()[1]) for one in sockets), strict=True))


@dataclass
class Reader:
    """Who types: one folder, one environment, and the programs that are still running."""

    folder: Path
    ports: dict[str, str]
    settings: dict[str, str] = field(default_factory=dict)
    started: dict[str, Running] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """A text of the page with our ports in the place of its own."""
        return re.sub("|".join(PORTS), lambda found: self.ports[found[0]], text)

    async def type(self, line: Typed, exits: contextlib.AsyncExitStack) -> None:
        if line.command == "make demo ONCE=1":
            _check_demo(line.command)
        elif line.command.startswith(("export PATH=", "mkdir -p tutorial")):
            pass  # a reader's own shell; here the test has made both
        elif line.command.startswith("export "):
            name, _, value = self.here(line.command).removeprefix("export ").partition("=")
            self.settings[name] = value
        elif line.starts is not None:
            await self._start(line, line.starts, exits)
        else:
            output = await self._ran(self.here(line.command))
            here = Typed(line.command, self.here(line.shown))
            assert here.accepts(output), f"{line.command}\nshown: {here.shown}\ncame:  {output}"

    async def _start(self, line: Typed, name: str, exits: contextlib.AsyncExitStack) -> None:
        if name in self.started:
            assert (await self.started[name].stopped(signal.SIGINT)).code == 0
        arguments = line.command.split()[1:]
        if name == "simulator":
            arguments += ["--port", self.ports["8090"], "--control-port", self.ports["8091"]]
        environment = {name: self._placed(value) for name, value in self._environment().items()}
        self.started[name] = await exits.enter_async_context(running(*arguments, settings=environment))
        await self.started[name].says(READY[name])
        if name == "simulator":
            shown = Typed(line.command, self.here(line.shown))
            assert shown.accepts(self.started[name].said)

    async def _ran(self, command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            cwd=self.folder,
            env=cleaned(self._environment()) | {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(BOUND):
            out, _ = await process.communicate()
        assert process.returncode == 0, f"{command}\n{out.decode()}"
        return out.decode()

    def _environment(self) -> dict[str, str]:
        own = {
            "PROXY_LISTEN": f"127.0.0.1:{self.ports['8080']}",
            "PROXY_ADMIN_LISTEN": f"127.0.0.1:{self.ports['8081']}",
        }
        return {**self.settings, **own}

    def _placed(self, value: str) -> str:
        """A file of the reader's folder by its whole path: our processes are started elsewhere."""
        return str(self.folder / value) if (self.folder / value).is_file() else value


def _check_demo(command: str) -> None:
    printed = subprocess.run([*command.split(), "-n"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "localpayment-proxy demo --once" in printed.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
async def test_every_command_gives_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    product = tmp_path / "bin" / "localpayment-proxy"
    product.write_text(f'#!/bin/sh\nexec {sys.executable} -m proxy "$@"\n')
    product.chmod(0o755)
    reader = Reader(tmp_path, free_ports())
    async with contextlib.AsyncExitStack() as exits:
        for line in typed():
            await reader.type(line, exits)
        for program in ("serve", "simulator"):
            assert (await reader.started[program].stopped(signal.SIGINT)).code == 0


def test_every_block_is_one_that_the_test_runs() -> None:
    assert PAGE.count("\n```") == 2 * len(BLOCKS)
    commands = sum(block.count("\n$ ") + block.startswith("$ ") for block in BLOCKS)
    assert len(list(typed())) == commands >= 25
