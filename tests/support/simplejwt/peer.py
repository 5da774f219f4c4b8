"""Runs the Simple JWT server and works its switches.

The server is a process of its own; it is ended by its own handle, and ends by itself when this process does.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from proxy.secret import Secret
from tests.support.simplejwt.wire import Wire

if TYPE_CHECKING:
    import aiohttp

SERVER = Path(__file__).parent / "server" / "main.py"
START_TIMEOUT = 30.0  # seconds; Django starts in about one, on a loaded machine in several
STOP_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """Lifetimes and clock offset in seconds; the defaults are Simple JWT's own, and Localpayment documents them.

    Attributes:
        errors: a handler of tests/support/simplejwt/server/handlers.py; empty for REST framework's own.
        session_first: whether sessions are tried before tokens, so that a refused token is answered 403.
    """

    access_lifetime: float = 300.0
    refresh_lifetime: float = 86400.0
    rotate: bool = False
    blacklist: bool = False
    check_revoke: bool = False
    clock_offset: float = 0.0
    errors: str = ""
    session_first: bool = False

    def arguments(self) -> list[str]:
        figures = {
            "--access-lifetime": self.access_lifetime,
            "--refresh-lifetime": self.refresh_lifetime,
            "--clock-offset": self.clock_offset,
            "--errors": self.errors,
        }
        switches = {
            "--rotate": self.rotate,
            "--blacklist": self.blacklist,
            "--check-revoke": self.check_revoke,
            "--session-first": self.session_first,
        }
        return [f"{name}={value}" for name, value in figures.items()] + [name for name, on in switches.items() if on]


STOCK = PeerOptions()


class PeerProcess:
    """A running server; `start` blocks until it is ready, `stop` until it has ended."""

    def __init__(self, options: PeerOptions, directory: Path) -> None:
        self.username = Secret(f"user-{secrets.token_hex(4)}")
        self.password = Secret(secrets.token_urlsafe(24))
        self.url = ""
        self.control_url = ""
        self._command = [sys.executable, str(SERVER), "--port=0", f"--directory={directory}", *options.arguments()]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.returncode

    def start(self) -> None:
        account = {"SIMPLEJWT_USERNAME": self.username.reveal(), "SIMPLEJWT_PASSWORD": self.password.reveal()}
        self._process = subprocess.Popen(
            self._command, env=os.environ | account, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_TIMEOUT)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            self.stop()
            message = f"the Simple JWT server did not start (exit code {self.exit_code}); see its stderr"
            raise RuntimeError(message)
        ready = json.loads(line)
        self.url, self.control_url = ready["url"], ready["control_url"]

    def stop(self) -> None:
        if self._process is None:
            return
        with self._process as process:  # closes the pipes, whatever happens
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass(frozen=True, slots=True)
class Counts:
    """What has reached the server since the last reset.

    Attributes:
        logins: password logins that were granted.
        logins_refused: the others, whatever their status.
        refreshes: refreshes that were granted.
        refreshes_refused: the others, whatever their status.
        unauthorized: 401s on API calls.
        calls_begun: API calls that arrived.
        calls_answered: API calls answered otherwise than by 401.
        executions: how often a view ran for each externalId.
    """

    logins: int = 0
    logins_refused: int = 0
    refreshes: int = 0
    refreshes_refused: int = 0
    unauthorized: int = 0
    calls_begun: int = 0
    calls_answered: int = 0
    executions: dict[str, int] = field(default_factory=dict)


class Peer:
    """The server as one test sees it: its address, its account, its switches."""

    def __init__(self, process: PeerProcess, session: aiohttp.ClientSession) -> None:
        self.url = process.url
        self.username = process.username
        self.password = process.password
        self.wire = Wire(process.url, session)
        self._control_url = process.control_url
        self.session = session

    async def counts(self) -> Counts:
        return Counts(**await self._switch("counts"))

    async def pair(self) -> tuple[Secret, Secret]:
        """Log in; return the access and the refresh token."""
        answer = await self.wire.log_in(self.username, self.password)
        assert answer.status == 200
        return answer.token("access"), answer.token("refresh")

    async def put_clock(self, offset: float) -> None:
        """Set the server's clock `offset` seconds ahead of the machine's, or behind it."""
        await self._switch("clock", offset=offset)

    async def deactivate_user(self) -> None:
        await self._switch("user", state="inactive")

    async def activate_user(self) -> None:
        await self._switch("user", state="active")

    async def delete_user(self) -> None:
        await self._switch("user", state="deleted")

    async def change_password(self) -> None:
        """Give the account another password; `password` is the new one from here on."""
        self.password = Secret(secrets.token_urlsafe(24))
        await self._switch("password", password=self.password.reveal())

    async def blacklist_outstanding(self) -> int:
        """End every refresh token given out so far; access tokens live on."""
        ended: int = await self._switch("blacklist")
        return ended

    async def replace_signing_key(self) -> None:
        """End every token at once, access and refresh."""
        await self._switch("signing-key")

    async def wait_for_held_calls(self, calls: int) -> None:
        """Wait until that many calls of `/api/slow` are held."""
        assert await self._switch("held", calls=calls, seconds=10.0), f"no {calls} calls were held within 10 s"

    async def release(self) -> None:
        """Let the slow calls that are held answer now."""
        await self._switch("release")

    async def reset(self) -> None:
        await self._switch("reset")

    async def _switch(self, name: str, **arguments: object) -> Any:
        __tracebackhide__ = True  # a failure's report prints arguments, and one may be a password
        async with self.session.post(f"{self._control_url}/{name}", json=arguments) as answer:
            assert answer.status == 200, f"the switch {name} failed on the server"
            return await answer.json()


class StartPeer(Protocol):
    """`peer = await simplejwt(PeerOptions(rotate=True))`."""

    async def __call__(self, options: PeerOptions = STOCK) -> Peer: ...
