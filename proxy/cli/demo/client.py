"""Calls the demo's sidecar, its admin listener and the simulator over HTTP, and prints every call.

It prints no credential and no token: bodies are the demo's own, answers are those of invented payments.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import click
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from proxy.cli.demo.sidecar import SidecarProcess
    from proxy.simulator.server import Simulator
    from proxy.simulator.service import LoggedCall

JSON_TYPE: Final = "Content-Type: application/json"
LOOK_AGAIN: Final = 0.05  # seconds between two looks at the admin listener


class WrongError(Exception):
    """A step's promise that did not hold; the text says which."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    reason: str
    text: str

    @property
    def content(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The parsed JSON, or the text."""
        try:
            return json.loads(self.text)
        except ValueError:
            return self.text


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
    tell: Callable[[str], None] = click.echo
    patience: float = 20.0

    async def call(self, path: str, body: Mapping[str, object] | None = None) -> Reply:
        """Call the sidecar, POST with a body and GET without; print the call, its answer and what Localpayment saw."""
        seen = len(self.simulator.log)
        reply = await self._typed(self.sidecar.url + path, body)
        self.tell(f"  HTTP {reply.status} {reply.reason}".rstrip())
        for line in json.dumps(reply.content, indent=2, ensure_ascii=False).splitlines():
            self.tell(f"  {line}")
        self.note(f"Localpayment saw: {_seen(list(self.simulator.log)[seen:])}.")
        return reply

    async def look(self, path: str) -> None:
        """Read something of the sidecar's admin listener."""
        reply = await self._typed(self.sidecar.admin_url + path, None)
        self.tell(f"  HTTP {reply.status} {reply.reason}")
        self.tell(f"  {reply.text.strip()}")

    async def command(self, path: str, body: Mapping[str, object]) -> None:
        """Send the simulator a command."""
        reply = await self._typed(self.simulator.control_url + path, body)
        promise(reply.status, 200, "the status of the simulator's control interface")
        self.tell(f"  {reply.text.strip()}")

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
        return (await self._asked(f"{self.sidecar.admin_url}/readyz")).status == 200  # noqa: PLR2004 - OK

    async def count(self, metric: str, **labels: str) -> int:
        """Add up a counter of the sidecar over all samples that have these labels."""
        text = (await self._asked(f"{self.sidecar.admin_url}/metrics")).text
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        found = (each for each in samples if each.name == f"localpayment_proxy_{metric}")
        return sum(int(each.value) for each in found if labels.items() <= each.labels.items())

    async def generation(self) -> int:
        """Count the tokens that the sidecar has been granted; the last one is in use."""
        return await self.count("token_fetches_total", result="granted")

    async def until(self, holds: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        """Look until a condition holds, as long as patience lasts."""
        try:
            async with asyncio.timeout(self.patience):
                while not (found if isinstance(found := holds(), bool) else await found):  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(LOOK_AGAIN)
        except TimeoutError:
            message = f"{what} did not happen within {self.patience:g} s"
            raise WrongError(message) from None

    async def _typed(self, url: str, body: Mapping[str, object] | None) -> Reply:
        """Print a call as a person would type it, and make it."""
        for line in curl(url, body):
            self.tell(line)
        return await self._asked(url, body)

    async def _asked(self, url: str, body: Mapping[str, object] | None = None) -> Reply:
        try:
            async with self.client.request("GET" if body is None else "POST", url, json=body) as answer:
                return Reply(answer.status, answer.reason or "", await answer.text())
        except aiohttp.ClientError as error:
            message = f"{url} gave no answer ({type(error).__name__})"
            raise WrongError(message) from error


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


def _seen(calls: Sequence[LoggedCall]) -> str:
    shown = [f"{call.method} {call.operation} → {'cut off' if call.status is None else call.status}" for call in calls]
    return ", ".join(shown) or "nothing"
