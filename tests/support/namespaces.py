"""Runs commands as PID 1 of a PID namespace, which is what the one process of a container is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.origins import until
from tests.support.processes import BOUND, Running, cleaned

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Mapping

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
# What the image starts the product by (test_image): a signal waits until there is a handler for it.
PATIENTLY = ("env", "--block-signal=TERM", "--block-signal=INT")


def _can_be_made() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run((*UNSHARE, "true"), check=False, capture_output=True, timeout=BOUND).returncode == 0


needs_pid_namespace = pytest.mark.skipif(
    not _can_be_made(), reason="BEING PID 1 IS NOT TESTED: unshare is missing, or may make no PID namespace here"
)


class Started(Running):
    """A command that was just started, PID 1 or not.

    Attributes:
        pid: its process, as it is known outside.
    """

    def __init__(self, process: asyncio.subprocess.Process, pid: int) -> None:
        super().__init__(process)
        self.pid = pid

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    @property
    def maps(self) -> str:
        """The files that are in its memory."""
        return Path(f"/proc/{self.pid}/maps").read_text()

    def opened(self, descriptor: int) -> str:
        """The file that a descriptor stands for."""
        return str(Path(f"/proc/{self.pid}/fd/{descriptor}").readlink())

    @property
    def waits(self) -> set[str]:
        """The kernel's functions in which its threads wait."""
        return {(task / "wchan").read_text() for task in Path(f"/proc/{self.pid}/task").iterdir()}

    @property
    def children(self) -> list[int]:
        return _children(self.pid)

    @property
    def zombies(self) -> list[int]:
        """Its children that have ended and that it has not reaped."""
        return [child for child in self.children if _state(child) == "Z"]


@contextlib.asynccontextmanager
async def starting(
    *arguments: str, settings: Mapping[str, str], first: bool, before: tuple[str, ...] = PATIENTLY
) -> AsyncIterator[Started]:
    """Start a command, as PID 1 if `first`; it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(UNSHARE if first else ()),
        *(*before, sys.executable, "-m", "proxy", *arguments),
        env=cleaned(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        if first:
            await until(lambda: _children(process.pid))
        pid = _children(process.pid)[0] if first else process.pid
        yield Started(process, pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
