"""The test server itself keeps its word: counts, held calls, bodies, a fresh state for every test."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING

import pytest

from proxy.secret import Secret
from tests.support.simplejwt.peer import Counts, PeerOptions, PeerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.simplejwt.peer import Peer, StartPeer


async def access_token(peer: Peer) -> Secret:
    return (await peer.wire.log_in(peer.username, peer.password)).token("access")


async def test_logins_refreshes_and_401s_are_counted(peer: Peer) -> None:
    login = await peer.wire.log_in(peer.username, peer.password)
    await peer.wire.log_in(peer.username, Secret("wrong"))
    await peer.wire.refresh(login.token("refresh"))
    await peer.wire.refresh(Secret("garbage"))
    await peer.wire.call(Secret("garbage"))
    await peer.wire.call(login.token("access"))
    assert await peer.counts() == Counts(
        logins=1,
        logins_refused=1,
        refreshes=1,
        refreshes_refused=1,
        unauthorized=1,
        calls_begun=2,
        calls_answered=1,
    )


@pytest.mark.parametrize(("method", "target", "status"), [
    ("POST", "/api/payin", 201),
    ("POST", "/api/payout", 201),
    ("PATCH", "/api/transactions/order-1/status", 200),
    ("PUT", "/api/virtual-account/order-1/activation/enable/", 200),
    ("DELETE", "/api/virtual-account/order-1", 204),
])  # fmt: skip
async def test_every_execution_of_an_external_id_is_counted(peer: Peer, method: str, target: str, status: int) -> None:
    access = await access_token(peer)
    body = json.dumps({"externalId": "order-1"}).encode()
    for _ in range(2):
        assert (await peer.wire.call(access, method=method, target=target, body=body)).status == status
    await peer.wire.call(Secret("garbage"), method=method, target=target, body=body)
    assert (await peer.counts()).executions == {"order-1": 2}


async def test_an_executed_transaction_has_a_status(peer: Peer) -> None:
    access = await access_token(peer)
    target = "/api/transactions/order-2/status"
    assert (await peer.wire.call(access, target=target)).status == 404
    await peer.wire.call(access, method="POST", target="/api/payin", body=b'{"externalId": "order-2"}')
    assert (await peer.wire.call(access, target=target)).body["externalId"] == "order-2"


async def test_twenty_slow_calls_are_held_together_until_they_are_released(peer: Peer) -> None:
    access = await access_token(peer)
    calls = [asyncio.create_task(peer.wire.call(access, target="/api/slow?seconds=10")) for _ in range(20)]
    await peer.wait_for_held_calls(20)
    await peer.release()
    answers = await asyncio.gather(*calls)
    assert [answer.body for answer in answers] == [{"released": True}] * 20


async def test_a_slow_call_answers_by_itself_after_its_time(peer: Peer) -> None:
    access = await access_token(peer)
    answer = await peer.wire.call(access, target="/api/slow?seconds=0.01&externalId=order-3")
    assert answer.body == {"released": False}
    assert (await peer.counts()).executions == {"order-3": 1}


async def test_a_big_body_comes_back_byte_for_byte(peer: Peer) -> None:
    access = await access_token(peer)
    big = bytes(range(256)) * 16384
    headers = {"Authorization": f"Bearer {access.reveal()}", "Content-Type": "application/octet-stream"}
    async with peer.session.post(f"{peer.url}/api/echo", data=io.BytesIO(big), headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "application/octet-stream")
        came_back = await answer.read()
    same = came_back == big
    assert same


async def test_connections_are_kept_alive(peer: Peer) -> None:
    access = await access_token(peer)
    answer = await peer.wire.call(access)
    assert answer.headers.get("Connection", "keep-alive").lower() == "keep-alive"
    assert "Content-Length" in answer.headers


async def test_a_reset_leaves_nothing_of_what_was_done_before(simplejwt: StartPeer) -> None:
    peer = await simplejwt()
    stale = await access_token(peer)
    original = peer.password
    await peer.change_password()
    await peer.put_clock(5000)
    await peer.deactivate_user()
    again = await simplejwt()
    assert again.password == original
    assert await again.counts() == Counts()
    assert (await again.wire.call(stale)).status == 401
    assert (await again.wire.log_in(again.username, again.password)).status == 200


async def test_a_server_that_cannot_start_is_reported_with_its_exit_code(tmp_path: Path) -> None:
    process = PeerProcess(PeerOptions(), tmp_path / "missing")
    with pytest.raises(RuntimeError, match="exit code 1"):
        await asyncio.to_thread(process.start)


async def test_the_server_ends_when_its_standard_input_does(tmp_path: Path) -> None:
    process = PeerProcess(PeerOptions(), tmp_path)
    await asyncio.to_thread(process.start)
    await asyncio.to_thread(process.stop)
    assert process.exit_code == 0
