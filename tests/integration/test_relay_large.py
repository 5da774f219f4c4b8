"""Large bodies cost no memory, and a crowd that comes and goes leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from proxy.relay.call import Call
from proxy.relay.server.connection import CallerConnection
from proxy.relay.server.incoming_request import IncomingRequest
from proxy.upstream.connection import Connection
from tests.support.origins import HELLO, Caller, calling, greeting, localpayment, request, said, until
from tests.support.processes import running
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

    class Way(Protocol):
        def __call__(self, caller: Caller, *, chunked: bool) -> Awaitable[bytes]: ...


MIB = 1024 * 1024
SIZE = 64 * MIB
PIECE = bytes(range(256)) * 256  # 64 KiB
DIGEST = hashlib.sha256(PIECE * (SIZE // len(PIECE))).hexdigest().encode()


async def measuring(wire: Wire) -> None:
    """Answer an upload with its hash, and a download with the bytes that have this hash."""
    while True:
        head = await wire.head()
        if head.startswith(b"GET"):
            framing = b"Transfer-Encoding: chunked" if b"chunked" in head else b"Content-Length: %d" % SIZE
            await wire.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
            for _ in range(SIZE // len(PIECE)):
                await wire.send(PIECE if b"chunked" not in head else b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            await wire.send(b"0\r\n\r\n" if b"chunked" in head else b"")
        else:
            digest = await hashed(wire, chunked=b"chunked" in head)
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(digest) + digest)


async def hashed(wire: Wire, *, chunked: bool) -> bytes:
    found, left = hashlib.sha256(), 0 if chunked else SIZE
    while True:
        if chunked:
            left = int(await wire.reader.readuntil(b"\r\n"), 16)
        ends = not left
        while left:
            piece = await wire.reader.read(min(left, MIB))
            found.update(piece)
            left -= len(piece)
        if chunked:
            await wire.reader.readuntil(b"\r\n")
        if ends or not chunked:
            return found.hexdigest().encode()


@dataclass(frozen=True)
class Process:
    """A sidecar that is a process of its own."""

    pid: int
    url: str

    def memory(self) -> tuple[int, int]:
        """Bytes that it has now, and had at most (proc_pid_status(5))."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in text.splitlines())
        return int(lines["VmRSS"].split()[0]) * 1024, int(lines["VmHWM"].split()[0]) * 1024


@contextlib.asynccontextmanager
async def process(url: str) -> AsyncIterator[Process]:
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": url,
        "LOCALPAYMENT_USERNAME": "merchant",
        "LOCALPAYMENT_PASSWORD": "invented",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        "PROXY_MAX_REQUEST_BODY": "128MiB",
        "PROXY_LOG_FORMAT": "json",
    }
    async with running("serve", settings=settings) as started:
        line = json.loads(await started.says("sidecar.started"))
        yield Process(started._process.pid, line["data"])  # noqa: SLF001 - whose memory is measured


