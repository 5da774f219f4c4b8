"""A pool of upstream connections for tests, and what it says of a call: its answer, or its fault."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.config import EgressProxy
from proxy.upstream.connecting.tls import tls_context
from proxy.upstream.model import (
    Body,
    ConnectResult,
    FaultKind,
    Limits,
    OutgoingRequest,
    Progress,
    Stream,
    UpstreamFault,
)
from proxy.upstream.pool import Pool
from tests.support.scripted_origin import SCRIPT, authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.secret import Secret
    from proxy.upstream.answer import Answer
    from tests.support.scripted_origin import At, ScriptedOrigin

PAY = b"/pay"
QUICK = Limits(response_timeout=0.1, idle_timeout=0.1)
ENDS = {
    "cut": FaultKind.DISCONNECTED,
    "reset": FaultKind.DISCONNECTED,
    "stall": FaultKind.TIMEOUT,
    "garbage": FaultKind.MALFORMED,
}

ONE = Limits(max_connections=1)  # a call that is sent while another keeps its place waits
BOUND = 20.0  # seconds that nothing here may take; only a defect reaches it


@dataclass(frozen=True)
class Egress(EgressProxy):
    """An egress proxy, without credentials unless they are given."""

    authorization: Secret | None = None


@functools.cache
def client_tls() -> ssl.SSLContext:
    with authority().cert_pem.tempfile() as path:
        return tls_context(Path(path))


@contextlib.asynccontextmanager
async def pool_to(
    at: At,
    *,
    limits: Limits | None = None,
    egress: Egress | None = None,
    ssl_context: ssl.SSLContext | None = None,
    now: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = lambda: 0.0,
    connects: list[ConnectResult] | None = None,
    connected: Callable[[ConnectResult], None] | None = None,
) -> AsyncIterator[Pool]:
    pool = Pool(
        at,
        limits=limits or Limits(),
        ssl_context=ssl_context or (client_tls() if at.tls else None),
        egress=egress,
        now=now,
        chance=chance,
        connected=connected or (connects if connects is not None else []).append,
    )
    before = asyncio.all_tasks()
    try:
        async with asyncio.timeout(BOUND):
            yield pool
    finally:
        await pool.close()
        assert pool.stats() == (0, 0, 0)
        left = [task for task in asyncio.all_tasks() - before if task.get_name() != SCRIPT]
        assert [task for task in left if "_accept_connection" not in repr(task)] == []  # the server's own


def call(method: bytes = b"GET", body: Body = None, *, effects: bool = False, target: bytes = b"/x") -> OutgoingRequest:
    return OutgoingRequest(method, target, b"Accept: */*\r\n", body, effects)


async def whole(answer: Answer) -> bytes:
    async with answer:
        return b"".join([piece async for piece in answer])


async def get(pool: Pool, sent: OutgoingRequest | None = None) -> bytes:
    return await whole(await pool.send(sent or call()))


async def fault_of(sending: Awaitable[object]) -> UpstreamFault:
    try:
        await sending
    except UpstreamFault as fault:
        return fault
    message = "the call was answered"
    raise AssertionError(message)


async def check_place_is_free(pool: Pool, served: ScriptedOrigin) -> None:
    """Check that a call to a pool with ONE place gets as far as a connection of its own."""
    before = len(served.wires)
    sending = asyncio.create_task(pool.send(call()))
    await seen(lambda: len(served.wires) > before)
    sending.cancel()
    await asyncio.wait((sending,))


async def refused_call(at: At, **pool: Any) -> tuple[FaultKind, ConnectResult, str]:
    """Send a call that must fail to connect; check what holds for all such calls."""
    connects: list[ConnectResult] = []
    async with pool_to(at, connects=connects, **pool) as made:
        fault = await fault_of(made.send(call(b"POST", b"pay", effects=True)))
        assert (fault.progress, fault.reused, fault.answer_begun) == (Progress.NOTHING, False, False)
        assert fault.timings.total_seconds is not None
        (result,) = connects
        return fault.kind, result, fault.detail


async def two(pieces: tuple[bytes, bytes] = (b"ab", b"cd")) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def paying(body: str) -> OutgoingRequest:
    bodies = {"none": None, "held": b"abcd", "sized": Stream(4, two()), "chunked": Stream(None, two())}
    return call(b"POST", bodies[body], effects=True, target=PAY)


async def warmed(pool: Pool, *, reused: bool) -> None:
    if reused:
        await get(pool)


async def seen(condition: Callable[[], object]) -> None:
    """Let the event loop turn until it is so; the pool's own bound ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - what is waited for tells nobody that it came
        await asyncio.sleep(0)
