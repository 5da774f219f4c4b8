"""The fault-point matrix through a whole sidecar: a connection that came about, and then broke off or fell silent.

For each point the caller learns exactly what is known, the log and the metrics say the same, and Localpayment never
gets a call with effects twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_matrix import CALLS, Call, Expected, observed
from tests.support.origins import HELLO, calling, greeting, localpayment
from tests.support.scripted_origin import break_off, server_tls
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.scripted_origin import Wire

# Where it breaks off, in the order of the wire: how much of the request is read, how much of an answer is sent.
IN_REQUEST = ("16 bytes", "head", "part of body")
WHOLE_REQUEST = {
    "request": b"",
    "status line": b"HTTP/1.1 2",
    "headers": HELLO[:30],
    "answer's head": HELLO[:-5],
    "answer's body": HELLO[:-2],
    "answer's chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
}
BEGUN = ("answer's head", "answer's body", "answer's chunks")
HOWS = ("cut", "reset", "stall", "garbage")
OVER_TLS = (
    "get_balance",
    "create_payout",
)  # without TLS as well; each of the others would cost seconds and show no more


@dataclass(frozen=True)
class Point:
    where: str
    how: str
    call: Call
    reused: bool
    tls: bool = False

    def __str__(self) -> str:
        way = f"{'reused' if self.reused else 'fresh'}{', TLS' if self.tls else ''}"
        return f"{self.call.name}, {way}: {self.how} after {self.where}"

    @property
    def expected(self) -> Expected:
        """The design's table once more, in words of its own."""
        if self.where in BEGUN:
            code = "upstream_timeout" if self.how == "stall" else "upstream_disconnected"
            return Expected(status=200, outcome="aborted", code=code, sent=1)
        stale = self.reused and self.how in {"cut", "reset"} and self.where in {*IN_REQUEST, "request"}
        if stale and self.call.method == "GET":
            return Expected(status=200, outcome="answered", code="", sent=2, resends=("disconnected",))
        match self.how:
            case "stall":
                return Expected(status=504, outcome="unknown", code="upstream_timeout", sent=1)
            case "garbage":
                return Expected(status=502, outcome="unknown", code="upstream_malformed", sent=1)
            case _:
                return Expected(status=502, outcome="unknown", code="upstream_disconnected", sent=1)


def points() -> Iterator[Point]:
    for call, where, how, reused in product(CALLS, (*IN_REQUEST, *WHOLE_REQUEST), HOWS, (False, True)):
        in_body = where == "part of body"
        exists = (
            (where != "head" or call.body)
            # The caller holds the rest back, so that it is not the origin which is waited for.
            and (not in_body or (call.streamed and how != "stall"))
            # Bytes in the middle of a body are a body.
            and (how != "garbage" or where in {"request", "status line", "headers", "part of body"})
        )
        if exists:
            yield Point(where, how, call, reused)
        if exists and call.operation in OVER_TLS:
            yield Point(where, how, call, reused, tls=True)


async def read_to(wire: Wire, point: Point) -> None:
    match point.where:
        case "16 bytes":
            await wire.read(16)
        case "head":
            await wire.head()
        case "part of body":
            await wire.head()
            await wire.read(16)
        case _:
            await wire.request()
            await wire.send(WHOLE_REQUEST[point.where])


@pytest.mark.parametrize("point", [*points()], ids=str)
async def test_wherever_a_connection_breaks_off_everyone_learns_the_same_truth(point: Point, ca_file: Path) -> None:
    met, passed_on = False, asyncio.Event()

    async def script(wire: Wire) -> None:
        nonlocal met
        if met:
            await greeting(wire)
        if point.reused:
            await wire.request()
            await wire.send(HELLO)
        met = True
        await read_to(wire, point)
        if point.where in BEGUN:
            await passed_on.wait()
        await break_off(wire, point.how)

    async with localpayment(script, tls=server_tls() if point.tls else None) as there:
        limits = {"response_timeout": 5.0, "idle_timeout": 5.0, "replay_buffer": 1024}
        if point.how == "stall":
            limits["idle_timeout" if point.where in BEGUN else "response_timeout"] = 0.05
        async with sidecar(settings_for(there.url, upstream_ca_file=ca_file, **limits)) as relay:
            if point.reused:
                assert (await relay.get("/api/resources/banks"))[0] == 200
            async with calling(relay) as caller:
                await caller.send(point.call.begun if point.where == "part of body" else point.call.request)
                head = await caller.until(b"\r\n\r\n") if point.where in BEGUN else b""
                passed_on.set()
                answered = await caller.rest(head)
                caller.leave()
            observed(relay, there, point.call, answered, point.expected)
            assert len(there.wires) == (2 if point.expected.resends else 1)