async def upload(caller: Caller, *, chunked: bool) -> bytes:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
    await caller.send(b"POST /api/virtual-account-batch HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n")
    for _ in range(SIZE // len(PIECE)):
        await caller.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
    if chunked:
        await caller.send(b"0\r\n\r\n")
    return (await caller.one()).body


async def download(caller: Caller, *, chunked: bool) -> bytes:
    """Read a large answer; of a chunked one the chunks are taken off here."""
    mark = b"X-How: chunked\r\n" if chunked else b""
    await caller.send(b"GET /api/transactions/list/filter HTTP/1.1\r\nHost: localhost\r\n" + mark + b"\r\n")
    head = await caller.until(b"\r\n\r\n")
    assert (b"chunked" in head) == chunked
    found, left = hashlib.sha256(), 0 if chunked else SIZE
    while True:
        if chunked:
            left = int(await caller.until(b"\r\n"), 16)
        ends = not left
        while left:
            piece = await caller.reader.read(min(left, MIB))
            found.update(piece)
            left -= len(piece)
        if chunked:
            await caller.until(b"\r\n")
        if ends or not chunked:
            return found.hexdigest().encode()


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize("way", [upload, download], ids=["up", "down"])
async def test_64_mib_pass_whole_and_cost_less_than_8_mib_of_memory(way: Way, *, chunked: bool) -> None:
    async with localpayment(measuring) as there, process(there.url) as relay, calling(relay) as caller:
        await caller.send(request("GET", "/api/token/").replace(b"Connection: close\r\n", b""))
        assert (await caller.one()).status == 403
        before, _ = relay.memory()
        assert await way(caller, chunked=chunked) == DIGEST
        _, most = relay.memory()
        assert most - before < 8 * MIB


async def tasks_at_rest(expected: int) -> None:
    await until(lambda: len(asyncio.all_tasks()) <= expected)


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def alive(*kinds: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


async def visit(relay: Running, number: int) -> None:
    """Come and go in one of the ways in which callers do."""
    payout = request("POST", "/api/payout", body=b'{"externalId": "order-1"}')
    async with calling(relay) as caller:
        match number % 6:
            case 0:
                pass
            case 1:
                await caller.send(payout[:40])
            case 2:
                await caller.send(b"\x16\x03\x01")
                await caller.rest()
            case 3:
                await caller.send(payout)
            case 4:
                await caller.send(payout[:-5])
            case _:
                await caller.send(payout)
                assert (await caller.rest()).status == 200
        if number % 2:
            caller.leave()


async def test_a_crowd_that_comes_and_goes_leaves_no_descriptor_no_task_and_no_object_behind() -> None:
    kinds = (CallerConnection, IncomingRequest, Call)
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        assert (await said(relay, request("GET", "/api/resources/banks"))).status == 200
        await asyncio.sleep(0.01)  # a turn or two of the loop, in which the first connection ends
        tasks, open_before = len(asyncio.all_tasks()), descriptors()
        objects, connections = alive(*kinds), alive(Connection)
        for batch in range(20):
            await asyncio.gather(*(visit(relay, batch * 30 + number) for number in range(30)))
        await until(lambda: relay.value("in_flight_requests") == 0)
        await relay.sidecar.pool.close()
        await tasks_at_rest(tasks)
        await until(lambda: descriptors() <= open_before)
        await until(lambda: alive(*kinds) <= objects)
        assert alive(Connection) <= connections


async def test_a_caller_that_leaves_in_the_middle_of_a_large_upload_leaves_nothing_behind() -> None:
    async def sink(wire: Wire) -> None:
        await wire.until_end()

    async with localpayment(sink) as there, sidecar(settings_for(there.url)) as relay:
        for _ in range(5):
            async with calling(relay) as caller:
                await caller.send(b"POST /api/payout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\n")
                await caller.send(bytes(2 * MIB))
                caller.leave()
        await until(lambda: len(relay.calls) == 5)
        assert {line["outcome"] for line in relay.calls} <= {"unknown", "not_sent"}
        await until(lambda: relay.value("upstream_connections", state="active") == 0)


async def test_an_answer_whose_body_comes_with_its_head_is_one_write() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        await caller.send(request("GET", "/api/resources/banks"))
        assert (await caller.reader.read(65536)).endswith(HELLO[-5:])


async def test_an_upload_that_localpayment_stops_taking_is_held_back_and_its_outcome_unknown() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as write-only
        await asyncio.Event().wait()

    async with localpayment(script) as there, sidecar(settings_for(there.url, idle_timeout=0.3)) as relay:
        async with calling(relay) as caller:
            sending = asyncio.create_task(
                caller.send(request("POST", "/api/virtual-account-batch", body=bytes(30 * MIB)))
            )
            answer = await caller.rest()
            problem = answer.problem
            assert (problem["status"], problem["code"], problem["outcome"]) == (504, "upstream_timeout", "unknown")
            (line,) = relay.calls
            assert line["request_bytes"] < 25 * MIB
            caller.leave()
            await sending
        assert there.calls.count(b"POST ") == 1
