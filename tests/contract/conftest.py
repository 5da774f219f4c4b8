"""Real servers for the contract tests: Django REST framework + Simple JWT, started once for each set of options."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.support.simplejwt.peer import STOCK, Peer, PeerOptions, PeerProcess, StartPeer
from tests.support.simplejwt.wire import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture(scope="session")
def simplejwt_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[PeerOptions], PeerProcess]]:
    """Hands out the running server with these options, starting it at first; blocks while it starts."""
    running: dict[PeerOptions, PeerProcess] = {}

    def process(options: PeerOptions) -> PeerProcess:
        if options not in running:
            started = PeerProcess(options, tmp_path_factory.mktemp("simplejwt"))
            started.start()
            running[options] = started
        return running[options]

    yield process
    for one in running.values():
        one.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
def simplejwt(simplejwt_processes: Callable[[PeerOptions], PeerProcess], http: aiohttp.ClientSession) -> StartPeer:
    """Hand out a server as new: its own clock, an active user, no token, counts at zero.

    Two calls with equal options in one test are the same server.
    """

    async def start(options: PeerOptions = STOCK) -> Peer:
        peer = Peer(await asyncio.to_thread(simplejwt_processes, options), http)
        await peer.reset()
        return peer

    return start


@pytest.fixture
async def peer(simplejwt: StartPeer) -> Peer:
    """The server with Simple JWT's own defaults."""
    return await simplejwt()
