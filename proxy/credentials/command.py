"""Runs a command that prints the credentials: no shell, none of our own settings, bounded time and output.

It must leave no process behind, and nothing that it writes may reach a log unredacted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from proxy.config.declared_settings import PREFIXES
from proxy.config.files import KEYS, UnusableContentError, pair_in_text, plain_text
from proxy.credentials.model import MANAGER_INTERVAL, Credentials, CredentialSourceError, Source
from proxy.http1.timeouts import timeout_at
from proxy.process.child_reaper import own_children
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.config import CommandSource

COMMAND_TIMEOUT: Final = 10.0  # seconds; a start waits for it
MAX_OUTPUT: Final = 64 * 1024  # bytes
_STDOUT: Final = 1  # its descriptor
_KEPT_ERRORS: Final = 4096  # bytes of stderr's end that are looked at
_SHOWN_ERRORS: Final = 200  # characters of its last line that are shown

# A word that could be a secret: after a telling name, or long and of the letters that keys and tokens are made of.
_TOLD: Final = re.compile(r"(?i)([\w-]*(?:pass|pwd|secret|token|key|user|auth|bearer)[\w-]*[\"']?\s*[:=\s]\s*)\S+")
_LONG: Final = re.compile(r"[A-Za-z0-9+/_.=-]{20,}")
_MIXED: Final = re.compile(r"(?<!\S)(?=\S*[A-Za-z])(?=\S*\d)\S{6,}")
_WORD: Final = re.compile(r"[^\s\"',:={}\[\]]+")
SHORTEST: Final = 6  # characters; a shorter word is masked only where it stands alone
_SEEN: Final = 16  # passwords of earlier runs that are remembered: the one before may be what a message names
MASK: Final = "[redacted]"


class _Ended(NamedTuple):
    code: int
    out: bytes
    errors: bytes


class Command(Source):
    """A command that writes JSON, or TOML, with username and password to stdout."""

    def __init__(
        self,
        config: CommandSource,
        interval: float | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        limit: float = COMMAND_TIMEOUT,
    ) -> None:
        self.interval = MANAGER_INTERVAL if interval is None else interval
        self._argv = config.argv
        self._environ = os.environ if environ is None else environ
        self._limit = limit
        self._seen: deque[str] = deque(maxlen=_SEEN)

    async def load(self) -> Credentials:
        """Run it, and read what it says."""
        with own_children():
            ended = await self._run()
        if ended.code != 0:
            shown = shown_errors(ended.errors, (*self._seen, *said(ended.out)))
            how = f"exit code {ended.code}" if ended.code > 0 else f"signal {-ended.code}"
            self._fail(f"it ended with {how}; stderr: {shown or 'empty'}")
        try:
            pair = pair_in_text(plain_text(ended.out))
        except UnusableContentError as error:
            self._fail(f"what it wrote to stdout {error}")
        self._seen.append(pair[1].reveal())
        return Credentials(*pair)

    def describe(self) -> str:
        """Name the command, without its arguments."""
        return f"command {self._argv[0]}"

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
            async with timeout_at(asyncio.get_running_loop().time() + self._limit):
                await output.finished.wait()
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
        finished: set when it has ended or has written too much.
        exited: set when it has ended.
        closed: set when its pipes are closed too.
    """

    def __init__(self) -> None:
        self.out = bytearray()
        self.errors = bytearray()
        self.finished = asyncio.Event()
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != _STDOUT:
            self.errors = (self.errors + data)[-_KEPT_ERRORS:]
        elif len(self.out) <= MAX_OUTPUT:
            self.out += data
            if len(self.out) > MAX_OUTPUT:
                self.finished.set()

    def process_exited(self) -> None:
        self.finished.set()
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


def said(out: bytes) -> tuple[str, ...]:
    """Return the values and words of stdout, which must not be shown when stderr repeats them."""
    text = out.decode(errors="replace")
    values: tuple[str, ...] = ()
    with contextlib.suppress(UnusableContentError):
        values = tuple(value.reveal() for value in pair_in_text(Secret(text)))
    return (*values, text.strip(), *(word for word in _WORD.findall(text) if word not in KEYS))


def shown_errors(errors: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the last line of stderr, shortened, with these secrets and words that may be secrets masked."""
    lines = errors.decode(errors="replace").strip().splitlines()
    line = _printable(lines[-1]) if lines else ""
    line = _MIXED.sub(MASK, _LONG.sub(MASK, _TOLD.sub(rf"\1{MASK}", line)))
    known = {_printable(secret) for secret in secrets} - {""}
    for secret in sorted((secret for secret in known if secret in line), key=len, reverse=True):
        # A short one stands in ordinary words too, whose masking would tell it.
        edge = "" if len(secret) >= SHORTEST else r"\b"
        line = re.sub(f"{edge}{re.escape(secret)}{edge}", MASK, line)
    return line[:_SHOWN_ERRORS]


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
