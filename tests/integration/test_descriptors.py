"""File descriptors that are closed at the start, or run out: the sidecar goes on, and its probes are answered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import resource
import signal
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest
import uvloop

from proxy.config.addresses import TcpAddress
from proxy.listening.acceptor import Acceptor, Unbounded
from proxy.listening.binding import bind
from proxy.process.file_descriptors import scarce
from proxy.serve import most_connections
from proxy.simulator.server import Simulator
from tests.support.callers import on_socket
from tests.support.namespaces import starting
from tests.support.origins import calling, greeting, localpayment, request, until
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path
    from typing import Any


GOOD = {
    "LOCALPAYMENT_ENVIRONMENT": "sandbox",
    "LOCALPAYMENT_USERNAME": "merchant",
    "LOCALPAYMENT_PASSWORD": "invented",
    "PROXY_LISTEN": "127.0.0.1:0",
    "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
}
SOME_OF_THREE = [chosen for count in (1, 2, 3) for chosen in itertools.combinations(range(3), count)]
FEW = 100
on_both_loops = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
running_on_both = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


def by_shell(words: str) -> tuple[str, ...]:
    """What starts a command by a shell that has done something first."""
    return ("/bin/sh", "-c", f'{words}; exec "$@"', "sh")


@on_both_loops
@pytest.mark.parametrize("closed", SOME_OF_THREE, ids=str)
async def test_descriptors_that_are_closed_at_the_start_are_opened_on_dev_null(
    closed: tuple[int, ...], loop: str, tmp_path: Path
) -> None:
    before = by_shell("exec " + " ".join(f"{number}>&-" for number in closed))
    async with Simulator() as simulator:
        settings = {
            **GOOD,
            "LOCALPAYMENT_BASE_URL": simulator.url,
            "PROXY_ADMIN_LISTEN": f"unix:{tmp_path}/admin",
            "PROXY_EVENT_LOOP": loop,
        }
        async with starting("serve", settings=settings, first=False, before=before) as process:
            await until((tmp_path / "admin").exists)
            async with on_socket(tmp_path / "admin") as admin:
                async with asyncio.timeout(20):
                    while not await is_ready(admin):
                        pass
                assert {process.opened(number) for number in closed} == {"/dev/null"}
            finished = await process.stopped()
    assert (finished.code, finished.err) == (0, "")
    assert ("sidecar.stopped" in finished.out) == (1 not in closed)


async def is_ready(admin: aiohttp.ClientSession) -> bool:
    try:
        async with admin.get("/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:  # the file is there a moment before anyone listens
        return False


@on_both_loops
async def test_probes_are_answered_when_callers_take_all_descriptors(loop: str) -> None:
    before = by_shell(f"ulimit -n {FEW}")
    async with Simulator() as simulator, contextlib.AsyncExitStack() as stack:
        settings = {**GOOD, "LOCALPAYMENT_BASE_URL": simulator.url, "PROXY_EVENT_LOOP": loop}
        process = await stack.enter_async_context(starting("serve", settings=settings, first=False, before=before))
        limits = json.loads(await process.says("descriptors.too_few"))
        assert (limits["allowed"], limits["connections"]) == (FEW, FEW // 2)
        started = json.loads(await process.says("sidecar.started"))
        await process.says("token.refreshed")
        data, admin = urlsplit(started["data"]), urlsplit(started["admin"])
        for _ in range(2 * FEW):
            _, writer = await asyncio.open_connection(data.hostname, data.port)
            stack.callback(writer.close)
        metrics = ""
        async with asyncio.timeout(20):
            while 'accept_pauses_total{listener="data"} 0.0' in metrics or not metrics:
                metrics = await asked(admin.port, "/metrics")
        assert (await asked(admin.port, "/readyz")).startswith("HTTP/1.1 200")
        assert 'accept_pauses_total{listener="admin"} 0.0' in metrics
        finished = await process.stopped(signal.SIGTERM)
    events = [json.loads(line)["event"] for line in finished.out.splitlines()]
    assert (finished.code, finished.err) == (0, "")
    assert events.count("listener.paused") == 1
    assert "library.logged" not in events


async def asked(port: int | None, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.decode()


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open so many more files at most, as long as none that is open now is closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@running_on_both
def test_a_listener_waits_while_there_are_no_descriptors_and_then_goes_on(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    async def scenario() -> None:
        pauses: list[str] = []
        sock = bind(TcpAddress("127.0.0.1", 0), "PROXY_LISTEN")
        taken = asyncio.Queue[asyncio.BaseTransport]()
        acceptor = Acceptor(
            sock, lambda: Taken(taken), backlog=8, reserve=False, paused=pauses.append, admission=Unbounded(), tls={}
        )
        loop = asyncio.get_running_loop()
        with socket.socket() as caller:
            caller.setblocking(False)
            with descriptors_left(0):
                await loop.sock_connect(caller, sock.getsockname())
                await until(lambda: pauses)
                for _ in range(1000):
                    await asyncio.sleep(0)
                assert len(pauses) < 10, "it does not try again and again"
                assert set(pauses) == {"EMFILE"}
            async with asyncio.timeout(20):
                (await taken.get()).close()
        acceptor.close()

    run(scenario())


class Taken(asyncio.Protocol):
    """Tells of the connection that it has got."""

    def __init__(self, queue: asyncio.Queue[asyncio.BaseTransport]) -> None:
        self._queue = queue

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._queue.put_nowait(transport)


async def test_a_listener_that_is_closed_during_a_pause_stays_closed() -> None:
    pauses: list[str] = []
    sock = bind(TcpAddress("127.0.0.1", 0), "PROXY_LISTEN")
    acceptor = Acceptor(
        sock, asyncio.Protocol, backlog=8, reserve=True, paused=pauses.append, admission=Unbounded(), tls={}
    )
    address = sock.getsockname()
    with socket.create_connection(address), descriptors_left(0):
        await until(lambda: pauses)
        acceptor.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


async def test_a_call_for_which_no_connection_can_be_had_is_told_that_nothing_was_sent() -> None:
    call = request("GET", "/api/resources/banks")
    async with (
        localpayment(greeting) as there,
        sidecar(settings_for(there.url)) as relay,
        calling(relay) as caller,
        calling(relay) as later,
    ):
        await until(lambda: len(relay.sidecar.listener.connections) == 2)
        with descriptors_left(5):
            assert scarce()
            await caller.send(call)
            answer = await caller.rest()
        assert (answer.status, answer.problem["outcome"]) == (503, "not_sent")
        assert (answer.problem["code"], there.calls) == ("upstream_unreachable", b"")
        assert "ulimit -n" in str(answer.problem["detail"])
        await later.send(call)
        assert (await later.rest()).status == 200


@pytest.mark.parametrize(
    ("allowed", "asked", "most"),
    [(8192, 4096, 4096), (1024, 4096, 864), (1024, 10, 10), (200, 4096, 100), (1, 1, 1)],
)
def test_callers_get_as_many_connections_as_leave_room_for_the_rest(allowed: int, asked: int, most: int) -> None:
    assert most_connections(allowed, asked) == most


def test_without_a_limit_descriptors_are_never_scarce() -> None:
    assert not scarce()
    with descriptors_left(0):
        assert scarce()
    with descriptors_left(33):
        assert not scarce()


class LoopOfItsOwnTime(asyncio.SelectorEventLoop):
    """An event loop whose clock a test sets ahead."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_begins_or_is_said_to_have_been_none_however_slow_the_loop(*, tls: bool) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LoopOfItsOwnTime)
        admission, taken = RoomForOne(loop), asyncio.Queue[asyncio.BaseTransport]()
        sock = bind(TcpAddress("127.0.0.1", 0), "PROXY_LISTEN")
        acceptor = Acceptor(
            sock,
            lambda: Taken(taken),
            backlog=8,
            reserve=False,
            paused=list[str]().append,
            admission=admission,
            tls={"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)} if tls else {},
        )
        with socket.create_connection(sock.getsockname()), socket.create_connection(sock.getsockname()):
            async with asyncio.timeout(20):
                if tls:
                    await admission.none.wait()
                else:
                    (await taken.get()).close()
        acceptor.close()

    with asyncio.Runner(loop_factory=LoopOfItsOwnTime) as runner:
        runner.run(scenario())


class RoomForOne(Unbounded):
    """Has room for the first connection alone; each time that it is asked takes two seconds."""

    def __init__(self, loop: LoopOfItsOwnTime) -> None:
        self._loop = loop
        self._asked = 0
        self.none = asyncio.Event()

    def abandoned(self, protocol: asyncio.BaseProtocol) -> None:  # noqa: ARG002 - whichever it is
        self.none.set()

    def has_room(self) -> bool:
        self._loop.ahead += 2.0
        self._asked += 1
        return self._asked == 1
