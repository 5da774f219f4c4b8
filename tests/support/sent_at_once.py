"""Shows tests which calls of a sidecar did not have to wait, by looking on while it decides.

What a call left behind is compared but for what no two calls share: tokens, times, ports, and ids that we made.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.fakes import settle
from tests.support.origins import Caller, Localpayment, calling, localpayment, until
from tests.support.sidecars import BOUND, Running, preheat, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.clock import Clock
    from proxy.config import Settings
    from proxy.relay.call import Call
    from proxy.relay.relay import Relay
    from proxy.relay.server.listener import Listener
    from proxy.tokens.model import AccessToken
    from tests.support.scripted_origin import Wire

READ = "/api/resources/banks"
PAY = "/api/payout"
ORDER = b'{"externalId": "order-1"}'
REQUEST_ID = "the-call"
TOKEN = re.compile(rb"[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
OURS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_PORT = re.compile(rb"(?<=Host: localhost:)[0-9]+|(?<=Host: 127.0.0.1:)[0-9]+")
_DATE = re.compile(rb"(?<=\r\nDate: )[^\r]+ GMT")
_TIMES = re.compile(r"_seconds(_bucket|_sum)?[ {]")


def ask(method: str, target: str, *lines: str, body: bytes | None = None, host: str = "localhost") -> bytes:
    """A request that keeps its connection."""
    fields = [f"Host: {host}", *lines]
    if body is not None:
        fields.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"{method} {target} HTTP/1.1", *fields, "", ""]).encode("latin-1") + (body or b"")


LAST = ask("GET", READ, "X-Request-Id: the-last", "Connection: close")


class Sent:
    """The calls of a sidecar that were sent at once.

    Attributes:
        taken: each of them, oldest first.
        refused: how often one had to wait before it was sent.
        handed_over: those of which a task passed the answer on.
    """

    def __init__(self, relay: Relay) -> None:
        self.taken: list[Call] = []
        self.refused = 0
        self.handed_over: list[Call] = []
        attempts = relay.attempts
        self._send, self._exchange = attempts.send_at_once, relay.exchange
        attempts.send_at_once = self.send_at_once  # type: ignore[method-assign]  # a test looks on
        relay.exchange = self.exchange  # type: ignore[method-assign]  # as above

    def send_at_once(self, call: Call, watcher: Callable[[], None]) -> bool:
        sent = self._send(call, watcher)
        if sent:
            self.taken.append(call)
        else:
            self.refused += 1
        return sent

    async def exchange(self, call: Call, token: AccessToken | None) -> None:
        if call.exchange is not None:
            self.handed_over.append(call)
        await self._exchange(call, token)


def relay_of(relay: Running) -> Relay:
    return relay.sidecar.relay


def listener_of(relay: Running) -> Listener:
    return relay.sidecar.listener


@contextlib.asynccontextmanager
async def warm_sidecar(settings: Settings, clock: Clock | None = None) -> AsyncIterator[tuple[Running, Sent]]:
    """Run a sidecar that has a warm connection, so that its first call is sent at once."""
    async with sidecar(settings, clock=clock) as relay:
        await preheat(relay.sidecar.pool, BOUND)
        yield relay, Sent(relay_of(relay))


@contextlib.asynccontextmanager
async def in_front_of(
    script: Callable[[Wire], Awaitable[None]], **changes: Any
) -> AsyncIterator[tuple[Localpayment, Running, Sent, Caller]]:
    """An origin, a sidecar with a warm connection to it, and a caller."""
    async with (
        localpayment(script) as there,
        warm_sidecar(settings_for(there.url, **changes)) as (relay, at_once),
        calling(relay) as caller,
    ):
        yield there, relay, at_once, caller


def wait_always(relay: Running) -> None:
    """Let the server's parser read every request, and a task carry every call."""
    relay.sidecar.relay.reader.read = lambda _: None  # type: ignore[method-assign, assignment]  # it understands nothing


