"""Calls the demo's sidecar, its admin listener and the simulator over HTTP, and prints every call.

It prints no credential and no token: bodies are the demo's own, answers are those of invented payments.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from proxy.cli.demo.sidecar import SidecarProcess
    from proxy.simulator.server import Simulator
    from proxy.simulator.service import LoggedCall

JSON_TYPE: Final = "Content-Type: application/json"
SAMPLE: Final = re.compile(r"localpayment_proxy_(?P<name>\w+?)(?:\{(?P<labels>[^}]*)\})? (?P<value>[0-9.eE+]+)(?: .*)?")
LOOK_AGAIN: Final = 0.05  # seconds between two looks at the admin listener


class WrongError(Exception):
    """A step's promise that did not hold; the text says which."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the caller got; `content` is its parsed JSON, or its text."""

    status: int
    content: Any


@dataclass(frozen=True, slots=True)
class DemoClient:
    """The running simulator and sidecar, and how to call them.

    Attributes:
        simulator: in this process.
        sidecar: in a process of its own.
        tell: prints a line.
        patience: seconds that a busy machine may take for what it does in less than two.
    """

    simulator: Simulator
    sidecar: SidecarProcess
    client: aiohttp.ClientSession
    tell: Callable[[str], None]
    patience: float = 20.0

    async def call(self, path: str, body: Mapping[str, object] | None = None) -> Reply:
        """Call the sidecar, POST with a body and GET without; print the call, its answer and what Localpayment saw."""
        seen = len(self.simulator.log)
        for line in curl(self.sidecar.url + path, body):
            self.tell(line)
        method = "GET" if body is None else "POST"
        try:
            async with self.client.request(method, self.sidecar.url + path, json=body) as answer:
                reply = Reply(answer.status, _content(await answer.text()))
                self.tell(f"  HTTP {answer.status} {answer.reason or ''}".rstrip())
        except aiohttp.ClientError as error:
            message = f"the sidecar gave no answer ({type(error).__name__})"
            raise WrongError(message) from error
        for line in json.dumps(reply.content, indent=2, ensure_ascii=False).splitlines():
            self.tell(f"  {line}")
        self.note(f"Localpayment saw: {_seen(list(self.simulator.log)[seen:])}.")
        return reply

    async def look(self, path: str) -> None:
        """Read something of the sidecar's admin listener."""
        for line in curl(self.sidecar.admin_url + path, None):
            self.tell(line)
        async with self.client.get(self.sidecar.admin_url + path) as answer:
            self.tell(f"  HTTP {answer.status} {answer.reason}")
            self.tell(f"  {(await answer.text()).strip()}")

    async def command(self, path: str, body: Mapping[str, object]) -> None:
        """Send the simulator a command."""
        for line in curl(self.simulator.control_url + path, body):
            self.tell(line)
        async with self.client.post(self.simulator.control_url + path, json=body) as answer:
            text = await answer.text()
            promise(answer.status, 200, "the status of the simulator's control interface")
        self.tell(f"  {text.strip()}")

    async def kill(self) -> None:
        """Kill the sidecar."""
        self.tell(f"$ kill -9 {self.sidecar.pid}")
        await self.sidecar.kill()

    async def run(self, *words: str) -> str:
        """Run a command of ours with the sidecar's settings; print and return what it says."""
        self.tell(f"$ localpayment-proxy {' '.join(words)}")
        text = await self.sidecar.run(*words)
        for line in text.splitlines():
            self.tell(f"  {line}")
        return text

    def note(self, text: str) -> None:
        """Explain what happened."""
        self.tell(f"  » {text}")

    async def ready(self) -> bool:
        """Ask whether the sidecar holds a token."""
        async with self.client.get(f"{self.sidecar.admin_url}/readyz") as answer:
            return answer.status == 200  # noqa: PLR2004 - OK

    async def count(self, metric: str, label: str = "") -> int:
        """Add up a counter of the sidecar over all labels that hold this text."""
        async with self.client.get(f"{self.sidecar.admin_url}/metrics") as answer:
            samples = [SAMPLE.fullmatch(line) for line in (await answer.text()).splitlines()]
        return sum(
            int(float(found["value"]))
            for found in samples
            if found and found["name"] == metric and label in (found["labels"] or "")
        )

    async def generation(self) -> int:
        """Count the tokens that the sidecar has been granted; the last one is in use."""
        return await self.count("token_fetches_total", 'result="granted"')

    async def until(self, holds: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        """Look until a condition holds, as long as patience lasts."""
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    found = holds()
                    if found if isinstance(found, bool) else await found:
                        return
                    await asyncio.sleep(LOOK_AGAIN)
        except TimeoutError:
            message = f"{what} did not happen within {self.patience:g} s"
            raise WrongError(message) from None


def promise(found: object, expected: object, what: str) -> None:
    """Check what the demo promises.

    Raises:
        WrongError: it is not as it must be.
    """
    if found != expected:
        message = f"{what} must be {expected!r} and is {found!r}"
        raise WrongError(message)


def curl(url: str, body: Mapping[str, object] | None) -> Sequence[str]:
    """Write a call as a person would type it."""
    if body is None:
        return (f"$ curl -s {url}",)
    return (f"$ curl -s {url} -H {shlex.quote(JSON_TYPE)} \\", f"    -d {shlex.quote(json.dumps(body))}")


def _content(text: str) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(text)
    except ValueError:
        return text


def _seen(calls: Sequence[LoggedCall]) -> str:
    shown = [f"{call.method} {call.operation} → {'cut off' if call.status is None else call.status}" for call in calls]
    return ", ".join(shown) or "nothing"
