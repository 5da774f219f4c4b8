"""Runs the demo's sidecar as a process of its own, so that it can be killed; and our commands with its settings.

Of the environment it keeps what is no setting of ours: no real credential is ever used here.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from proxy.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS: Final = ("PROXY_", "LOCALPAYMENT_")
_STOPPING: Final = 10.0  # seconds; nothing is in flight by then


class SidecarEndedError(CommandError):
    """The sidecar did not start; the text is what it said."""


class SidecarProcess:
    """`localpayment-proxy serve` with these settings; an asynchronous context manager.

    Attributes:
        url: where it takes calls, known after the start.
        admin_url: where it shows its health and metrics.
    """

    url = ""
    admin_url = ""

    def __init__(self, settings: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self._environ = {**kept, **settings, "PROXY_LOG_FORMAT": "json", "PROXY_LOG_LEVEL": "info"}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Future[tuple[None, None]] | None = None

    @property
    def pid(self) -> int | None:
        """The process's number; None when it does not run."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start it, at the same addresses when it ran before.

        Raises:
            SidecarEndedError: it ended at once.
        """
        # In a session of its own, so that Ctrl-C reaches the demo alone, which then ends it.
        self._process = process = await self._spawn("serve", new_session=True)
        while process.stdout is not None and (line := await process.stdout.readline()):
            event = json.loads(line)
            if event["event"] == "sidecar.started":
                self.url, self.admin_url = event["data"], event["admin"]
                listen, admin = (urlsplit(url).netloc for url in (self.url, self.admin_url))
                self._environ |= {"PROXY_LISTEN": listen, "PROXY_ADMIN_LISTEN": admin}
                self._reading = asyncio.gather(_drained(process.stdout), _drained(process.stderr))
                return
        _, error = await process.communicate()
        raise SidecarEndedError(error.decode().strip())

    async def kill(self) -> None:
        """End it as a crash does: it gets to do nothing more."""
        await self._end(signal.SIGKILL)

    async def run(self, *words: str) -> str:
        """Run another command with its settings; return what it writes."""
        process = await self._spawn(*words)
        out, error = await process.communicate()
        return (out + error).decode().strip()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._end(signal.SIGTERM)

    async def _spawn(self, *words: str, new_session: bool = False) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", *words),
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=new_session,
        )

    async def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), _STOPPING)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading


async def _drained(stream: asyncio.StreamReader | None) -> None:
    """Read to the end, and keep nothing: a full pipe would hold the sidecar up."""
    while stream is not None and await stream.read(64 * 1024):
        pass
