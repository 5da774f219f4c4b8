"""What a drain means for callers' connections: each learns with an answer that it ends; what comes late is refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from proxy.config import UnixAddress
from tests.support.callers import Certificates
from tests.support.fakes import settle
from tests.support.held_calls import Held
from tests.support.origins import HELLO, Caller, calling, greeting, localpayment, until
from tests.support.sent_at_once import ORDER, PAY, READ, Holding, ask, listener_of
from tests.support.sidecars import BOUND, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Any

    from tests.support.origins import Answered, Localpayment
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

PAYOUT = ask("POST", PAY, body=ORDER)
CHUNKED = ask("POST", PAY, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"
EXPECTING = ask("POST", PAY, "Expect: 100-continue", body=ORDER).removesuffix(ORDER)


@contextlib.asynccontextmanager
async def served(there: Localpayment, **changes: Any) -> AsyncIterator[Running]:
    async with sidecar(settings_for(there.url, drain_timeout=BOUND, **changes)) as relay:
        yield relay


@contextlib.asynccontextmanager
async def busy(held: Held | Holding, **changes: Any) -> AsyncIterator[tuple[Localpayment, Running, Caller]]:
    """A sidecar with a payout that has no answer before `held.go` is set."""
    async with localpayment(held) as there, served(there, **changes) as relay, calling(relay) as caller:
        await caller.send(PAYOUT)
        await held.begun.wait()
        yield there, relay, caller


def refused_as_late(answer: Answered) -> bool:
    said = answer.problem
    told = (answer.status, said["code"], said["outcome"], answer.headers["connection"])
    return told == (503, "draining", "not_sent", "close") and "retry-after" in answer.headers


async def stopped(relay: Running) -> asyncio.Task[bool]:
    """A drain that has begun, once the listener has stopped."""
    ending = asyncio.create_task(relay.sidecar.drain())
    await until(lambda: listener_of(relay).stopping)
    return ending


async def test_an_answer_given_during_the_drain_says_that_its_connection_ends() -> None:
    held = Held()
    async with busy(held) as (_, relay, caller):
        ending = await stopped(relay)
        held.go.set()
        answer = await caller.rest()
        assert (answer.status, answer.headers["connection"], answer.reset) == (200, "close", False)
        caller.writer.close()
        assert await ending


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("sent", [PAYOUT, CHUNKED, ask("GET", READ)], ids=["payout", "chunked", "read"])
async def test_a_request_that_comes_late_on_a_kept_connection_is_refused_and_not_sent(
    sent: bytes, *, used: bool
) -> None:
    held = Holding()
    async with busy(held) as (there, relay, _), calling(relay) as kept:
        if used:
            await kept.send(ask("GET", "/api/token/"))
            assert (await kept.one()).status == 403
        await stopped(relay)
        calls = there.calls
        await kept.send(sent)
        answer = await kept.rest()
        assert refused_as_late(answer)
        assert not answer.reset
        assert there.calls == calls
        held.go.set()


async def test_a_late_caller_that_expects_to_be_asked_is_refused_and_not_asked() -> None:
    held = Held()
    async with busy(held) as (_, relay, _), calling(relay) as kept:
        await stopped(relay)
        await kept.send(EXPECTING)
        answer = await kept.rest()
        assert b"100 Continue" not in answer.raw
        assert refused_as_late(answer)
        held.go.set()


async def test_a_caller_that_was_asked_for_its_body_before_is_heard_to_the_end() -> None:
    async with localpayment(greeting) as there, served(there) as relay, calling(relay) as caller:
        await caller.send(EXPECTING)
        assert await caller.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        ending = await stopped(relay)
        await caller.send(ORDER)
        answer = await caller.rest()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        caller.writer.close()
        assert await ending


@pytest.mark.parametrize("sent", [1, 20, len(PAYOUT) - 1])
async def test_a_request_that_had_begun_is_waited_for_and_carried_without_any_other_in_flight(sent: int) -> None:
    async with localpayment(greeting) as there, served(there) as relay, calling(relay) as caller:
        await caller.send(PAYOUT[:sent])
        await settle()
        ending = await stopped(relay)
        await settle()
        assert not ending.done()
        await caller.send(PAYOUT[sent:])
        answer = await caller.rest()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        caller.writer.close()
        assert await ending


async def test_a_head_that_never_comes_whole_is_told_so_when_the_sidecar_ends() -> None:
    async with localpayment(greeting) as there, contextlib.AsyncExitStack() as after:
        async with served(there) as relay:
            caller = await after.enter_async_context(calling(relay))
            await caller.send(PAYOUT[:20])
            await settle()
        assert refused_as_late(await caller.rest())


async def test_a_connection_whose_answer_had_begun_without_a_word_of_the_end_is_refused_its_next_request() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO[:-1])
        begun.set()
        await go.wait()
        await wire.send(HELLO[-1:])
        await wire.until_end()

    async with localpayment(script) as there, served(there) as relay, calling(relay) as caller:
        await caller.send(PAYOUT)
        raw = await caller.until(b"hell")
        assert b"Connection: close" not in raw
        await stopped(relay)
        go.set()
        assert await caller.until(b"o") == b"o"
        await caller.send(PAYOUT)
        assert refused_as_late(await caller.rest())
        assert there.calls.count(b"POST ") == 1


async def test_of_a_pipeline_the_answer_that_says_so_is_the_last_and_no_reset_overtakes_it() -> None:
    held = Held()
    async with busy(held) as (there, relay, caller):
        await caller.send(PAYOUT * 3)
        await settle()
        ending = await stopped(relay)
        held.go.set()
        answer = await caller.one()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await caller.send(PAYOUT)
        rest = await caller.rest()
        assert (rest.raw, rest.reset) == (b"", False)
        caller.writer.close()
        assert await ending
        assert there.calls.count(b"POST ") == 1


async def test_a_connection_that_asks_for_nothing_more_is_kept_for_a_while_and_then_ended() -> None:
    async with localpayment(greeting) as there, served(there) as relay, calling(relay) as kept:
        await kept.send(PAYOUT)
        assert (await kept.one()).status == 200
        ending = await stopped(relay)
        assert not kept.reader.at_eof()
        last = await kept.rest()
        assert (last.raw, last.reset) == (b"", False)
        assert await ending


async def test_without_connections_a_drain_ends_at_once() -> None:
    async with localpayment(greeting) as there, served(there) as relay:
        async with calling(relay) as caller:
            await caller.send(PAYOUT)
            await caller.one()
        await until(listener_of(relay).empty.is_set)
        assert await relay.sidecar.drain()


async def test_an_order_to_drain_ends_each_connection_with_its_next_answer() -> None:
    held = Held()
    async with busy(held) as (_, relay, caller):
        assert (await relay.admin("/-/drain", "POST"))[0] == 202
        held.go.set()
        answer = await caller.rest()
        assert (answer.status, answer.headers["connection"], answer.reset) == (200, "close", False)
        async with calling(relay) as another:
            assert not another.reader.at_eof()


async def connected(relay: Running, listen: Path | None, count: int) -> list[socket.socket]:
    """So many connections with a payout each, none of which the event loop has seen yet."""
    where = urlsplit(relay.url)
    found = []
    for _ in range(count):
        sock = socket.socket(socket.AF_INET if listen is None else socket.AF_UNIX)
        sock.connect((where.hostname, where.port) if listen is None else str(listen))
        sock.sendall(PAYOUT)
        sock.setblocking(False)
        found.append(sock)
    return found


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
async def test_what_waits_to_be_accepted_is_answered(tmp_path: Path, *, unix: bool) -> None:
    path = tmp_path / "proxy.sock" if unix else None
    changes = {} if path is None else {"listen": UnixAddress(path)}
    async with localpayment(greeting) as there, served(there, **changes) as relay:
        waiting = await connected(relay, path, 40)
        ending = asyncio.create_task(relay.sidecar.drain())
        for sock in waiting:
            reader, writer = await asyncio.open_connection(sock=sock)
            answer = await Caller(reader, writer).rest()
            assert answer.status == 200 or refused_as_late(answer)
            assert not answer.reset
            writer.close()
        assert await ending


async def test_over_tls_a_request_that_comes_late_is_refused_and_not_sent(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certificates")
    held = Held()
    async with busy_tls(held, certificates) as (there, relay, caller, kept):
        await stopped(relay)
        calls = there.calls
        await kept.send(PAYOUT)
        assert refused_as_late(await kept.rest())
        assert there.calls == calls
        held.go.set()
        answer = await caller.rest()
        assert (answer.status, answer.headers["connection"]) == (200, "close")


async def test_a_caller_in_the_middle_of_its_tls_handshake_is_answered(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certificates")
    async with localpayment(greeting) as there, served(there, **certificates.settings) as relay:
        where = urlsplit(relay.url)
        with socket.create_connection((where.hostname, where.port)) as sock:
            await settle()
            ending = await stopped(relay)
            await settle()
            assert not ending.done()
            reader, writer = await asyncio.open_connection(
                sock=sock, ssl=certificates.client(), server_hostname="localhost"
            )
            writer.write(PAYOUT)
            answer = await Caller(reader, writer).rest()
            assert refused_as_late(answer)
            writer.close()
        assert await ending


@contextlib.asynccontextmanager
async def busy_tls(
    held: Held, certificates: Certificates
) -> AsyncIterator[tuple[Localpayment, Running, Caller, Caller]]:
    async with (
        localpayment(held) as there,
        served(there, **certificates.settings) as relay,
        contextlib.AsyncExitStack() as stack,
    ):
        where, callers = urlsplit(relay.url), []
        for _ in range(2):
            reader, writer = await asyncio.open_connection(
                where.hostname, where.port, ssl=certificates.client(), server_hostname="localhost"
            )
            stack.callback(writer.close)
            callers.append(Caller(reader, writer))
        await callers[0].send(PAYOUT)
        await held.begun.wait()
        yield there, relay, callers[0], callers[1]