def at_rest(relay: Running) -> bool:
    """Whether no call holds a place or a connection."""
    limit, pool = relay.sidecar.concurrency, relay.sidecar.pool
    return (limit.in_flight, limit._reads, pool.stats().active, pool.slots.taken) == (0, 0, 0, 0)  # noqa: SLF001 - the places that only reads are counted in


@dataclass(frozen=True)
class Case:
    """What a caller sends, segment by segment, and what Localpayment answers, call by call and piece by piece.

    Attributes:
        sent: None waits until all calls so far are over.
        answers: a callable gets the call's head; None ends the connection.
        at_once: how many calls of `sent` are sent at once.
        handed_over: of them, how many have a task pass their answer on.
        calls: how many calls `sent` makes.
        changes: settings.
    """

    sent: tuple[bytes | None, ...]
    answers: tuple[tuple[bytes | Callable[[bytes], bytes] | None, ...], ...]
    at_once: int = 1
    handed_over: int = 0
    calls: int = 1
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Left:
    """What a case left behind, and how many calls of it were sent at once."""

    at_origin: list[bytes]
    at_caller: bytes
    lines: list[dict[str, Any]]
    metrics: list[str]
    at_once: tuple[int, int]


async def carry(case: Case, *, at_once: bool) -> Left:
    """Carry a case's calls, and one more that ends the caller's connection."""
    answers, begun = list(case.answers), False

    async def script(wire: Wire) -> None:
        nonlocal begun
        while True:
            head = await wire.request()
            for piece in answers.pop(0) if answers else (HELLO,):
                if piece is None:
                    if begun:  # a reset would throw away what its caller has not read yet
                        await until(lambda: len(caller.reader._buffer))  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio's reader has no public way
                    return
                begun = piece == CUT
                await wire.send(piece if isinstance(piece, bytes) else piece(head))
                await settle()

    async with in_front_of(script, **case.changes) as (there, relay, sent, caller):
        if not at_once:
            wait_always(relay)
        done = 0
        for segment in case.sent:
            if segment is None:
                done += 1
                await until(lambda count=done: len(relay.calls) == count)  # type: ignore[misc]  # bound at once
            else:
                await caller.send(segment)
                await settle()
        await until(lambda: len(relay.calls) == case.calls)
        counted = len(sent.taken), len(sent.handed_over)
        await caller.send(LAST)
        read = await caller.rest()
        await until(lambda: len(relay.calls) >= case.calls and at_rest(relay))
        _, text = await relay.admin("/metrics")
        metrics = [line for line in text.splitlines() if line.startswith("localpayment") and not _TIMES.search(line)]
        lines = [_timeless(line) for line in relay.calls + relay.lines("token.echoed") + relay.lines("request.failed")]
        return Left([_alike(data) for data in there.received], _alike(read.raw), lines, metrics, counted)


HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CUT = HELLO[:-2]  # an answer that lacks its end


def _alike(data: bytes) -> bytes:
    for pattern, stand_in in ((TOKEN, b"token"), (OURS, b"ours"), (_PORT, b"port"), (_DATE, b"date")):
        data = pattern.sub(stand_in, data)
    return data


def _timeless(line: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in line.items() if not name.endswith("_ms") and name != "time"}
    kept["request_id"] = OURS.sub(b"ours", str(kept.get("request_id")).encode()).decode()
    return kept


class Holding:
    """An origin that answers the first call when it is let go, and every later one at once.

    Attributes:
        begun: set once the first call is there.
        go: to be set by the test.
    """

    def __init__(self, answer: bytes = HELLO) -> None:
        self.answer = answer
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        await wire.request()
        self.begun.set()
        ended = asyncio.create_task(wire.begins_with(b"?"))
        going = asyncio.create_task(self.go.wait())
        await asyncio.wait((ended, going), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        going.cancel()
        await asyncio.gather(ended, going, return_exceptions=True)
        if not self.go.is_set():
            return
        await wire.send(self.answer)
        while True:
            await wire.request()
            await wire.send(HELLO)
