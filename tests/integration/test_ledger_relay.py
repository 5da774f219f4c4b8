"""Calls through a sidecar with a ledger: what is durable before a byte goes out, repeats, and a ledger that fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import LedgerFile, Settings
from proxy.simulator.server import Simulator
from tests.support.ledgers import ledger_rows, pay
from tests.support.origins import localpayment
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.support.scripted_origin import Wire

BOUND = 20.0


@pytest.fixture
async def origin() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def settings(origin: Simulator, path: Path) -> Settings:
    return settings_for(origin.url, ledger=LedgerFile(path))


async def written(path: Path, count: int = 1) -> list[dict[str, Any]]:
    """The entries, once so many of them have ended; ends are written behind."""
    async with asyncio.timeout(BOUND):
        while True:
            found = await asyncio.to_thread(ledger_rows, path)
            if sum(row["state"] != "open" for row in found) >= count:
                return found
            await asyncio.sleep(0.01)


async def test_a_payment_stands_in_the_ledger_with_its_end(settings: Settings, path: Path) -> None:
    async with sidecar(settings) as relay:
        status, _, duplicate = await pay(relay)
        (row,) = await written(path)
    assert (status, duplicate) == (201, None)
    assert (row["operation"], row["external_id"], row["state"], row["status"], row["attempts"]) == (
        "create_payin", "order-1", "answered", 201, 1,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def speechless(meets: Callable[[asyncio.StreamReader], Awaitable[object]]) -> AsyncIterator[str]:
    """An origin that gives tokens, and ends the connection of each payment once `meets` is done; its URL."""

    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/api/payin" in head:
            await meets(reader)
        else:
            pair = json.dumps({"access": _token(), "refresh": _token()}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(pair))
            writer.write(pair)
        writer.close()

    server = await asyncio.start_server(origin, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_intent_is_durable_before_the_first_byte_goes_upstream(path: Path) -> None:
    seen: list[str] = []

    async def look(_reader: asyncio.StreamReader) -> None:
        seen.extend(row["state"] for row in await asyncio.to_thread(ledger_rows, path))

    async with speechless(look) as url, sidecar(settings_for(url, ledger=LedgerFile(path))) as relay:
        status, problem, _ = await pay(relay)
        (row,) = await written(path)
    assert (status, problem["outcome"], seen) == (502, "unknown", ["open"])
    assert (row["state"], row["status"], row["check_path"]) == ("unknown", 0, "/api/transactions/order-1/status")


@pytest.mark.parametrize("ledger", [True, False])
@pytest.mark.parametrize("spelt", [r"half a character: \ud800", r"a\u0000b", "x" * 5000])
async def test_a_call_whose_id_nothing_can_hold_is_told_its_outcome_all_the_same(
    spelt: str, path: Path, *, ledger: bool
) -> None:
    async def cut(wire: Wire) -> None:
        await wire.request()
        wire.reset()

    body = f'{{"externalId": "{spelt}", "amount": 5}}'.encode()
    async with localpayment(cut) as there:
        settings = settings_for(there.url, ledger=LedgerFile(path) if ledger else "off")
        async with sidecar(settings) as relay, asyncio.timeout(BOUND):
            async with relay.session.post(f"{relay.url}/api/payout", data=body) as answer:
                problem = await answer.json()
            assert (answer.status, problem["outcome"], "check" in problem) == (502, "unknown", False)
            assert relay.sidecar.in_flight == 0
            if ledger:
                (row,) = await written(path)
                assert (row["state"], row["external_id"]) == ("unknown", "")


@pytest.mark.parametrize("status", [502, 504])
async def test_a_repeat_is_told_on_the_sidecar_s_own_answer_too(path: Path, status: int) -> None:
    async def end_or_wait(reader: asyncio.StreamReader) -> None:
        if status == 504:
            await reader.read()  # until the sidecar has waited long enough

    async with speechless(end_or_wait) as url:
        settings = settings_for(url, ledger=LedgerFile(path), response_timeout=0.2)
        async with sidecar(settings) as relay:
            first, second = await pay(relay), await pay(relay)
    assert (first[0], first[2], second[0], second[2]) == (status, None, status, first[1]["request_id"])


def _token() -> str:
    import time  # noqa: PLC0415 - for this alone

    import jwt  # noqa: PLC0415 - the same

    return jwt.encode({"exp": time.time() + 300, "jti": "x", "token_type": "access"}, "k" * 32)


async def test_reads_leave_no_trace_in_it(settings: Settings, path: Path) -> None:
    async with sidecar(settings) as relay:
        assert (await relay.get("/api/accounts/032.840.00000001/balance"))[0] == 200
    assert ledger_rows(path) == []


async def test_a_repeat_is_told_on_its_answer_in_log_and_metrics(settings: Settings, path: Path) -> None:
    async with sidecar(settings) as relay:
        await pay(relay)
        (row,) = await written(path)
        _, _, duplicate = await pay(relay, amount=6)
        assert duplicate == row["request_id"]
        (line,) = relay.lines("ledger.duplicate")
        assert (line["duplicate_of"], line["body"], line["refused"]) == (row["request_id"], "other", False)
        assert relay.value("ledger_duplicates_total", operation="create_payin", body="other") == 1


async def test_or_is_refused_and_never_reaches_localpayment(settings: Settings, path: Path) -> None:
    async with sidecar(replace(settings, duplicates="refuse")) as relay:
        await pay(relay)
        (row,) = await written(path)
        status, problem, duplicate = await pay(relay)
        assert (status, problem["code"], problem["outcome"]) == (409, "duplicate_call", "rejected")
        assert (duplicate, problem["duplicate_of"], problem["duplicate_outcome"]) == (
            *[row["request_id"]] * 2,
            "answered",
        )
        assert problem["duplicate_same_body"] is True
    assert len(ledger_rows(path)) == 1


async def test_the_policy_may_refuse_repeats_of_one_operation_alone(settings: Settings, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[callers.all]\nanyone = true\nallow = ["money_in"]\n[duplicates]\ncreate_payin = "refuse"\n')
    async with sidecar(replace(settings, policy_file=policy)) as relay:
        assert [(await pay(relay))[0] for _ in range(2)] == [201, 409]
        policy.write_text('[callers.all]\nanyone = true\nallow = ["money_in"]\n')
        await relay.sidecar.reload()
        assert (await pay(relay))[2] is not None


async def test_another_payment_under_the_same_id_is_called_what_it_is(settings: Settings) -> None:
    async with sidecar(replace(settings, duplicates="refuse")) as relay:
        await pay(relay, amount=5)
        status, problem, _ = await pay(relay, amount=6)
        assert (status, problem["duplicate_same_body"]) == (409, False)
        assert "with another body" in problem["detail"]
        assert relay.value("ledger_duplicates_total", operation="create_payin", body="other") == 1


async def test_of_a_hundred_equal_payments_at_once_one_is_sent(settings: Settings) -> None:
    async with sidecar(replace(settings, duplicates="refuse")) as relay:
        answers = await asyncio.gather(*(pay(relay) for _ in range(100)))
        assert sorted(status for status, _, _ in answers) == [201] + [409] * 99


async def test_a_ledger_that_cannot_be_written_refuses_payments_but_no_reads(settings: Settings, path: Path) -> None:
    async with sidecar(replace(settings, ledger_timeout=0.2)) as relay:
        other = await asyncio.to_thread(_locked, path)
        status, problem, _ = await pay(relay)
        assert (status, problem["code"], problem["outcome"]) == (503, "ledger_unavailable", "not_sent")
        assert (await relay.get("/api/accounts/032.840.00000001/balance"))[0] == 200
        await asyncio.to_thread(other.close)
        async with asyncio.timeout(BOUND):
            while (await pay(relay, "order-2"))[0] != 201:
                pass
    assert {row["external_id"]: row["state"] for row in ledger_rows(path)}["order-2"] == "answered"


def _locked(path: Path) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_or_lets_payments_go_on_and_counts_them(settings: Settings, path: Path) -> None:
    async with sidecar(replace(settings, ledger_timeout=0.2, ledger_on_failure="continue")) as relay:
        other = await asyncio.to_thread(_locked, path)
        assert (await pay(relay))[0] == 201
        assert relay.value("ledger_bypassed_total") == 1
        await asyncio.to_thread(other.close)
        (row,) = await written(path)
    assert row["state"] == "answered"


async def test_what_the_process_before_left_open_is_told_and_readiness_is_not_touched(
    settings: Settings, path: Path
) -> None:
    async with sidecar(settings) as relay:
        await pay(relay)
        await written(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE entry SET state = 'open', ended_at = NULL")
    database.close()
    async with sidecar(settings) as relay:
        assert relay.sidecar.ledger is not None
        async with asyncio.timeout(BOUND):
            while not relay.value("ledger_open", operation="create_payin"):
                await relay.sidecar.ledger.look_after()
        (line,) = relay.lines("ledger.interrupted")
        assert line["operation"] == "create_payin"
        assert relay.value("ledger_interrupted_total") == 1
        assert (await relay.admin("/readyz"))[0] == 200
        assert "order-1" not in relay.text_of_log
