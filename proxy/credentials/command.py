"""What does a command say? Run without a shell, bounded in time and output, and without our own settings around it.

It must leave no process behind, and nothing that it writes may reach a log unredacted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from proxy.config.catalogue import PREFIXES
from proxy.config.files import UnusablePairError, pair_in_text
from proxy.credentials.model import MANAGER_INTERVAL, Credentials, CredentialSourceError
from proxy.orphans import own_children
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.config import CommandSource

COMMAND_TIMEOUT: Final = 10.0  # seconds; a start waits for it
MAX_OUTPUT: Final = 64 * 1024  # bytes
_STDOUT: Final = 1  # its descriptor
_KEPT_ERRORS: Final = 4096  # bytes of stderr's end that are looked at
_SHOWN_ERRORS: Final = 200  # characters of its last line that are shown

# A word that could be a secret: after a telling name, or long and of the letters that keys and tokens are made of.
_TOLD: Final = re.compile(r"(?i)([\w-]*(?:pass|pwd|secret|token|key|user|auth|bearer)[\w-]*[\"']?\s*[:=\s]\s*)\S+")
_LONG: Final = re.compile(r"[A-Za-z0-9+/_.=-]{20,}")


@dataclass(frozen=True, slots=True)
class _Ended:
    code: int
    out: bytes
    errors: bytes


class Command:
    """A command that writes JSON, or TOML, with username and password to stdout."""

    settle: Final = 0.0

    def __init__(
        self,
        config: CommandSource,
        interval: float | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        limit: float = COMMAND_TIMEOUT,
    ) -> None:
        self.interval: float | None = MANAGER_INTERVAL if interval is None else interval
        self._argv = config.argv
        self._environ = os.environ if environ is None else environ
        self._limit = limit

    async def load(self) -> Credentials:
        """Run it, and read what it says."""
        with own_children():
            ended = await self._run()
        if ended.code != 0:
            how = f"exit code {ended.code}" if ended.code > 0 else f"signal {-ended.code}"
            self._fail(f"it ended with {how}; stderr: {shown_errors(ended.errors) or 'empty'}")
        try:
            pair = pair_in_text(Secret(ended.out.decode(errors="replace")))
        except UnusablePairError as error:
            self._fail(f"what it wrote to stdout {error}")
        return Credentials(*pair)

    def describe(self) -> str:
        """Name the command, without its arguments."""
        return f"command {self._argv[0]}"

    def warnings(self) -> tuple[str, ...]:
        """Return nothing: what a command does is not seen."""
        return ()

    def _fail(self, text: str) -> NoReturn:
        message = f"the credentials command {self._argv[0]} failed: {text}"
        raise CredentialSourceError(message) from None

    async def _run(self) -> _Ended:
        starting = asyncio.create_task(self._start())
        try:
            transport, output = await asyncio.shield(starting)
        except OSError as error:
            self._fail(f"it cannot be run ({error.strerror}): check path and permission")
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                await _ended(*await starting)
            raise
        try:
            async with asyncio.timeout(self._limit):
                await output.settled.wait()
                # Whatever it left running may hold the pipes, under uvloop even when its own are elsewhere.
                _kill_group(transport.get_pid())
                await output.closed.wait()
        except TimeoutError:
            self._fail(f"it did not end within {self._limit:g} s, and was killed")
        finally:
            await _ended(transport, output)
        if len(output.out) > MAX_OUTPUT:
            self._fail("it wrote more than 64 KiB to stdout, and was killed")
        return _Ended(transport.get_returncode() or 0, bytes(output.out), bytes(output.errors))

    async def _start(self) -> tuple[asyncio.SubprocessTransport, _Output]:
        return await asyncio.get_running_loop().subprocess_exec(
            _Output,
            *self._argv,
            stdin=asyncio.subprocess.DEVNULL,
            env={name: value for name, value in self._environ.items() if not name.startswith(PREFIXES)},
            start_new_session=True,
        )


class _Output(asyncio.SubprocessProtocol):
    """What a command has written.

    Attributes:
        settled: set when it has ended or has written too much.
        exited: set when it has ended.
        closed: set when, besides, nobody can write any more.
    """

    def __init__(self) -> None:
        self.out = bytearray()
        self.errors = bytearray()
        self.settled = asyncio.Event()
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != _STDOUT:
            self.errors = (self.errors + data)[-_KEPT_ERRORS:]
        elif len(self.out) <= MAX_OUTPUT:
            self.out += data
            if len(self.out) > MAX_OUTPUT:
                self.settled.set()

    def process_exited(self) -> None:
        self.settled.set()
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.closed.set()


async def _ended(transport: asyncio.SubprocessTransport, output: _Output) -> None:
    """Kill a command with its process group, and wait for its end."""
    _kill_group(transport.get_pid())
    await output.exited.wait()
    transport.close()


def _kill_group(leader: int) -> None:
    """Kill a process group; its number cannot be another one's yet, the kernel uses all others first."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def shown_errors(errors: bytes) -> str:
    """Return the last line of stderr, short, and without any word that could be a secret."""
    lines = errors.decode(errors="replace").strip().splitlines()
    line = "".join(character if character.isprintable() else " " for character in lines[-1]) if lines else ""
    return _LONG.sub("[redacted]", _TOLD.sub(r"\1[redacted]", line))[:_SHOWN_ERRORS]
