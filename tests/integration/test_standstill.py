"""What came while the whole process stood still, as by SIGSTOP, counts: bytes of callers, tokens, what commands say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from proxy.clock import SystemClock
from proxy.config import CommandSource
from proxy.credentials.command import Command
from tests.support.origins import Answered, calling, greeting, localpayment
from tests.support.sidecars import settings_for, sidecar
from tests.support.standstill import on_asyncio, on_uvloop, patience, stand_still

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.origins import Caller
    from tests.support.scripted_origin import Wire
    from tests.support.standstill import Run

runs = pytest.mark.parametrize("run", [pytest.param(on_asyncio, id="asyncio"), pytest.param(on_uvloop, id="uvloop")])
MIB = 1024 * 1024
NOTICED = 0.1  # seconds in which asyncio's thread that waits for a child has told the loop of its end


def socket_of(caller: Caller) -> int:
    return int(caller.writer.get_extra_info("socket").fileno())


@runs
def test_a_request_body_that_came_meanwhile_is_taken(*, run: Run) -> None:
    async def scenario() -> None:
        async with (
            localpayment(greeting) as there,
            sidecar(settings_for(there.url, idle_timeout=patience(run))) as relay,
            calling(relay) as caller,
        ):
            await caller.send(b"POST /api/payout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
            await asyncio.sleep(patience(run) / 10)  # the sidecar waits for the rest
            await stand_still(lambda: os.write(socket_of(caller), b"67890"))
            assert (await caller.one()).status == 200

    run(scenario())


@runs
def test_a_caller_that_read_meanwhile_gets_all_of_its_answer(*, run: Run) -> None:
    body = b"x" * (16 * MIB)

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)
        await wire.until_end()

    async def scenario() -> None:
        async with localpayment(script) as there, sidecar(settings_for(there.url, idle_timeout=patience(run))) as relay:
            loop, taken, where = asyncio.get_running_loop(), bytearray(), urlsplit(relay.url)
            with socket.create_connection((where.hostname, where.port)) as caller:
                caller.send(b"GET /api/accounts/1/balance HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                caller.setblocking(False)
                await asyncio.sleep(patience(run) / 10)  # all that the kernel takes has been written

                def take() -> None:
                    try:
                        while piece := caller.recv(MIB):
                            taken.extend(piece)
                    except BlockingIOError:
                        pass

                await stand_still(take)
                while piece := await loop.sock_recv(caller, MIB):
                    taken += piece
            assert Answered(bytes(taken)).body == body

    run(scenario())


@runs
def test_an_event_that_came_meanwhile_ends_a_wait_as_one_that_came(*, run: Run) -> None:
    async def scenario() -> None:
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            loop.add_reader(ours, event.set)
            waiting = asyncio.ensure_future(SystemClock().wait(event, patience(run)))
            await asyncio.sleep(0)
            await stand_still(lambda: theirs.send(b"x"))
            assert await waiting
            loop.remove_reader(ours)

    run(scenario())


@runs
def test_what_a_command_said_meanwhile_is_taken(*, run: Run, tmp_path: Path) -> None:
    gate, begun = tmp_path / "gate", tmp_path / "begun"
    os.mkfifo(gate)
    os.mkfifo(begun)
    script = f"""echo $$ > {begun}; read word < {gate}; echo '{{"username": "name", "password": "'$word'"}}'"""

    async def scenario() -> None:
        loading = asyncio.ensure_future(Command(CommandSource(("/bin/sh", "-c", script)), limit=patience(run)).load())
        command = int(await asyncio.to_thread(begun.read_text))

        def end() -> None:
            gate.write_text("word\n")
            with contextlib.suppress(ChildProcessError):  # asyncio's own thread has seen its end already
                os.waitid(os.P_PID, command, os.WEXITED | os.WNOWAIT)
            time.sleep(NOTICED)

        await stand_still(end)
        assert (await loading).password.reveal() == "word"

    run(scenario())
