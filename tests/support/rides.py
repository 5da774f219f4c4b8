"""How do tests see which calls of a sidecar went express? They look on while it decides.

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
from tests.support.sidecars import Running, preheat, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.clock import Clock
    from proxy.config import Settings
    from proxy.relay.express import Express
    from proxy.relay.ride import Ride
    from proxy.relay.server.connection import CallerConnection
    from proxy.relay.server.listener import Listener
    from proxy.relay.server.response import Written
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


class Rides:
    """The calls of a sidecar that went express.

    Attributes:
        taken: each of them, oldest first.
        refused: how often bytes were looked at and left to the handler.
        handed_over: those that the handler carried on with.
    """

    def __init__(self, express: Express) -> None:
        self.taken: list[Ride] = []
        self.refused = 0
        self.handed_over: list[Ride] = []
        self._take, self._go_on = express.take, express._go_on
        express.take = self.take  # type: ignore[method-assign]  # a test looks on
        express._go_on = self.go_on

    def take(self, connection: CallerConnection, data: bytes) -> Ride | None:
        ride = self._take(connection, data)
        if ride is None:
            self.refused += 1
        else:
            self.taken.append(ride)
        return ride

    async def go_on(self, ride: Ride) -> Written:
        self.handed_over.append(ride)
        return await self._go_on(ride)


def express_of(relay: Running) -> Express:
    express = relay.sidecar.relay._express
    assert express is not None
    return express


def listener_of(relay: Running) -> Listener:
    runner = relay.sidecar._data._runner
    assert runner is not None
    listener: Any = runner.server
    found: Listener = listener
    return found


@contextlib.asynccontextmanager
async def riding(settings: Settings, clock: Clock | None = None) -> AsyncIterator[tuple[Running, Rides]]:
    """Run a sidecar that has a warm connection, so that its first ordinary call goes express."""
    async with sidecar(settings, clock=clock) as relay:
        await preheat(relay.sidecar.pool)
        yield relay, Rides(express_of(relay))


@contextlib.asynccontextmanager
async def in_front_of(
    script: Callable[[Wire], Awaitable[None]], **changes: Any
) -> AsyncIterator[tuple[Localpayment, Running, Rides, Caller]]:
    """An origin, a sidecar with a warm connection to it, and a caller."""
    async with (
        localpayment(script) as there,
        riding(settings_for(there.url, **changes)) as (relay, rides),
        calling(relay) as caller,
    ):
        yield there, relay, rides, caller


def at_rest(relay: Running) -> bool:
    """Whether no call holds a place or a connection."""
    gate, pool = relay.sidecar.gate, relay.sidecar.pool
    return (gate.in_flight, gate._reads, pool.stats().active, pool._taken) == (0, 0, 0, 0)


@dataclass(frozen=True)
class Case:
    """What a caller sends, segment by segment, and what Localpayment answers, call by call and piece by piece.

    Attributes:
        sent: None waits until all calls so far are over.
        answers: a callable gets the call's head; None ends the connection.
        express: how many calls of `sent` go express.
        handed_over: of them, how many the handler carries on with.
        calls: how many calls `sent` makes.
        changes: settings.
    """

    sent: tuple[bytes | None, ...]
    answers: tuple[tuple[bytes | Callable[[bytes], bytes] | None, ...], ...]
    express: int = 1
    handed_over: int = 0
    calls: int = 1
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Left:
    """What a case left behind, and how many calls of it went express."""

    at_origin: list[bytes]
    at_caller: bytes
    lines: list[dict[str, Any]]
    metrics: list[str]
    rides: tuple[int, int]


async def carry(case: Case, *, express: bool) -> Left:
    """Carry a case's calls, and one more that ends the caller's connection."""
    answers = list(case.answers)

    async def script(wire: Wire) -> None:
        while True:
            head = await wire.request()
            for piece in answers.pop(0) if answers else (HELLO,):
                if piece is None:
                    return
                await wire.send(piece if isinstance(piece, bytes) else piece(head))
                await settle()

    async with in_front_of(script, **case.changes) as (there, relay, rides, caller):
        if not express:
            relay.sidecar.relay._express = None
        done = 0
        for segment in case.sent:
            if segment is None:
                done += 1
                await until(lambda count=done: len(relay.calls) == count)  # type: ignore[misc]  # bound at once
            else:
                await caller.send(segment)
                await settle()
        await until(lambda: len(relay.calls) == case.calls)
        counted = len(rides.taken), len(rides.handed_over)
        await caller.send(LAST)
        read = await caller.rest()
        await until(lambda: len(relay.calls) >= case.calls and at_rest(relay))
        _, text = await relay.admin("/metrics")
        metrics = [line for line in text.splitlines() if line.startswith("localpayment") and not _TIMES.search(line)]
        lines = [_timeless(line) for line in relay.calls + relay.lines("token.echoed") + relay.lines("request.failed")]
        return Left([_alike(data) for data in there.received], _alike(read.raw), lines, metrics, counted)


HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


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
