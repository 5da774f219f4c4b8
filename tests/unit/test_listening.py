"""A listener's address is ours alone: a socket file is for owner and group, and nobody who listens is thrown out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from proxy.config.addresses import TcpAddress, UnixAddress, bracketed
from proxy.listening.binding import BindError, bind
from proxy.listening.listener_socket import ListenerSocket
from tests.support.callers import on_socket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.config.addresses import Listen

SETTING = "PROXY_LISTEN"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "proxy.sock"


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def abandoned(path: Path) -> None:
    """Leave a socket file behind, as a process does that was killed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def there(path: Path) -> bool:
    return path.exists()


def objection(listen: Listen) -> str:
    with pytest.raises(BindError) as caught:
        bind(listen, SETTING)
    return str(caught.value)


async def serve(listening: ListenerSocket) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(text="here")

    await listening.serve(web.ServerRunner(web.Server(answer)))


async def says(path: Path) -> str:
    async with on_socket(path) as session, session.get("/") as answer:
        return await answer.text()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
async def test_owner_and_group_may_connect_whatever_the_umask(path: Path, mask: int) -> None:
    with umask(mask):
        async with ListenerSocket(UnixAddress(path), SETTING):
            assert mode(path) == 0o660
        assert os.umask(mask) == mask


async def test_the_socket_file_goes_with_the_listener(path: Path) -> None:
    async with ListenerSocket(UnixAddress(path), SETTING) as listening:
        await serve(listening)
        assert await says(path) == "here"
    assert not there(path)


async def test_the_socket_of_a_process_that_died_is_replaced(path: Path) -> None:
    abandoned(path)
    async with ListenerSocket(UnixAddress(path), SETTING) as listening:
        await serve(listening)
        assert await says(path) == "here"


async def test_a_process_that_listens_is_not_thrown_out(path: Path) -> None:
    async with ListenerSocket(UnixAddress(path), SETTING) as listening:
        await serve(listening)
        text = await asyncio.to_thread(objection, UnixAddress(path))
        assert text.startswith(f"PROXY_LISTEN=unix:{path}: cannot listen there (Address already in use)")
        assert "another process listens there: stop it" in text
        assert await says(path) == "here"


async def test_a_process_whose_queue_is_full_counts_as_listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as stack:
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(str(path))
        assert "another process listens there" in await asyncio.to_thread(objection, UnixAddress(path))


async def test_a_successor_keeps_its_socket_when_the_one_before_ends(path: Path) -> None:
    async with ListenerSocket(UnixAddress(path), SETTING) as old:
        await serve(old)
        await old.stop_accepting()
        async with ListenerSocket(UnixAddress(path), SETTING) as new:
            await serve(new)
            await old.__aexit__(None, None, None)
            assert await says(path) == "here"


async def test_a_socket_file_that_somebody_has_removed_is_no_error(path: Path) -> None:
    async with ListenerSocket(UnixAddress(path), SETTING):
        await asyncio.to_thread(path.unlink)
    assert not there(path)


async def test_after_the_drain_began_nobody_is_let_in(path: Path) -> None:
    async with ListenerSocket(UnixAddress(path), SETTING) as listening:
        await serve(listening)
        await listening.stop_accepting()
        assert not there(path), "a file that is gone lets nobody into a queue that is emptied for the last time"
        with pytest.raises(OSError, match="Cannot connect"):
            await says(path)


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("notes")
    assert "a file that is no socket stands there" in objection(UnixAddress(path))
    assert path.read_text() == "notes"


def test_what_cannot_be_listened_on_is_told_with_what_to_do(path: Path) -> None:
    assert "there is no folder" in objection(UnixAddress(path.parent / "none" / "proxy.sock"))
    path.write_text("a file")
    assert "there is no folder" in objection(UnixAddress(path / "proxy.sock"))
    assert "choose an address of this machine" in objection(TcpAddress("192.0.2.1", 0))
    assert "no such host" in objection(TcpAddress("nowhere.invalid", 0))
    with contextlib.closing(bind(TcpAddress("127.0.0.1", 0), SETTING)) as taken:
        taken.listen()
        address = TcpAddress("127.0.0.1", taken.getsockname()[1])
        assert "another process listens there" in objection(address)


@pytest.mark.parametrize(
    ("listen", "number", "fix"),
    [
        (TcpAddress("127.0.0.1", 80), "EACCES", "ports below 1024 need CAP_NET_BIND_SERVICE"),
        (TcpAddress("127.0.0.1", 8080), "EACCES", "choose an address of this machine"),
        (UnixAddress(Path("/run/proxy.sock")), "EACCES", "may not make or use a socket in /run"),
        (UnixAddress(Path("/run/proxy.sock")), "EPERM", "give it a folder of its own"),
        (UnixAddress(Path("/run/proxy.sock")), "EROFS", "/run can only be read"),
    ],
)
def test_a_refused_permission_is_told_with_the_right_one(
    monkeypatch: pytest.MonkeyPatch, listen: Listen, number: str, fix: str
) -> None:
    code = getattr(__import__("errno"), number)

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("proxy.listening.binding._bound_tcp", refuse)
    monkeypatch.setattr("proxy.listening.binding._bound_unix", refuse)
    assert fix in objection(listen)


async def test_ipv6_is_written_in_brackets_and_ipv4_does_not_come_along() -> None:
    async with ListenerSocket(TcpAddress("::1", 0), SETTING) as listening:
        await serve(listening)
        assert listening.url.startswith("http://[::1]:")
        port = int(listening.url.rpartition(":")[2])
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
@pytest.mark.parametrize("host", ["::", "0::0"])
async def test_the_address_of_all_is_that_of_ipv4_too(host: str) -> None:
    async with ListenerSocket(TcpAddress(host, 0), SETTING) as listening:
        await serve(listening)
        port = int(listening.url.rpartition(":")[2])
        for address in ("127.0.0.1", "::1"):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{bracketed(address)}:{port}/") as answer,
            ):
                assert await answer.text() == "here"
