"""An answer that was cut reaches its caller as a reset: many clients take what came before a clean end for all."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, cast

import pytest

from proxy.config import UnixAddress
from tests.support.callers import Certificates
from tests.support.fakes import settle
from tests.support.origins import Caller, calling, localpayment, until
from tests.support.sent_at_once import ORDER, PAY, READ, ask
from tests.support.sidecars import BOUND, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from proxy.relay.server.connection import CallerConnection
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

GET = ask("GET", READ)
DECLARED, SENT = 10_000, 3_009
HEADS = {
    "declared": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % DECLARED,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % DECLARED,
}


def cutting(head: bytes, sent: int = SENT, *, let: asyncio.Event | None = None) -> Callable[[Wire], Awaitable[None]]:
    """An origin that begins an answer and breaks it off, once it is let."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(head + b"x" * sent)
        if let is not None:
            await let.wait()
        wire.cut()

    return script


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_cut_answer_is_a_reset(head: bytes, method: str) -> None:
    let = asyncio.Event()
    sent = GET if method == "GET" else ask("POST", PAY, body=ORDER)
    async with localpayment(cutting(head, let=let)) as there, sidecar(settings_for(there.url)) as relay:
        async with calling(relay) as caller:
            await caller.send(sent)
            raw = await caller.until(b"x" * SENT)
            let.set()
            answer = await caller.rest(raw)
            assert (answer.status, answer.complete, answer.reset) == (200, False, True)
        await until(lambda: relay.calls)
        assert [line["outcome"] for line in relay.calls] == ["aborted"]


async def test_it_is_one_when_the_caller_takes_it_slowly() -> None:
    many = 8 * 1024 * 1024  # more than all buffers between
    head = HEADS["declared"].replace(b"%d" % DECLARED, b"%d" % (2 * many))
    async with (
        localpayment(cutting(head, many)) as there,
        sidecar(settings_for(there.url)) as relay,
        calling(relay) as caller,
    ):
        await caller.send(GET)
        await until(lambda: caller.reader._buffer)  # type: ignore[attr-defined]  # noqa: SLF001 - what has come, unread
        answer = await caller.rest()
        assert (answer.status, answer.complete, answer.reset) == (200, False, True)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
async def test_over_tls_it_is_one_and_says_no_farewell(head: bytes, tmp_path: Path) -> None:
    let, files = asyncio.Event(), Certificates(tmp_path / "certificates")
    async with (
        localpayment(cutting(head, let=let)) as there,
        sidecar(settings_for(there.url, **files.settings)) as relay,
        calling(relay) as caller,
    ):
        tls = InMemory(caller, files.client())
        await tls.send(GET)
        read = await tls.until(b"x" * SENT)
        let.set()
        rest = await caller.rest()
        assert rest.reset
        assert tls.opened(rest.raw) == (b"", False), "neither more of the answer nor a farewell"
        assert len(read) < DECLARED


class InMemory:
    """TLS over a caller's raw connection, so that the end of each is seen apart."""

    def __init__(self, caller: Caller, context: ssl.SSLContext) -> None:
        self._caller = caller
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    async def send(self, data: bytes) -> None:
        """Shake hands, and send."""
        while True:
            try:
                self._tls.write(data)
            except ssl.SSLWantReadError:
                await self._caller.send(self._out.read())
                self._in.write(await self._caller.reader.read(65536))
            else:
                await self._caller.send(self._out.read())
                return

    async def until(self, mark: bytes) -> bytes:
        """Read up to a mark."""
        read = b""
        async with asyncio.timeout(BOUND):
            while mark not in read:
                piece, ended = self.opened(await self._caller.reader.read(65536))
                assert not ended
                read += piece
        return read

    def opened(self, records: bytes) -> tuple[bytes, bool]:
        """What records hold, and whether they end with the farewell."""
        self._in.write(records)
        read = b""
        while True:
            try:
                piece = self._tls.read(65536)
            except ssl.SSLWantReadError:
                return read, False
            if not piece:
                return read, True
            read += piece


async def test_over_a_socket_file_its_length_tells(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    async with (
        localpayment(cutting(HEADS["declared"])) as there,
        sidecar(settings_for(there.url, listen=UnixAddress(path))),
    ):
        reader, writer = await asyncio.open_unix_connection(str(path))
        with contextlib.closing(writer):
            writer.write(GET)
            answer = await Caller(reader, writer).rest()
            assert (answer.status, answer.complete) == (200, False)


async def test_the_end_of_the_sidecar_cuts_by_a_reset_too() -> None:
    async with (
        localpayment(cutting(HEADS["declared"], let=asyncio.Event())) as there,
        contextlib.AsyncExitStack() as after,
    ):
        async with sidecar(settings_for(there.url)) as relay:
            caller = await after.enter_async_context(calling(relay))
            await caller.send(GET)
            raw = await caller.until(b"x" * SENT)
        answer = await caller.rest(raw)
        assert (answer.complete, answer.reset) == (False, True)


async def test_an_answer_that_its_caller_has_not_taken_when_the_sidecar_ends_is_cut_by_a_reset() -> None:
    body = b"x" * 8 * 1024 * 1024

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)
        await wire.until_end()

    async with localpayment(script) as there, contextlib.AsyncExitStack() as after:
        async with sidecar(settings_for(there.url)) as relay:
            caller = await after.enter_async_context(calling(relay))
            await caller.send(GET)
            await until(lambda: caller.reader._buffer)  # type: ignore[attr-defined]  # noqa: SLF001 - what has come, unread
            await settle()
        answer = await caller.rest()
        assert (answer.complete, answer.reset) == (False, True)


async def test_a_stop_that_cuts_an_answer_which_its_caller_has_not_taken_is_not_clean() -> None:
    """The call is over then: the last bytes of its answer wait for the kernel to take them."""
    body = b"x" * 16 * 1024

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    async with (
        localpayment(script) as there,
        sidecar(settings_for(there.url, drain_timeout=0.1)) as relay,
        calling(relay) as caller,
    ):
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as write-only
        (connection,) = await connected(relay)
        while not connection.unsent:
            calls = len(relay.calls)
            await caller.send(GET)
            await until(lambda over=calls + 1: len(relay.calls) == over)  # type: ignore[misc]  # bound at once
        assert relay.sidecar.concurrency.in_flight == 0
        assert not await relay.sidecar.drain()
        (line,) = relay.lines("drain.timed_out")
        assert (line["in_flight"], line["unread_answers"]) == (0, 1)


async def connected(relay: Running) -> list[CallerConnection]:
    """The callers' connections, once there is one."""
    listener = relay.sidecar.listener
    await until(lambda: listener.connections)
    return [cast("CallerConnection", connection) for connection in listener.connections]


async def test_a_caller_that_ends_its_sending_side_during_its_answer_is_reset() -> None:
    """It counts as gone, so that its answer is cut; that must not look like an answer's end."""
    async with (
        localpayment(cutting(HEADS["declared"], let=asyncio.Event())) as there,
        sidecar(settings_for(there.url)) as relay,
        calling(relay) as caller,
    ):
        await caller.send(GET)
        raw = await caller.until(b"x" * SENT)
        caller.writer.write_eof()
        answer = await caller.rest(raw)
        assert (answer.complete, answer.reset) == (False, True)
