"""Runs the product's own commands: real processes, a clean environment each, ended by their handle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

BOUND = 60.0  # seconds that nothing here may take; only a defect reaches it


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


class Running:
    """A command that is still running; `said` is what it wrote on stdout so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.said = ""

    async def says(self, text: str) -> str:
        """Wait for a line of stdout that holds a text; return it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(BOUND):
            while True:
                line = (await self._process.stdout.readline()).decode()
                if not line:
                    error = await self._process.stderr.read() if self._process.stderr else b""
                    message = f"{text!r} was never said:\n{self.said}\n{error.decode()}"
                    raise AssertionError(message)
                self.said += line
                if text in line:
                    return line

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def stopped(self, number: signal.Signals = signal.SIGTERM) -> Finished:
        """Send a signal, and wait for the end."""
        self.send(number)
        return await self.finished()

    async def ended_unread(self) -> int:
        """Stop it without reading what it says; asyncio's own wait would read on."""
        self.send(signal.SIGTERM)
        async with asyncio.timeout(BOUND):
            while self._process.returncode is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        return self._process.returncode

    def close_stdout(self) -> None:
        """Be a reader that goes away."""
        pipe = self._process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public way
        pipe.close()

    async def finished(self) -> Finished:
        """Wait for the end."""
        async with asyncio.timeout(BOUND):
            out, err = await self._process.communicate()
        self.said += (out or b"").decode()
        return Finished(_code(self._process), self.said, (err or b"").decode())


async def gone(process: int) -> bool:
    """Wait until a process has ended: what was killed dies a moment after."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        readable, _, _ = await asyncio.to_thread(select.select, [descriptor], [], [], 30)
    finally:
        os.close(descriptor)
    return bool(readable)


def cleaned(settings: Mapping[str, str]) -> dict[str, str]:
    """An environment with these settings and nothing of the tester's, but for what coverage needs in a child."""
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
    if len(kept) > 1 and "PROXY_SANDBOX" not in settings:  # the old name of the same setting
        kept["PROXY_HARDENING"] = "off"  # a confined process cannot write what coverage has measured
    return {**kept, **settings}


async def ran(*arguments: str, settings: Mapping[str, str] | None = None, **options: Any) -> Finished:
    """Run a command to its end."""
    async with asyncio.timeout(BOUND), _process(arguments, settings or {}, options) as process:
        out, err = await process.communicate()
    return Finished(_code(process), out.decode(), err.decode())


@contextlib.asynccontextmanager
async def running(*arguments: str, settings: Mapping[str, str] | None = None, **options: Any) -> AsyncIterator[Running]:
    """Start a command; it is ended with the block."""
    async with _process(arguments, settings or {}, options) as process:
        yield Running(process)


@contextlib.asynccontextmanager
async def _process(
    arguments: tuple[str, ...], settings: Mapping[str, str], options: dict[str, Any]
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", *arguments),
        env=cleaned(settings),
        stdin=asyncio.subprocess.DEVNULL,
        **{"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE, **options},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()  # reads on: a full pipe would keep the end from being seen


def _code(process: asyncio.subprocess.Process) -> int:
    assert process.returncode is not None
    return process.returncode
